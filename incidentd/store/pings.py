"""Whose turn it is to do what one of all timekeepers does, once in each interval."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import PINGS

OUTSIDE = "outside"
"""Telling an outsider that all is well."""
WITHHELD = "withheld"
"""Counting that he is not told."""
PRUNING = "prune"
"""Removing what is past its time."""
BACKUP = "backup"
"""Copying the database; nobody takes turns at it, it is noted only."""
ALERTMANAGER = "alertmanager"
"""To ask Alertmanager."""
_CRASH = "crash/"
"""Before the name of a child that died as soon as it had started."""
STALE = "stale"
"""To look for alerts that nothing was heard of for long."""


def is_due(tx: Connection, now: datetime, interval: timedelta, name: str = OUTSIDE) -> bool:
    """Whether nobody has taken the turn of this interval."""
    return is_over(last(tx, name), now, interval)


def is_over(at: datetime | None, now: datetime, interval: timedelta) -> bool:
    """Whether the next turn may follow the one at ``at``. An instant that a false clock set binds nobody."""
    return at is None or not now - interval < at <= now + interval


def take(tx: Connection, now: datetime, interval: timedelta, name: str = OUTSIDE) -> bool:
    """Take the turn; whether nobody else was first.

    Raises:
        sqlalchemy.exc.IntegrityError: another was, the very first time.
    """
    old = sa.or_(PINGS.c.at <= now - interval, PINGS.c.at > now + interval)
    if tx.execute(sa.update(PINGS).where(PINGS.c.name == name, old).values(at=now)).rowcount:
        return True
    if last(tx, name) is not None:
        return False
    tx.execute(sa.insert(PINGS).values(name=name, at=now))
    return True


def note(tx: Connection, now: datetime, name: str) -> None:
    """Somebody did it just now, without a turn."""
    if not tx.execute(sa.update(PINGS).where(PINGS.c.name == name).values(at=now)).rowcount:
        tx.execute(sa.insert(PINGS).values(name=name, at=now))


def note_crash(tx: Connection, now: datetime, child: str) -> None:
    """A supervisor's child died as soon as it had started, not for the first time."""
    note(tx, now, f"{_CRASH}{child}"[:64])


def crashes(tx: Connection) -> dict[str, datetime]:
    """When each child last died in such a way, by its name."""
    found = tx.execute(sa.select(PINGS).where(PINGS.c.name.startswith(_CRASH)))
    return {row.name.removeprefix(_CRASH): row.at for row in found}


def last(tx: Connection, name: str) -> datetime | None:
    """When somebody last took this turn; None: nobody ever did."""
    at: datetime | None = tx.scalar(sa.select(PINGS.c.at).where(PINGS.c.name == name))
    return at
