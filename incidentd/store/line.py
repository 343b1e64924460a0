"""The line before a receiver's limit: cursors that wait for their turn cost nothing until it comes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.store.cursors import FREE, GRANTED, HELD, THIS, Cursor, Name, key, name
from incidentd.store.tables import CURSORS, INCIDENTS
from incidentd.tier import Tier

# Its loud news wait in a digest: that is not for the line to forget.
_IS_CALLED = CURSORS.c.digest.is_not(None)
_JOIN = (
    sa.update(CURSORS)
    .where(THIS)
    .values(
        token=HELD,
        held_by=sa.bindparam("bucket"),
        due_at=sa.bindparam("until"),
        uncertain=sa.bindparam("new_uncertain"),
        echo=sa.bindparam("new_echo"),
        loud=sa.case((_IS_CALLED, CURSORS.c.loud), else_=sa.bindparam("level")),
    )
)
_WAITS = CURSORS.c.held_by == sa.bindparam("bucket")
# What follows a page answers or ends it: hundreds of those, once a storm is over, must not delay the next page.
_WAKES_NOBODY = sa.and_(CURSORS.c.queue == PAGE, CURSORS.c.accepted_at.is_not(None))
_STATE = sa.select(INCIDENTS.c.state).where(INCIDENTS.c.id == CURSORS.c.incident_id).scalar_subquery()
# What is open goes before what is recovering or over; among those, what mentions somebody, before edits.
_NEEDS_NOBODY = sa.func.coalesce(_STATE, "").in_((State.RECOVERING.value, State.RESOLVED.value))
_ORDER = (_WAKES_NOBODY, _NEEDS_NOBODY, CURSORS.c.loud.is_(None), CURSORS.c.tier, CURSORS.c.behind_since)
_IS_NEW = sa.and_(CURSORS.c.told == 0, CURSORS.c.accepted_at.is_(None), CURSORS.c.reference == "{}")
_FRONT = (
    sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot, CURSORS.c.queue, _IS_NEW.label("is_new"))
    .where(_WAITS)
    .order_by(*_ORDER)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_NEWCOMERS = (
    sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot, CURSORS.c.queue, CURSORS.c.tier)
    .where(_WAITS, _IS_NEW, ~CURSORS.c.uncertain)
    .order_by(*_ORDER)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CALL = (
    sa.update(CURSORS)
    .where(THIS)
    .values(
        token=GRANTED,
        held_by=None,
        loud=sa.case((_IS_CALLED, CURSORS.c.loud), else_=sa.null()),
        due_at=sa.bindparam("mark"),
    )
)
_DISSOLVE = (
    sa.update(CURSORS)
    .where(CURSORS.c.held_by.is_not(None))
    .values(token=FREE, held_by=None, due_at=sa.bindparam("until"))
)
_ANYBODY = sa.select(sa.exists().where(_WAITS))


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody in line of whom its receiver has never heard."""

    incident_id: str
    destination: str
    slot: str
    queue: str
    tier: Tier


def join(
    tx: Connection, cursors: Sequence[Cursor], bucket: str, until: datetime, loud: Collection[Name] | None = None
) -> None:
    """Let these wait before the bucket; should nobody call them by ``until``, they are found due.

    ``loud`` are those that mention somebody; None: all do.

    What ``claimable`` read in a lost lease is kept.
    """
    if cursors:
        said = {"bucket": bucket, "until": until}
        held = ({"new_uncertain": c.uncertain, "new_echo": c.echo, "level": _level(c, loud)} for c in cursors)
        tx.execute(_JOIN, [key(c) | said | new for c, new in zip(cursors, held, strict=True)])


def newcomers(tx: Connection, bucket: str, most: int) -> list[Newcomer]:
    """Those in line that may be told in a digest, in their order; locked until the transaction ends."""
    rows = tx.execute(_NEWCOMERS, {"bucket": bucket, "most": most})
    return [Newcomer(*row[:4], Tier(row[4])) for row in rows]


def call(tx: Connection, bucket: str, how_many: int, due_at: datetime) -> list[tuple[str, str, bool]]:
    """Let so many go: first who wakes somebody, then the most urgent, of those the longest waiting.

    They are marked as enqueued until ``due_at``. Returns (incident, queue, whether it is a newcomer) of each.
    """
    rows = tx.execute(_FRONT, {"bucket": bucket, "most": how_many}).all()
    if rows:
        tx.execute(_CALL, [{"i": row[0], "d": row[1], "s": row[2], "mark": due_at} for row in rows])
    return [(row[0], row[3], row[4]) for row in rows]


def is_empty(tx: Connection, bucket: str) -> bool:
    """Whether nobody waits before the bucket."""
    return not tx.scalar(_ANYBODY, {"bucket": bucket})


def dissolve(tx: Connection, due_at: datetime) -> None:
    """Let nobody wait any more: at ``due_at`` all ask anew, as the limits may be others."""
    tx.execute(_DISSOLVE, {"until": due_at})


def _level(cursor: Cursor, loud: Collection[Name] | None) -> int | None:
    return 1 if loud is None or name(cursor) in loud else None
