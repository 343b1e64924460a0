"""Expected heartbeats: when each was heard, and when its silence will have lasted too long.

All who change rows lock them first, in the order of their names, and before any incident.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import HEARTBEATS

SAME_TIME = timedelta(seconds=15)
"""Signs of life that reach the database out of order are no further apart; clocks that were wrong are."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One as stored. ``counts_from`` is where its silence begins: its last sign of life, or when it was first expected.

    ``due_at`` is when silence becomes an incident; where it is one, when that is to be said again.
    ``missing_since`` is None while all is well. ``carried_to`` is the end of the newest time without a timekeeper that
    its silence was brought across.
    """

    name: str
    every: timedelta
    counts_from: datetime
    heard_at: datetime | None
    due_at: datetime
    missing_since: datetime | None = None
    carried_to: datetime | None = None

    @classmethod
    def expected(cls, name: str, every: timedelta, now: datetime) -> "Heartbeat":
        """One that nobody has heard yet."""
        return cls(name, every, now, None, now + every)

    def heard(self, at: datetime, every: timedelta) -> "Heartbeat":
        """As it is after a sign of life. What is due later already stays so: somebody had a reason."""
        if timedelta(0) < self.counts_from - at < SAME_TIME:
            return self
        later = self.missing_since is None and self.due_at > at + every
        due_at = self.due_at if later and every == self.every else at + every
        return Heartbeat(self.name, every, at, at, due_at)

    def allowed(self, every: timedelta) -> "Heartbeat":
        """As it is when silence may last for another time."""
        due_at = self.due_at if self.missing_since else self.counts_from + every
        return replace(self, every=every, due_at=due_at)


_BY_NAME = sa.select(HEARTBEATS).order_by(HEARTBEATS.c.name)
_NAMED = HEARTBEATS.c.name.in_(sa.bindparam("names", expanding=True))
_THIS = HEARTBEATS.c.name == sa.bindparam("the_name")
_INSERT = sa.insert(HEARTBEATS)
_UPDATE = (
    sa.update(HEARTBEATS)
    .where(_THIS)
    .values({column.name: sa.bindparam(column.name) for column in HEARTBEATS.c if column.name != "name"})
)
_IS_DUE = HEARTBEATS.c.due_at <= sa.bindparam("now")
_ANY_DUE = sa.select(sa.exists().where(_IS_DUE))
_DUE = sa.select(HEARTBEATS).where(_IS_DUE).order_by(HEARTBEATS.c.due_at).with_for_update(skip_locked=True)


def all_of_them(tx: Connection) -> list[Heartbeat]:
    """Every row, by name. Locks nothing."""
    return [_heartbeat(row) for row in tx.execute(_BY_NAME)]


def lock(tx: Connection, names: Collection[str] | None = None) -> dict[str, Heartbeat]:
    """These rows, or all, kept from others until the transaction ends."""
    statement = _BY_NAME if names is None else _BY_NAME.where(_NAMED)
    rows = tx.execute(statement.with_for_update(), {} if names is None else {"names": sorted(names)})
    return {row.name: _heartbeat(row) for row in rows}


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``due`` would find any."""
    return tx.scalar(_ANY_DUE, {"now": now}) or False


def due(tx: Connection, now: datetime) -> list[Heartbeat]:
    """Those whose time has come, the longest first, kept from others; those that another holds are left to it."""
    return [_heartbeat(row) for row in tx.execute(_DUE, {"now": now})]


def insert(tx: Connection, new: Sequence[Heartbeat]) -> None:
    """Heartbeats that are expected from now on.

    Raises:
        sqlalchemy.exc.IntegrityError: another process was first.
    """
    if new:
        tx.execute(_INSERT, [{"name": each.name, **_columns(each)} for each in new])


def update(tx: Connection, changed: Sequence[Heartbeat]) -> None:
    """Heartbeats that were locked in this transaction."""
    if changed:
        tx.execute(_UPDATE, [{"the_name": each.name, **_columns(each)} for each in changed])


def delete(tx: Connection, names: Collection[str]) -> None:
    """Heartbeats that nobody expects any more."""
    if names:
        tx.execute(sa.delete(HEARTBEATS).where(_NAMED), {"names": sorted(names)})


def _heartbeat(row: Any) -> Heartbeat:
    return Heartbeat(
        row.name,
        timedelta(seconds=row.every_seconds),
        row.counts_from,
        row.heard_at,
        row.due_at,
        row.missing_since,
        row.carried_to,
    )


def _columns(heartbeat: Heartbeat) -> Mapping[str, object]:
    return {
        "every_seconds": int(heartbeat.every.total_seconds()),
        "counts_from": heartbeat.counts_from,
        "heard_at": heartbeat.heard_at,
        "due_at": heartbeat.due_at,
        "missing_since": heartbeat.missing_since,
        "carried_to": heartbeat.carried_to,
    }
