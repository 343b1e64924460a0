"""A total deadline for what blocks on a socket.

A read time-out starts anew with every byte: a reply dripped one byte a second never meets it. So one watchman thread
shuts the socket of each call that is past its deadline, and whoever blocks on it gets an error at once.
"""

import heapq
import itertools
import socket
import threading
import time
from contextlib import suppress
from typing import Protocol


class Deadline:
    """So many ``seconds`` from now, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left; never below 0."""
        return max(0.0, self.ends_at - time.monotonic())


class Watched(Protocol):
    """What has a deadline, and something to do at it."""

    @property
    def deadline(self) -> Deadline:
        """When it is over."""
        ...

    def expire(self) -> None:
        """The deadline is over."""
        ...


class Lever:
    """A second handle on a connection's socket, by which it can be shut under whoever blocks on it.

    A duplicate, because TLS detaches the first socket object, and ``Connection: close`` closes it before the reply is
    read. It knows the call that uses the connection now, so that a late watchman never shuts it under the next one.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock.dup()
        self._lock = threading.Lock()
        self._held_by: Call | None = None
        self._abandoned = False

    def hold(self, call: "Call") -> None:
        """The connection now works for ``call``."""
        with self._lock:
            self._held_by = call

    def pull(self, call: "Call") -> None:
        """Shut the socket, if it still works for ``call``."""
        with self._lock:
            if self._held_by is call:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)

    def let_go(self, call: "Call") -> None:
        """``call`` has ended."""
        with self._lock:
            if self._held_by is call:
                self._held_by = None
                if self._abandoned:
                    self._sock.close()

    def abandon(self) -> None:
        """The connection is closed; the handle goes with it, or with the call that still reads its reply."""
        with self._lock:
            self._abandoned = True
            if self._held_by is None:
                self._sock.close()


class Call:
    """One request under a deadline.

    ``reused``: it met a kept-alive connection, ``stale``: which the other side had closed meanwhile.
    ``sent``: some of it may have left. ``answered``: a whole head came back.
    """

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.expired = False
        self.reused = True
        self.stale = False
        self.sent = False
        self.answered = False
        self._lever: Lever | None = None

    def grip(self, lever: Lever) -> None:
        """From here on, the deadline shuts this connection."""
        self._drop()
        lever.hold(self)
        self._lever = lever
        if self.expired:
            lever.pull(self)

    def expire(self) -> None:
        """The deadline is over."""
        self.expired = True
        lever = self._lever
        if lever is not None:
            lever.pull(self)

    def end(self) -> None:
        """The call is over, in time or not."""
        self._drop()

    def _drop(self) -> None:
        if self._lever is not None:
            self._lever.let_go(self)
            self._lever = None


class Watchman:
    """One thread that expires each at its deadline. Starts with the first of them, anew in a forked process."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Watched]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, watched: Watched) -> None:
        """Expire it at its deadline; harmless for a call that has ended by then."""
        with self._changed:
            heapq.heappush(self._waiting, (watched.deadline.ends_at, next(self._order), watched))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._stand_guard, name="deadlines", daemon=True)
                self._thread.start()
            elif self._waiting[0][2] is watched:
                self._changed.notify()

    def _stand_guard(self) -> None:
        while True:
            self._next_due().expire()

    def _next_due(self) -> Watched:
        with self._changed:
            while True:
                if not self._waiting:
                    self._changed.wait()
                elif (left := self._waiting[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return heapq.heappop(self._waiting)[2]
