"""When each timekeeper last went round, and what is overdue."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import CYCLES, INCIDENTS

KEPT = timedelta(days=1)
APART = timedelta(seconds=5)
"""How far the clocks of machines may be apart."""
OVERDUE_AFTER = timedelta(seconds=60)
"""How long what is due may wait before somebody is to look why."""
_PROBE = ""
"""The row that is no timekeeper's."""


def beat(tx: Connection, name: str, now: datetime) -> None:
    """Record a full cycle; names of timekeepers long gone are dropped."""
    if not tx.execute(sa.update(CYCLES).where(CYCLES.c.name == name).values(at=now)).rowcount:
        tx.execute(sa.delete(CYCLES).where(CYCLES.c.at < now - KEPT))
        tx.execute(sa.insert(CYCLES).values(name=name, at=now))


def touch(tx: Connection, now: datetime) -> None:
    """Write one row, as a database that can't be written only says so when it has to write."""
    if not tx.execute(sa.update(CYCLES).where(CYCLES.c.name == _PROBE).values(at=now)).rowcount:
        tx.execute(sa.insert(CYCLES).values(name=_PROBE, at=now))


def last(tx: Connection, now: datetime) -> datetime | None:
    """The end of the newest full cycle of any timekeeper.

    What a timekeeper that is gone wrote while its clock was ahead does not count.
    """
    counts = sa.and_(CYCLES.c.name != _PROBE, CYCLES.c.at <= now + APART)
    newest: datetime | None = tx.scalar(sa.select(sa.func.max(CYCLES.c.at, type_=CYCLES.c.at.type)).where(counts))
    return newest


def overdue_incidents(tx: Connection, before: datetime) -> int:
    """How many incidents were due before ``before`` and still are."""
    return tx.scalar(sa.select(sa.func.count()).select_from(INCIDENTS).where(INCIDENTS.c.wake_at < before)) or 0
