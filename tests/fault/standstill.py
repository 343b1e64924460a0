"""Whether the machine stood still: a test must not blame incidentd for a disk or a processor that was not there."""

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

_PAUSE_SECONDS = 0.05
_LONG = timedelta(seconds=0.5)
Span = tuple[datetime, datetime]
"""From when to when."""


class Standstill:
    """A thread that writes a byte to the disk, again and again, and notes when that took far too long."""

    def __init__(self, file: Path, write: Callable[[int], None] | None = None) -> None:
        self._file = file
        self._write = write or _write
        self._found: list[Span] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standstill", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no longer."""
        self._stopping.set()
        self._thread.join()

    def note(self, begin: datetime, end: datetime) -> None:
        """The machine stood still from ``begin`` to ``end``."""
        self._found.append((begin, end))

    @property
    def found(self) -> list[Span]:
        """All so far, the earliest first."""
        return list(self._found)

    def was_within(self, begin: datetime, end: datetime) -> bool:
        """Whether the machine stood still at some instant between."""
        return any(since <= end and until >= begin for since, until in self._found)

    def _run(self) -> None:
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            while not self._stopping.is_set():
                began = datetime.now(UTC)
                self._write(file)
                self._stopping.wait(_PAUSE_SECONDS)
                if (ended := datetime.now(UTC)) - began > _LONG:
                    self.note(began, ended)
        finally:
            os.close(file)


def stood_still(spans: Sequence[Span], since: datetime, until: datetime) -> timedelta:
    """For how long in all within a time: who had answered by then otherwise may have been too late."""
    parts = (min(end, until) - max(begin, since) for begin, end in spans if begin < until and end > since)
    return sum(parts, timedelta())


def _write(file: int) -> None:
    os.pwrite(file, b".", 0)
    os.fsync(file)
