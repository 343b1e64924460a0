"""Drills: each with the steps that it took, and who looks at it next.

``next_at`` is at once the next look and the lease of who looks: one conditional update decides, as for cursors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.store.tables import DRILLS, INCIDENTS
from incidentd.tier import Tier


class Step(StrEnum):
    """What a drill has to see, in this order."""

    SENT = "sent"
    OPENED = "opened"
    PAGE = "page"
    MESSAGE = "message"
    ANSWER = "answer"
    ENDED = "ended"
    CLOSED = "closed"
    PAGE_CLOSED = "page closed"


class Outcome(StrEnum):
    """What a drill came to."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was seen. ``took`` counts from what caused it; ``note`` says who, or by which way."""

    step: Step
    at: datetime
    took: timedelta
    note: str = ""


@dataclass(frozen=True, slots=True)
class Drill:
    """One as stored. ``name`` None: none of the rules' own. ``system`` empty: one without a table of its own.

    ``outcome`` is there as soon as it is known; ``ended_at`` once nothing is left to be done. ``failed`` is the step
    at which it failed, ``why`` says more. ``answer`` None: nobody is asked to acknowledge.
    """

    id: str
    name: str | None
    by_hand: bool
    tier: Tier
    system: str
    due_at: datetime
    within: timedelta
    answer: timedelta | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    failed: Step | None = None
    why: str = ""
    incident_id: str | None = None
    steps: tuple[Taken, ...] = ()
    next_at: datetime | None = None

    def step(self, step: Step) -> Taken | None:
        """A step, if it was taken."""
        return next((each for each in self.steps if each.step is step), None)


_NEWEST = sa.select(DRILLS).order_by(DRILLS.c.due_at.desc(), DRILLS.c.id.desc())
_IS_DUE = DRILLS.c.next_at <= sa.bindparam("now")
_DUE = sa.select(DRILLS).where(_IS_DUE).order_by(DRILLS.c.next_at).limit(sa.bindparam("most"))
_HOLDER = sa.select(INCIDENTS.c.id).where(INCIDENTS.c.holds == sa.bindparam("key"))
_DECIDED = DRILLS.c.outcome.is_not(None)


def insert(tx: Connection, drill: Drill) -> bool:
    """Keep a new one; False where the rules' drill of this name and time is there already."""
    same = sa.select(sa.exists().where(DRILLS.c.name == drill.name, DRILLS.c.due_at == drill.due_at))
    if drill.name is not None and tx.scalar(same):
        return False
    tx.execute(sa.insert(DRILLS), [{"id": drill.id, **_columns(drill)}])
    return True


def due(tx: Connection, now: datetime, most: int) -> list[Drill]:
    """Those that somebody is to look at, the longest waiting first."""
    return [_drill(row) for row in tx.execute(_DUE, {"now": now, "most": most})]


def take(tx: Connection, drill: Drill, until: datetime) -> bool:
    """Lease one that was due; False where another was first."""
    taken = sa.update(DRILLS).where(DRILLS.c.id == drill.id, DRILLS.c.next_at == drill.next_at).values(next_at=until)
    return bool(tx.execute(taken).rowcount)


def settle(tx: Connection, drill: Drill, lease: datetime) -> bool:
    """Write what it came to; False where the lease was taken by another."""
    changed = sa.update(DRILLS).where(DRILLS.c.id == drill.id, DRILLS.c.next_at == lease).values(_columns(drill))
    return bool(tx.execute(changed).rowcount)


def find(tx: Connection, drill_id: str) -> Drill | None:
    """One by its id."""
    row = tx.execute(sa.select(DRILLS).where(DRILLS.c.id == drill_id)).first()
    return _drill(row) if row else None


def newest(tx: Connection, most: int) -> list[Drill]:
    """The last ones, newest first."""
    return [_drill(row) for row in tx.execute(_NEWEST.limit(most))]


def under_way_by_hand(tx: Connection) -> bool:
    """Whether one that a person began goes on."""
    going_on = sa.and_(DRILLS.c.next_at.is_not(None), DRILLS.c.by_hand)
    return tx.scalar(sa.select(sa.exists().where(going_on))) or False


def last(tx: Connection, names: Sequence[str], outcome: Outcome | None = None) -> dict[str, Drill]:
    """The newest of each name whose outcome is known, or is this one; names without any are absent."""
    which = _DECIDED if outcome is None else DRILLS.c.outcome == outcome.value
    found = {name: tx.execute(_NEWEST.where(DRILLS.c.name == name, which).limit(1)).first() for name in names}
    return {name: _drill(row) for name, row in found.items() if row}


def incident_of(tx: Connection, key: str) -> str | None:
    """The id of the incident with this key, if it was opened."""
    return tx.scalar(_HOLDER, {"key": key})


def prune(tx: Connection, before: datetime, *, remove: bool) -> int:
    """Those that ended before then, but for the last of each name; how many there are, or were."""
    later = DRILLS.alias()
    is_last = sa.and_(
        DRILLS.c.name.is_not(None),
        ~sa.exists().where(later.c.name == DRILLS.c.name, later.c.due_at > DRILLS.c.due_at),
    )
    ids = tx.scalars(sa.select(DRILLS.c.id).where(DRILLS.c.ended_at < before, ~is_last)).all()
    if remove and ids:
        tx.execute(sa.delete(DRILLS).where(DRILLS.c.id.in_(ids)))
    return len(ids)


def _columns(drill: Drill) -> Mapping[str, object]:
    return {
        "name": drill.name,
        "by_hand": drill.by_hand,
        "tier": drill.tier.value,
        "system": drill.system,
        "due_at": drill.due_at,
        "started_at": drill.started_at,
        "ended_at": drill.ended_at,
        "within_seconds": int(drill.within.total_seconds()),
        "answer_seconds": None if drill.answer is None else int(drill.answer.total_seconds()),
        "outcome": drill.outcome.value if drill.outcome else None,
        "failed": drill.failed.value if drill.failed else None,
        "why": drill.why,
        "incident_id": drill.incident_id,
        "steps": to_json([[s.step, s.at.isoformat(), s.took.total_seconds(), s.note] for s in drill.steps]).decode(),
        "next_at": drill.next_at,
    }


def _drill(row: Any) -> Drill:
    steps = from_json(row.steps)
    return Drill(
        id=row.id,
        name=row.name,
        by_hand=row.by_hand,
        tier=Tier(row.tier),
        system=row.system,
        due_at=row.due_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        within=timedelta(seconds=row.within_seconds),
        answer=None if row.answer_seconds is None else timedelta(seconds=row.answer_seconds),
        outcome=Outcome(row.outcome) if row.outcome else None,
        failed=Step(row.failed) if row.failed else None,
        why=row.why,
        incident_id=row.incident_id,
        steps=tuple(Taken(Step(s), datetime.fromisoformat(at), timedelta(seconds=t), n) for s, at, t, n in steps),
        next_at=row.next_at,
    )
