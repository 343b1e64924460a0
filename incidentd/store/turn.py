"""Whose turn it is to wait for SQLite's write lock, so that whoever has just written doesn't write again first."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PAUSE_SECONDS = 0.001


class Turn:
    """At most one writer, of all threads and processes, waits for the write lock at a time; the others wait for that.

    SQLite gives its lock to whoever asks at the right instant. That is the one that let it go: those who sleep between
    two tries can lose to it for half a minute on a busy machine. With the turn, it has to queue again first. A turn is
    a courtesy and protects nothing: whoever doesn't get it in time goes on without.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-turn")
        self._lock = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def waited_for(self, seconds: float) -> Iterator[None]:
        """Wait for the turn for at most so many seconds, and keep it for the block."""
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            yield
            return
        try:
            file = self._open()
            held = file is not None and _takes(file, end)
            try:
                yield
            finally:
                if file is not None and held:
                    fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _open(self) -> int | None:
        # For reading is enough to lock it, and all that another user's file allows.
        if self._file is None:
            with suppress(OSError):
                self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._file


def _takes(file: int, end: float) -> bool:
    """Try every millisecond: a wait that the kernel ends has no time-out, and its holder may be frozen."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE_SECONDS)
        except OSError:
            return False
        else:
            return True
