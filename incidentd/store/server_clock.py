"""PostgreSQL's clock, read through: all machines that share the database share its time (model 40)."""

import threading
from contextlib import suppress
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.clock import Clock
from incidentd.errors import StoreUnavailableError
from incidentd.store.engine import Store


class ServerClock:
    """Counts on from the last reading by the machine's monotonic clock; ``refresh`` takes a new one.

    Until the server can be asked for the first time the machine's own time counts.
    """

    def __init__(self, store: Store, local: Clock) -> None:
        self._store = store
        self._local = local
        self._lock = threading.Lock()
        self._read = local.now()
        self._read_at = local.monotonic()
        with suppress(StoreUnavailableError):
            self.refresh()

    def now(self) -> datetime:
        """The server's time: aware, UTC."""
        with self._lock:
            return self._read + timedelta(seconds=self._local.monotonic() - self._read_at)

    def monotonic(self) -> float:
        """This machine's monotonic clock, in seconds."""
        return self._local.monotonic()

    def refresh(self) -> None:
        """Read the server's clock anew; the middle of the round trip counts.

        Raises:
            StoreUnavailableError: the server can't be asked now; the clock goes on as it was.
        """
        before = self._local.monotonic()
        read = self._store.read(_server_time)
        after = self._local.monotonic()
        with self._lock:
            self._read, self._read_at = read, (before + after) / 2


def _server_time(tx: Connection) -> datetime:
    read: datetime = tx.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    return read
