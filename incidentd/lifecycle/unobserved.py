"""Observing ends by a date or by a reload: whose incidents are to be told of from now on."""

from collections.abc import Sequence
from datetime import timedelta

from incidentd.classify.table import SYSTEM
from incidentd.lifecycle.ledger import Ledger
from incidentd.store import alerts, incidents

LET_ALONE = timedelta(minutes=1)
"""How long one is not asked about that bears another system's name than its alerts, which are still observed."""
_ALERTS_READ = 20


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
