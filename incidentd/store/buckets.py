"""The level of each token bucket, shared by all senders, and when it next lets somebody of its line through."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.cycles import APART
from incidentd.store.tables import BUCKETS

_NAMED = BUCKETS.c.name == sa.bindparam("the_name")
_AMONG = BUCKETS.c.name.in_(sa.bindparam("names", expanding=True))
_LOCK = sa.select(BUCKETS).where(_AMONG).order_by(BUCKETS.c.name).with_for_update()
_INSERT = sa.insert(BUCKETS)
_UPDATE = sa.update(BUCKETS).where(_NAMED).values({c.name: sa.bindparam(c.name) for c in BUCKETS.c if c.name != "name"})
_WITH_LINE = sa.select(BUCKETS.c.name).where(_AMONG, BUCKETS.c.next_at.is_not(None))
# One reckoned later than now is so too: the clock went back since, and its line must not wait for it to catch up.
_IS_DUE = sa.and_(
    BUCKETS.c.next_at.is_not(None),
    sa.or_(BUCKETS.c.next_at <= sa.bindparam("now"), BUCKETS.c.at > sa.bindparam("ahead")),
)
_DUE = sa.select(BUCKETS).where(_IS_DUE).order_by(BUCKETS.c.name).with_for_update(skip_locked=True)
_ANY_DUE = sa.select(sa.exists().where(_IS_DUE))


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many tokens it held at an instant, and how it fills. ``next_at``: cursors wait, and one may go then."""

    name: str
    level: float
    at: datetime
    per_minute: int
    burst: int
    next_at: datetime | None = None


def lock(tx: Connection, names: Collection[str]) -> dict[str, Bucket]:
    """These buckets by name, kept from others until the transaction ends; those never used are absent.

    In the order of their names: who needs several asks for all at once.
    """
    return {row.name: _bucket(row) for row in tx.execute(_LOCK, {"names": sorted(names)})}


def write(tx: Connection, bucket: Bucket, *, first: bool = False) -> None:
    """Store the bucket.

    Raises:
        sqlalchemy.exc.IntegrityError: ``first``, and another sender was first.
    """
    values = {column.name: getattr(bucket, column.name) for column in BUCKETS.c}
    if first:
        tx.execute(_INSERT, values)
    else:
        tx.execute(_UPDATE, values | {"the_name": values.pop("name")})


def due(tx: Connection, now: datetime) -> Sequence[Bucket]:
    """The buckets with a line, of which one may go now; those that another holds are left to it."""
    return [_bucket(row) for row in tx.execute(_DUE, {"now": now, "ahead": now + APART})]


def with_line(tx: Connection, names: Collection[str]) -> set[str]:
    """Those of the buckets before which somebody waits. Locks nothing."""
    return set(tx.scalars(_WITH_LINE, {"names": sorted(names)}))


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``due`` would find any."""
    return tx.scalar(_ANY_DUE, {"now": now, "ahead": now + APART}) or False


def _bucket(row: Any) -> Bucket:
    return Bucket(row.name, row.level, row.at, row.per_minute, row.burst, row.next_at)
