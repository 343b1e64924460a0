"""The level of each token bucket, shared by all senders, and when it next lets somebody of its line through."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import BUCKETS


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many tokens it held at an instant, and how it fills. ``next_at``: cursors wait, and one may go then."""

    name: str
    level: float
    at: datetime
    per_minute: int
    burst: int
    next_at: datetime | None = None


def read(tx: Connection, name: str) -> Bucket | None:
    """The bucket, kept from others until the transaction ends; None before its first use."""
    row = tx.execute(sa.select(BUCKETS).where(BUCKETS.c.name == name).with_for_update()).first()
    return _bucket(row) if row else None


def write(tx: Connection, bucket: Bucket, *, first: bool = False) -> None:
    """Store the bucket.

    Raises:
        sqlalchemy.exc.IntegrityError: ``first``, and another sender was first.
    """
    values = {column.name: getattr(bucket, column.name) for column in BUCKETS.c}
    if first:
        tx.execute(sa.insert(BUCKETS).values(values))
    else:
        tx.execute(sa.update(BUCKETS).where(BUCKETS.c.name == bucket.name).values(values))


def due(tx: Connection, now: datetime) -> Sequence[Bucket]:
    """The buckets with a line, of which one may go now; those that another holds are left to it."""
    rows = tx.execute(
        sa.select(BUCKETS).where(BUCKETS.c.next_at <= now).order_by(BUCKETS.c.name).with_for_update(skip_locked=True)
    )
    return [_bucket(row) for row in rows]


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``due`` would find any."""
    return tx.scalar(sa.select(sa.exists().where(BUCKETS.c.next_at <= now))) or False


def _bucket(row: Any) -> Bucket:
    return Bucket(row.name, row.level, row.at, row.per_minute, row.burst, row.next_at)
