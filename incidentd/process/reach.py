"""What a process says of Redis: once that it can't be reached, once that it is back."""

import threading

import structlog

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Reach:
    """Takes word from each part of the process that uses Redis, and logs an outage once, whoever noticed it first.

    Parts try at different times: one that tries seldom may take Redis for lost long after another has found it. So a
    part is listened to only when its own word changes. Safe for use by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost_by: set[str] = set()
        self._away = False

    def lost(self, part: str, error: Exception) -> None:
        """``part`` could not reach it."""
        with self._lock:
            is_news = not self._away and part not in self._lost_by
            self._lost_by.add(part)
            self._away = self._away or is_news
        if is_news:
            _log.warning("redis_unreachable", cause=type(error).__name__)

    def found(self, part: str) -> None:
        """``part`` reached it."""
        with self._lock:
            is_news = self._away and part in self._lost_by
            self._lost_by.discard(part)
            self._away = self._away and not is_news
        if is_news:
            _log.info("redis_back")
