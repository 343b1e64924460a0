"""How Slack's Socket Mode stands in this process: how many connections are open, and since when there has been none."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SocketAway:
    """No connection is open. ``refused``: by Slack, and not by the network; then no patience mends it."""

    since: datetime
    cause: str = ""
    refused: bool = False


class SocketStanding:
    """Written by the thread that keeps connections, read by others. Without ``expect`` nobody misses one."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open = 0
        self._away: SocketAway | None = None
        self._told = ""
        self._is_expected = False

    @property
    def is_expected(self) -> bool:
        """Whether there should be a connection."""
        return self._is_expected

    @property
    def open_connections(self) -> int:
        """How many connections are open now: two for a moment, while one takes over from the other."""
        return self._open

    @property
    def away(self) -> SocketAway | None:
        """Since when there has been no connection, and why; None where there is one, or none is expected."""
        return self._away

    def expect(self) -> None:
        """A connection should be open from now on."""
        with self._lock:
            self._is_expected = True
            self._miss()

    def opened(self) -> None:
        """Slack has greeted us on a new connection."""
        with self._lock:
            self._open += 1
            self._away, self._told = None, ""

    def closed(self) -> None:
        """A connection that was open has ended."""
        with self._lock:
            self._open -= 1
            self._miss()

    def failed(self, cause: str, *, refused: bool) -> bool:
        """No connection could be opened. Returns whether that is news: the first failure, or another cause."""
        with self._lock:
            if self._away is not None:
                self._away = SocketAway(self._away.since, cause, refused)
            is_news = cause != self._told
            self._told = cause
            return is_news

    def _miss(self) -> None:
        if self._is_expected and not self._open and self._away is None:
            self._away = SocketAway(self._now())
