"""When each timekeeper last went round, and what is overdue."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import CURSORS, CYCLES, INCIDENTS

KEPT = timedelta(days=1)


def beat(tx: Connection, name: str, now: datetime) -> None:
    """Record a full cycle; names of timekeepers long gone are dropped."""
    if not tx.execute(sa.update(CYCLES).where(CYCLES.c.name == name).values(at=now)).rowcount:
        tx.execute(sa.delete(CYCLES).where(CYCLES.c.at < now - KEPT))
        tx.execute(sa.insert(CYCLES).values(name=name, at=now))


def touch(tx: Connection, now: datetime) -> None:
    """Write nothing, but in such a way that a database that can't be written says so."""
    tx.execute(sa.update(CYCLES).where(CYCLES.c.name == "").values(at=now))


def last(tx: Connection) -> datetime | None:
    """The end of the newest full cycle of any timekeeper."""
    newest: datetime | None = tx.scalar(sa.select(sa.func.max(CYCLES.c.at, type_=CYCLES.c.at.type)))
    return newest


def overdue(tx: Connection, before: datetime) -> int:
    """How many incidents and cursors were due before ``before`` and still are."""
    incidents = sa.select(sa.func.count()).select_from(INCIDENTS).where(INCIDENTS.c.wake_at < before)
    cursors = sa.select(sa.func.count()).select_from(CURSORS).where(CURSORS.c.due_at < before)
    return (tx.scalar(incidents) or 0) + (tx.scalar(cursors) or 0)
