"""Whose turn it is to tell an outsider that all is well: one of all timekeepers, once in each interval."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import PINGS

_OURS = "outside"


def is_due(tx: Connection, now: datetime, interval: timedelta) -> bool:
    """Whether nobody has taken the turn of this interval. An instant that a false clock set binds nobody."""
    at = tx.scalar(sa.select(PINGS.c.at).where(PINGS.c.name == _OURS))
    return at is None or not now - interval < at <= now + interval


def take(tx: Connection, now: datetime, interval: timedelta) -> bool:
    """Take the turn; whether nobody else was first.

    Raises:
        sqlalchemy.exc.IntegrityError: another was, the very first time.
    """
    old = sa.or_(PINGS.c.at <= now - interval, PINGS.c.at > now + interval)
    if tx.execute(sa.update(PINGS).where(PINGS.c.name == _OURS, old).values(at=now)).rowcount:
        return True
    if tx.scalar(sa.select(PINGS.c.at).where(PINGS.c.name == _OURS)) is not None:
        return False
    tx.execute(sa.insert(PINGS).values(name=_OURS, at=now))
    return True
