"""The line before a receiver's limit: cursors that wait for their turn cost nothing until it comes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.cursors import GRANTED, HELD, Cursor
from incidentd.store.tables import CURSORS

_THIS = sa.and_(
    CURSORS.c.incident_id == sa.bindparam("i"),
    CURSORS.c.destination == sa.bindparam("d"),
    CURSORS.c.slot == sa.bindparam("s"),
)


def join(tx: Connection, cursors: Sequence[Cursor], bucket: str, until: datetime) -> None:
    """Let these wait before the bucket; should nobody call them by ``until``, they are found due.

    What ``claimable`` read in a lost lease is kept.
    """
    if not cursors:
        return
    kept: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in ("uncertain", "echo")}
    waiting = sa.update(CURSORS).where(_THIS).values(token=HELD, held_by=bucket, due_at=until, **kept)
    tx.execute(waiting, [_key(c) | {"new_uncertain": c.uncertain, "new_echo": c.echo} for c in cursors])


def call(tx: Connection, bucket: str, how_many: int, due_at: datetime) -> list[tuple[str, str]]:
    """Let the most urgent, of those the longest waiting, go; marked as enqueued until ``due_at``.

    Returns (incident, queue) of each.
    """
    front = (
        sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot, CURSORS.c.queue)
        .where(CURSORS.c.held_by == bucket)
        .order_by(CURSORS.c.tier, CURSORS.c.behind_since)
        .limit(how_many)
        .with_for_update(skip_locked=True)
    )
    rows = tx.execute(front).all()
    if rows:
        called = sa.update(CURSORS).where(_THIS).values(token=GRANTED, held_by=None, due_at=due_at)
        tx.execute(called, [{"i": row[0], "d": row[1], "s": row[2]} for row in rows])
    return [(row[0], row[3]) for row in rows]


def is_empty(tx: Connection, bucket: str) -> bool:
    """Whether nobody waits before the bucket."""
    return not tx.scalar(sa.select(sa.exists().where(CURSORS.c.held_by == bucket)))


def _key(cursor: Cursor) -> dict[str, Any]:
    return {"i": cursor.incident_id, "d": cursor.destination, "s": cursor.slot}
