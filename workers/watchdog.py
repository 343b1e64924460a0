"""Ends a process that hangs, so that its supervisor starts a new one."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

HUNG = 70
_LOOK_SECONDS = 0.5
_LAST_WORDS_SECONDS = 1.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def _exit() -> None:
    os._exit(HUNG)


class Watchdog:
    """Watches any number of activities; one that outlasts its time ends the process with status 70."""

    def __init__(self, end: Callable[[], None] = _exit) -> None:
        self._end = end
        self._deadlines: dict[object, tuple[float, str]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._look, name="watchdog", daemon=True).start()

    @contextmanager
    def watch(self, what: str, seconds: float) -> Iterator[None]:
        """Allow what happens inside ``seconds`` of time."""
        token = object()
        with self._lock:
            self._deadlines[token] = time.monotonic() + seconds, what
        try:
            yield
        finally:
            with self._lock:
                del self._deadlines[token]

    def _look(self) -> None:
        never = threading.Event()
        while not (late := self._late()):
            never.wait(_LOOK_SECONDS)
        # What hangs may be the log: it gets a second.
        words = threading.Thread(target=_log.critical, args=("hung",), kwargs={"what": late}, daemon=True)
        words.start()
        words.join(_LAST_WORDS_SECONDS)
        self._end()

    def _late(self) -> str:
        now = time.monotonic()
        with self._lock:
            return ", ".join(what for deadline, what in self._deadlines.values() if deadline < now)
