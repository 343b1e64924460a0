"""The level of each token bucket, shared by all senders, and when it next lets somebody of its line through."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.store.cycles import APART
from incidentd.store.tables import BUCKETS, microseconds

_NAMED = BUCKETS.c.name == sa.bindparam("the_name")
_AMONG = BUCKETS.c.name.in_(sa.bindparam("names", expanding=True))
_LOCK = sa.select(BUCKETS).where(_AMONG).order_by(BUCKETS.c.name).with_for_update()
_CALLING = sa.select(BUCKETS.c.name).where(BUCKETS.c.digest == sa.bindparam("the_digest"))
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
_MINUTE = timedelta(minutes=1)
_STORM = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many tokens it held at an instant, and how it fills. ``next_at``: cursors wait, and one may go then.

    ``one_by_one`` new ones a minute are told each by itself, 0: all are; ``recent`` says when those last ones were, in
    microseconds. Until ``storm_until`` newcomers share a digest; ``digest`` is the one that is kept up to date.
    """

    name: str
    level: float
    at: datetime
    per_minute: int
    burst: int
    next_at: datetime | None = None
    one_by_one: int = 0
    recent: tuple[int, ...] = ()
    storm_until: datetime | None = None
    digest: str | None = None

    def room(self, now: datetime) -> int:
        """How many more new ones may be told one by one now; while a storm lasts, those of all of it count."""
        return max(0, self.one_by_one - len(self._since(now - (_STORM if self.is_storm(now) else _MINUTE))))

    def urgent_room(self, now: datetime) -> int:
        """How many more of the most urgent ones may be told one by one now, storm or not."""
        return max(0, self.one_by_one - len(self._since(now - _MINUTE)))

    def is_storm(self, now: datetime) -> bool:
        """Whether newcomers are told together."""
        return self.one_by_one > 0 and self.storm_until is not None and now < self.storm_until

    def count(self, how_many: int, now: datetime) -> "Bucket":
        """The bucket after so many new ones were told one by one."""
        if not self.one_by_one:
            return self
        told = (*self._since(now - _STORM), *[microseconds(now)] * how_many)
        return replace(self, recent=told[-self.one_by_one :])

    def uncount(self, how_many: int) -> "Bucket":
        """The bucket after so many of those came to nothing: nobody was told."""
        return replace(self, recent=self.recent[: max(0, len(self.recent) - how_many)])

    def _since(self, then: datetime) -> list[int]:
        """Those since then; what a clock that went back calls later counts too."""
        return [at for at in self.recent if at > microseconds(then)]


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
    values["recent"] = to_json(bucket.recent).decode()
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
    return Bucket(
        name=row.name,
        level=row.level,
        at=row.at,
        per_minute=row.per_minute,
        burst=row.burst,
        next_at=row.next_at,
        one_by_one=row.one_by_one,
        recent=tuple(from_json(row.recent)),
        storm_until=row.storm_until,
        digest=row.digest,
    )


def calling(tx: Connection, digest: str, *, lock: bool = False) -> set[str]:
    """The buckets whose loud news go to this digest; with ``lock`` kept from others, in the order of their names."""
    names = _CALLING.order_by(BUCKETS.c.name).with_for_update() if lock else _CALLING
    return set(tx.scalars(names, {"the_digest": digest}))


def storm_is_over(tx: Connection, digest: str) -> None:
    """Nobody's loud news go to this digest any more. Whoever says so holds its buckets."""
    tx.execute(sa.update(BUCKETS).where(BUCKETS.c.digest == digest).values(digest=None))
