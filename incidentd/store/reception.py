"""What receivers lately made of what they were sent: the newest attempts, and what still waits after failed ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE, TELL
from incidentd.store.deliveries import Outcome
from incidentd.store.tables import CURSORS, DELIVERIES

NEWEST = 1000
"""How many attempts, and how many cursors of each queue, one look reads at most."""

_ATTEMPTS = (
    sa.select(DELIVERIES.c.destination, DELIVERIES.c.ended_at, DELIVERIES.c.outcome, DELIVERIES.c.detail)
    .order_by(DELIVERIES.c.id.desc())
    .limit(NEWEST)
)
_OLDEST = (
    sa.select(CURSORS.c.destination, CURSORS.c.attempts)
    .where(CURSORS.c.queue == sa.bindparam("the_queue"), CURSORS.c.behind_since.is_not(None))
    .order_by(CURSORS.c.behind_since)
    .limit(NEWEST)
    .subquery()
)
_UNTOLD = (
    sa.select(_OLDEST.c.destination, sa.func.count(), sa.func.max(_OLDEST.c.attempts))
    .where(_OLDEST.c.attempts > 0)
    .group_by(_OLDEST.c.destination)
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that said something of its receiver; ``detail`` is safe to show."""

    destination: str
    at: datetime
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Untold:
    """What waits at one destination after failed attempts: how many, and how often the one tried most was."""

    count: int
    attempts: int


def newest(tx: Connection) -> list[Attempt]:
    """The newest attempts, oldest first; of those that asked something of a receiver."""
    rows = tx.execute(_ATTEMPTS).all()
    found = [Attempt(row.destination, row.ended_at, Outcome(row.outcome), row.detail) for row in reversed(rows)]
    return [each for each in found if each.outcome is not Outcome.SILENT]


def untold(tx: Connection) -> Mapping[str, Untold]:
    """What waits after failed attempts, by destination; among the oldest that wait."""
    rows = [row for queue in (PAGE, TELL) for row in tx.execute(_UNTOLD, {"the_queue": queue})]
    found: dict[str, Untold] = {}
    for name, count, attempts in rows:
        before = found.get(name, Untold(0, 0))
        found[name] = Untold(before.count + count, max(before.attempts, attempts))
    return found
