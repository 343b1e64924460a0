"""PostgreSQL's clock, read through: all machines that share the database share its time (model 40)."""

import threading
from contextlib import suppress
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.clock import Clock
from incidentd.errors import StoreUnavailableError
from incidentd.store.engine import Store

_TIME = sa.text("SELECT clock_timestamp()")


class ServerClock:
    """Counts on by the machine's monotonic clock from what the server said; ``refresh`` asks it anew.

    The server read its clock at an unknown instant between question and answer, which may be seconds apart. Of all that
    is possible the earliest time counts: a deadline may come late by so much, and never early. Until the server can be
    asked for the first time the machine's own time counts.
    """

    def __init__(self, store: Store, local: Clock) -> None:
        self._store = store
        self._local = local
        self._lock = threading.Lock()
        self._zero = _before(local.now(), local.monotonic())
        self._is_told = False
        with suppress(StoreUnavailableError):
            self.refresh()

    def now(self) -> datetime:
        """The server's time: aware, UTC."""
        with self._lock:
            return self._zero + timedelta(seconds=self._local.monotonic())

    def monotonic(self) -> float:
        """This machine's monotonic clock, in seconds."""
        return self._local.monotonic()

    def refresh(self) -> None:
        """Ask the server. What is counted stays as it is where the answer allows for it: it may be the better one.

        Raises:
            StoreUnavailableError: the server can't be asked now; the clock goes on as it was.
        """
        earliest, latest = self._store.read(self._ask)
        with self._lock:
            if not self._is_told or not earliest <= self._zero <= latest:
                self._zero, self._is_told = earliest, True

    def _ask(self, tx: Connection) -> tuple[datetime, datetime]:
        """Between which instants the server's time was when the monotonic clock began."""
        asked = self._local.monotonic()
        said: datetime = tx.execute(_TIME).scalar_one()
        return _before(said, self._local.monotonic()), _before(said, asked)


def _before(instant: datetime, seconds: float) -> datetime:
    return instant - timedelta(seconds=seconds)
