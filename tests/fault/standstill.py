"""Whether the machine stood still: a test must not blame incidentd for a disk or a processor that was not there."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.machine import OBSERVER, Span

_PAUSE_SECONDS = 0.05
_SHORT = timedelta(seconds=0.1)
_LONG = timedelta(seconds=0.5)


class Standstill:
    """Threads that do next to nothing, again and again, and note when that took far too long.

    One writes a byte to the disk. The others each keep to a processor of their own: a virtual one may be away alone.
    """

    def __init__(self, file: Path, write: Callable[[int], None] | None = None) -> None:
        self._file = file
        self._write = write or _write
        self._found: list[Span] = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch_disk, name=f"{OBSERVER} of the disk", daemon=True),
            *(
                threading.Thread(target=self._watch_processor, args=(each,), name=f"{OBSERVER} of {each}", daemon=True)
                for each in sorted(os.sched_getaffinity(0))
            ),
        ]

    def start(self) -> None:
        """Look from now on."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Look no longer."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def note(self, begin: datetime, end: datetime) -> None:
        """The machine stood still from ``begin`` to ``end``."""
        self._found.append((begin, end))

    @property
    def found(self) -> list[Span]:
        """All so far that were long enough to end what waited; those of one processor are in no order with others'."""
        return [span for span in self.all if span[1] - span[0] > _LONG]

    @property
    def all(self) -> list[Span]:
        """Also writes to the disk that only made it late."""
        return list(self._found)

    def was_within(self, begin: datetime, end: datetime) -> bool:
        """Whether the machine stood still at some instant between."""
        return any(since <= end and until >= begin for since, until in self.found)

    def _watch_disk(self) -> None:
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self._watch(lambda: self._write(file))
        finally:
            os.close(file)

    def _watch_processor(self, processor: int) -> None:
        # Of the calling thread alone: sched_setaffinity(2).
        os.sched_setaffinity(0, {processor})
        self._watch(lambda: None)

    def _watch(self, act: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            began = datetime.now(UTC)
            act()
            acted = datetime.now(UTC)
            self._stopping.wait(_PAUSE_SECONDS)
            if (ended := datetime.now(UTC)) - began > _LONG:
                self.note(began, ended)
            elif acted - began > _SHORT:
                self.note(began, acted)


def _write(file: int) -> None:
    os.pwrite(file, b".", 0)
    os.fsync(file)
