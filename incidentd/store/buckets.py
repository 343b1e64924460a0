"""The level of each token bucket, shared by all senders."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import BUCKETS


@dataclass(frozen=True, slots=True)
class Level:
    """How many tokens a bucket held at an instant."""

    level: float
    at: datetime


def read(tx: Connection, name: str) -> Level | None:
    """The bucket's level, kept from other senders until the transaction ends; None before its first use."""
    row = tx.execute(sa.select(BUCKETS.c.level, BUCKETS.c.at).where(BUCKETS.c.name == name).with_for_update()).first()
    return Level(row[0], row[1]) if row else None


def write(tx: Connection, name: str, level: Level, *, first: bool) -> None:
    """Store the bucket's level.

    Raises:
        sqlalchemy.exc.IntegrityError: ``first``, and another sender was first.
    """
    values = {"level": level.level, "at": level.at}
    if first:
        tx.execute(sa.insert(BUCKETS).values(name=name, **values))
    else:
        tx.execute(sa.update(BUCKETS).where(BUCKETS.c.name == name).values(**values))
