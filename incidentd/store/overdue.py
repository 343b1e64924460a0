"""What is overdue, by what it waits for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.store import cycles, reception
from incidentd.store.cursors import HELD
from incidentd.store.deliveries import Outcome
from incidentd.store.tables import CURSORS, INCIDENTS

MOVING = timedelta(minutes=2)
"""A line of which nobody was accepted for so long stands still; the slowest limit lets one go each minute."""

_state = sa.select(INCIDENTS.c.state).where(INCIDENTS.c.id == CURSORS.c.incident_id).scalar_subquery()
_PAGES = (
    sa.select(
        CURSORS.c.destination,
        sa.func.count().filter(CURSORS.c.token == HELD),
        sa.func.count().filter(CURSORS.c.token != HELD, CURSORS.c.attempts > 0),
        sa.func.count().filter(CURSORS.c.token != HELD, CURSORS.c.attempts == 0),
    )
    .where(CURSORS.c.behind_since < sa.bindparam("before"), CURSORS.c.queue == PAGE, _state == State.TRIGGERED.value)
    .group_by(CURSORS.c.destination)
    .order_by(CURSORS.c.destination)
)


@dataclass(frozen=True, slots=True)
class Overdue:
    """How much is overdue. ``incidents`` were to be changed by time; the others are pages, by destination.

    ``held`` wait for their receiver's limit, ``failing`` were tried in vain, ``untried`` were not tried. ``moving`` are
    the destinations that have accepted something lately.
    """

    incidents: int = 0
    held: Mapping[str, int] = field(default_factory=dict)
    failing: Mapping[str, int] = field(default_factory=dict)
    untried: Mapping[str, int] = field(default_factory=dict)
    moving: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """All of it."""
        return self.incidents + sum(map(sum, (self.held.values(), self.failing.values(), self.untried.values())))

    @property
    def stuck(self) -> int:
        """Without the pages that wait in a line that moves: those get out, one after the other."""
        return self.count - sum(count for name, count in self.held.items() if name in self.moving)

    @property
    def says(self) -> str:
        """``120 overdue: 118 wait for the limit of page-oncall, 2 were tried in vain at page-cto``; ``ok`` if none."""
        reasons = ", ".join(self._reasons())
        return f"{self.count} overdue: {reasons}" if self.count else "ok"

    def _reasons(self) -> Iterator[str]:
        for name, count in self.held.items():
            stands = "" if name in self.moving else ", whose line does not move"
            yield f"{count} {_verb(count, 'waits', 'wait')} for the limit of {name}{stands}"
        for name, count in self.failing.items():
            yield f"{count} {_verb(count, 'was', 'were')} tried in vain at {name}"
        for name, count in self.untried.items():
            yield f"{count} for {name} {_verb(count, 'was', 'were')} not tried: see the page workers"
        if self.incidents:
            waits = _verb(self.incidents, "incident waits", "incidents wait")
            yield f"{self.incidents} {waits} for the escalate workers"


def read(tx: Connection, now: datetime) -> Overdue:
    """What was due more than a minute before ``now`` and still waits.

    A page that nobody needs any more, as its incident is answered or over, is no page.
    """
    before = now - cycles.OVERDUE_AFTER
    rows = tx.execute(_PAGES, {"before": before}).all()
    found: list[dict[str, int]] = [{row[0]: row[column] for row in rows if row[column]} for column in (1, 2, 3)]
    held, failing, untried = found
    moving = _moving(tx, now) if held else frozenset()
    return Overdue(cycles.overdue_incidents(tx, before), held, failing, untried, moving)


def _moving(tx: Connection, now: datetime) -> frozenset[str]:
    newest = reception.newest(tx)
    return frozenset(a.destination for a in newest if a.outcome is Outcome.ACCEPTED and now - a.at < MOVING)


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
