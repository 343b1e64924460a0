"""How things stand, in numbers: each by an index, however many incidents there ever were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.store import cycles, drill_schedules, drills, heartbeats, rules, sightings
from incidentd.store.drills import Outcome
from incidentd.store.sightings import Answering
from incidentd.store.tables import CURSORS, INCIDENTS
from incidentd.tier import Tier

OPEN_STATES = tuple(state for state in State if state is not State.RESOLVED)

# One pass over the index of open incidents, in its order; grouping by the state as well would sort them.
_COUNTS = [sa.func.count().filter(INCIDENTS.c.state == state.value) for state in OPEN_STATES]
_OPEN = sa.select(INCIDENTS.c.tier, *_COUNTS).where(INCIDENTS.c.resolved_at.is_(None)).group_by(INCIDENTS.c.tier)
_state = sa.select(INCIDENTS.c.state).where(INCIDENTS.c.id == CURSORS.c.incident_id).scalar_subquery()
_OLDEST_PAGE = (
    sa.select(CURSORS.c.behind_since)
    .where(CURSORS.c.behind_since.is_not(None), CURSORS.c.queue == PAGE, _state == State.TRIGGERED.value)
    .order_by(CURSORS.c.behind_since)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Standing:
    """``open`` holds every pair of tier and open state. ``page_waits`` is how long the oldest page waits, 0 without.

    A page that nobody needs any more, as its incident is answered or over, does not wait. ``cycle_age`` is the time
    since a timekeeper's newest full cycle, None if there never was one. ``rules_version`` is the table in force.
    ``alertmanagers`` says by name which of those that are compared with answer, ``comparison_age`` since when none has.
    ``silences`` is by expected heartbeat how long it has not been heard; ``missing`` are those where that is too long.
    ``drills`` says of each drill of the rules that has run whether it was accepted the last time, ``since_accepted``
    how long ago it last was.
    """

    open: Mapping[tuple[Tier, State], int]
    page_waits: timedelta
    overdue: int
    cycle_age: timedelta | None
    rules_version: str | None
    silences: Mapping[str, timedelta] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    drills: Mapping[str, bool] = field(default_factory=dict)
    since_accepted: Mapping[str, timedelta] = field(default_factory=dict)
    alertmanagers: Mapping[str, bool] = field(default_factory=dict)
    comparison_age: timedelta | None = None


def read(tx: Connection, now: datetime) -> Standing:
    """How things stand now."""
    _keep_to_indexes(tx)
    oldest: datetime | None = tx.scalar(_OLDEST_PAGE)
    last = cycles.last(tx, now)
    expected = heartbeats.all_of_them(tx)
    planned = [each.name for each in drill_schedules.all_of_them(tx)]
    accepted = drills.last(tx, planned, Outcome.ACCEPTED)
    upstream = sightings.answering(tx)
    return Standing(
        open=_open(tx),
        page_waits=_since(oldest, now) if oldest else timedelta(0),
        overdue=cycles.overdue_incidents(tx, now - cycles.OVERDUE_AFTER),
        cycle_age=_since(last, now) if last else None,
        rules_version=rules.in_force(tx),
        silences={each.name: _since(each.heard_at or each.counts_from, now) for each in expected},
        missing=frozenset(each.name for each in expected if each.missing_since),
        drills={name: each.outcome is Outcome.ACCEPTED for name, each in drills.last(tx, planned).items()},
        since_accepted={name: _since(each.ended_at or each.due_at, now) for name, each in accepted.items()},
        alertmanagers={each.name: not each.fault for each in upstream},
        comparison_age=_comparison_age(upstream, now),
    )


def _keep_to_indexes(tx: Connection) -> None:
    """Where many are open PostgreSQL might rather read the whole table, a million resolved incidents included."""
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text("SET LOCAL enable_seqscan = off"))


def _open(tx: Connection) -> dict[tuple[Tier, State], int]:
    counted: dict[tuple[Tier, State], int] = {(tier, state): 0 for tier in Tier for state in OPEN_STATES}
    for tier, *counts in tx.execute(_OPEN):
        counted |= {(Tier(tier), state): count for state, count in zip(OPEN_STATES, counts, strict=True)}
    return counted


def _comparison_age(upstream: Sequence[Answering], now: datetime) -> timedelta | None:
    """None where nothing is compared. Before the first answer it counts from the first question."""
    if not upstream:
        return None
    return _since(max(each.answered_at or each.first_asked_at for each in upstream), now)


def _since(then: datetime, now: datetime) -> timedelta:
    """Clocks of machines are a little apart."""
    return max(timedelta(0), now - then)
