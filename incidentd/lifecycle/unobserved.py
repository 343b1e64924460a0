"""Observing ends by a date or by a reload: whose incidents are to be told of from now on."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from incidentd.classify.table import SYSTEM
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.store import alerts, incidents
from incidentd.store.engine import Store

AGAIN = timedelta(seconds=10)
"""How soon it is looked again where nothing seems to have changed."""

LET_ALONE = timedelta(minutes=1)
"""How long one is not asked about that bears another system's name than its alerts, which are still observed."""
_ALERTS_READ = 20
_MOST = 2000


class ObservingWatch:
    """Finds in one timekeeper what is only observed though its system no longer is. Any number of them may look.

    It asks the database when observing of a system ends, as long as there are any, and now and then: another process
    may have opened an incident by an older table.
    """

    def __init__(self, store: Store, rulebook: Rulebook, mark: timedelta) -> None:
        self._store = store
        self._rulebook = rulebook
        self._mark = mark
        self._observed: frozenset[str] = frozenset()
        self._looked_at: datetime | None = None
        self._found_at: datetime | None = None

    def look(self, now: datetime) -> list[str]:
        """Ids of incidents that are to be ticked for it; whoever is first to find them marks them.

        Raises:
            StoreError: the database can't be asked or marked.
        """
        observed, mark = self._rulebook.in_force.observed(now), self._mark
        if self._has_looked(observed, now):
            return []
        found: list[str] = []
        if self._store.read(lambda tx: incidents.any_no_longer_observed(tx, observed, now, mark)):
            found = self._store.write(lambda tx: incidents.mark_no_longer_observed(tx, observed, now, mark, _MOST))
        self._observed, self._looked_at = observed, now
        # There may be more, and jobs can be lost, or run where the old table still is.
        self._found_at = now if found else self._found_at
        return found

    def _has_looked(self, observed: frozenset[str], now: datetime) -> bool:
        return _is_recent(self._looked_at, now) and not _is_recent(self._found_at, now) and observed >= self._observed


def _is_recent(at: datetime | None, now: datetime) -> bool:
    return at is not None and timedelta(0) <= now - at < AGAIN


def no_longer_observed(ledger: Ledger, ids: Sequence[str]) -> set[str]:
    """Those of these loaded incidents that are only observed, though the table in force tells of an alert of theirs.

    What counts is the label ``system``, as it does when an alert is heard: a table may name its incidents by another.
    """
    observed = ledger.rulebook.in_force.observed(ledger.now)
    found = {id_ for id_ in ids if (i := ledger.get(id_)) and i.observed and i.firing and i.system not in observed}
    if not found:
        return set()
    stored = alerts.of_incidents(ledger.tx, found, _ALERTS_READ)
    named = {id_: {a.labels.get(SYSTEM, "") for a in stored[id_] if a.firing} for id_ in stored}
    told = {id_ for id_ in found if named.get(id_, {""}) - observed}
    for id_ in sorted(found - told):
        incidents.let_alone(ledger.tx, id_, ledger.now + LET_ALONE)
    return told
