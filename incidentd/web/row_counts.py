"""The numbers of each row, asked of the database at most every few seconds, however many look."""

import threading
from collections.abc import Mapping
from datetime import timedelta

from incidentd.classify import Rules
from incidentd.classify.classify import NO_ROW
from incidentd.store.row_matches import Matches, row_matches
from incidentd.web.contract import Runtime

DAYS = 30
KEPT_SECONDS = 10.0


class RowCounts:
    """One application's; safe to be called by several threads, of which one asks and the others wait for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._version = ""
        self._counts: Mapping[str, Matches] = {}

    def of(self, rules: Rules) -> Mapping[str, Matches]:
        """By row of the table, and for alerts that no row took.

        Raises:
            StoreUnavailableError: the database can't be asked.
        """
        with self._lock:
            now = self._runtime.clock.monotonic()
            if self._version != rules.version or now - self._asked_at >= KEPT_SECONDS:
                names = [*(row.name for row in rules.rows), NO_ROW]
                since = self._runtime.clock.now() - timedelta(days=DAYS)
                self._counts = self._runtime.store.read(lambda tx: row_matches(tx, names, since))
                self._version, self._asked_at = rules.version, now
            return self._counts
