"""Whose turn it is to wait for SQLite's write lock: whoever came first, of all threads and processes."""

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Where a kernel has no locks of open files (only Linux has), threads queue, and processes don't.
_SET = getattr(fcntl, "F_OFD_SETLK", None)
_GET = getattr(fcntl, "F_OFD_GETLK", None)
_MICROSECONDS = 1_000_000


class Turn:
    """Each process has one writer in the queue; its place is a byte of a file, which it locks: the one of its arrival.

    SQLite gives its lock to whoever asks at the right instant. That is the one that let it go: others can lose to it
    for half a minute on a busy machine. A turn is a courtesy and protects nothing: whoever waits too long for it may
    write without.
    """

    def __init__(self, database: Path | None, longest_seconds: float) -> None:
        """Nobody queues for more than ``longest_seconds``: whose place is older is frozen, and is passed over.

        A database in memory has no file, and no other process.
        """
        self._path = database and database.with_name(f"{database.name}-turn")
        self._longest = longest_seconds
        self._lock = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def queued(self, since: float, seconds: float) -> Iterator[Callable[[], bool]]:
        """In the block, ask whether it is the turn of who came at ``since`` (monotonic seconds).

        First waits, for at most so many seconds, for this process's other threads.
        """
        if not self._lock.acquire(timeout=seconds):
            yield lambda: False
            return
        try:
            file = self._open()
            with suppress(OSError):
                _lock(file, fcntl.F_RDLCK, since, 1)
            try:
                yield lambda: _is_free(file, since - self._longest, since)
            finally:
                with suppress(OSError):
                    _lock(file, fcntl.F_UNLCK, 0, 0)
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
        if self._file is None and self._path:
            with suppress(OSError):
                self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._file


def _lock(file: int | None, kind: int, at: float, length: int) -> None:
    if file is not None and _SET is not None:
        fcntl.fcntl(file, _SET, _flock(kind, int(at * _MICROSECONDS), length))


def _is_free(file: int | None, begin: float, end: float) -> bool:
    """Whether nobody else has a place between two instants."""
    if file is None or _GET is None:
        return True
    first = max(0, int(begin * _MICROSECONDS))
    try:
        found = fcntl.fcntl(file, _GET, _flock(fcntl.F_WRLCK, first, int(end * _MICROSECONDS) - first))
    except OSError:
        return True
    return found.startswith(struct.pack("h", fcntl.F_UNLCK))


def _flock(kind: int, first: int, length: int) -> bytes:
    """``struct flock``: https://man7.org/linux/man-pages/man2/fcntl.2.html"""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, first, length, 0)
