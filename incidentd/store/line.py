"""The line before a receiver's limit: cursors that wait for their turn cost nothing until it comes."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE
from incidentd.store.cursors import FREE, GRANTED, HELD, THIS, Cursor, key
from incidentd.store.tables import CURSORS

_JOIN = (
    sa.update(CURSORS)
    .where(THIS)
    .values(
        token=HELD,
        held_by=sa.bindparam("bucket"),
        due_at=sa.bindparam("until"),
        uncertain=sa.bindparam("new_uncertain"),
        echo=sa.bindparam("new_echo"),
    )
)
_WAITS = CURSORS.c.held_by == sa.bindparam("bucket")
# What follows a page answers or ends it: hundreds of those, once a storm is over, must not delay the next page.
_WAKES_NOBODY = sa.and_(CURSORS.c.queue == PAGE, CURSORS.c.accepted_at.is_not(None))
_FRONT = (
    sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot, CURSORS.c.queue)
    .where(_WAITS)
    .order_by(_WAKES_NOBODY, CURSORS.c.tier, CURSORS.c.behind_since)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CALL = sa.update(CURSORS).where(THIS).values(token=GRANTED, held_by=None, due_at=sa.bindparam("mark"))
_DISSOLVE = (
    sa.update(CURSORS)
    .where(CURSORS.c.held_by.is_not(None))
    .values(token=FREE, held_by=None, due_at=sa.bindparam("until"))
)
_ANYBODY = sa.select(sa.exists().where(_WAITS))


def join(tx: Connection, cursors: Sequence[Cursor], bucket: str, until: datetime) -> None:
    """Let these wait before the bucket; should nobody call them by ``until``, they are found due.

    What ``claimable`` read in a lost lease is kept.
    """
    if cursors:
        said = {"bucket": bucket, "until": until}
        tx.execute(_JOIN, [key(c) | said | {"new_uncertain": c.uncertain, "new_echo": c.echo} for c in cursors])


def call(tx: Connection, bucket: str, how_many: int, due_at: datetime) -> list[tuple[str, str]]:
    """Let so many go: first who wakes somebody, then the most urgent, of those the longest waiting.

    They are marked as enqueued until ``due_at``. Returns (incident, queue) of each.
    """
    rows = tx.execute(_FRONT, {"bucket": bucket, "most": how_many}).all()
    if rows:
        tx.execute(_CALL, [{"i": row[0], "d": row[1], "s": row[2], "mark": due_at} for row in rows])
    return [(row[0], row[3]) for row in rows]


def is_empty(tx: Connection, bucket: str) -> bool:
    """Whether nobody waits before the bucket."""
    return not tx.scalar(_ANYBODY, {"bucket": bucket})


def dissolve(tx: Connection, due_at: datetime) -> None:
    """Let nobody wait any more: at ``due_at`` all ask anew, as the limits may be others."""
    tx.execute(_DISSOLVE, {"until": due_at})
