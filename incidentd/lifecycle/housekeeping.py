"""Once a day one of all timekeepers removes what is past its time, in a thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

import structlog

from incidentd.errors import IncidentdError
from incidentd.lifecycle.prune import Pruner
from incidentd.store import pings
from incidentd.store.engine import Store
from incidentd.store.pings import PRUNING

EVERY = timedelta(days=1)
FRESH = timedelta(days=3)
"""After a longer time without a turn the first one removes nothing: the clock may be wrong, the setting too."""
LOOK_SECONDS = 60.0

log = structlog.get_logger("incidentd.housekeeping")


class _StoppedError(IncidentdError):
    """The process ends; what is left goes the next day."""


class Housekeeper:
    """Begins with the first cycle. ``is_doubted`` says whether the clock is not believed now."""

    def __init__(
        self, store: Store, now: Callable[[], datetime], is_doubted: Callable[[], bool], keep: timedelta
    ) -> None:
        self._store = store
        self._now = now
        self._is_doubted = is_doubted
        self._keep = keep
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """A timekeeper goes round in this process: keep house from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Begin nothing new, and wait for the transaction under way."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def keep_house(self) -> None:
        """Take the turn of the day, if it is there to take, and remove what is past its time.

        Raises:
            StoreError: the database can't be asked or written; what is left goes the next day.
        """
        now = self._now()
        if self._is_doubted() or not self._store.read(lambda tx: pings.is_due(tx, now, EVERY, PRUNING)):
            return
        last = self._store.read(lambda tx: pings.last(tx, PRUNING))
        if not self._store.write(lambda tx: pings.take(tx, now, EVERY, PRUNING)):
            return
        if last is None or not timedelta(0) <= now - last < FRESH:
            return
        pruned = Pruner(self._store, now, self._keep, dry=False, pause=self._pause).run()
        log.info("pruned", older_than_days=self._keep.days, **asdict(pruned))

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _StoppedError("the process ends")

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.keep_house()
            except _StoppedError:
                return
            except IncidentdError as error:
                log.warning("not_pruned", cause=type(error).__name__)
            except Exception:
                log.exception("not_pruned")
