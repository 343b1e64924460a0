"""When each drill of the rules is due next. A deadline is a column: whoever moves it on runs the drill."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import DRILL_SCHEDULES


@dataclass(frozen=True, slots=True)
class Planned:
    """A drill of the rules. ``schedule`` is what its next time was reckoned by."""

    name: str
    schedule: str
    next_at: datetime


_ALL = sa.select(DRILL_SCHEDULES).order_by(DRILL_SCHEDULES.c.name)
_IS_DUE = DRILL_SCHEDULES.c.next_at <= sa.bindparam("now")
_DUE = sa.select(DRILL_SCHEDULES).where(_IS_DUE).order_by(DRILL_SCHEDULES.c.name).with_for_update(skip_locked=True)


def all_of_them(tx: Connection) -> list[Planned]:
    """Every row, by name. Locks nothing."""
    return [Planned(row.name, row.schedule, row.next_at) for row in tx.execute(_ALL)]


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``due`` would find any."""
    return tx.scalar(sa.select(sa.exists().where(_IS_DUE)), {"now": now}) or False


def due(tx: Connection, now: datetime) -> list[Planned]:
    """Those whose time has come, kept from others; those that another holds are left to it."""
    return [Planned(row.name, row.schedule, row.next_at) for row in tx.execute(_DUE, {"now": now})]


def replace_all(tx: Connection, wanted: Mapping[str, Planned]) -> None:
    """These and no others; one whose schedule is the same keeps its next time.

    Raises:
        sqlalchemy.exc.IntegrityError: another process was first.
    """
    rows = tx.execute(_ALL.with_for_update())
    kept = {row.name for row in rows if row.name in wanted and wanted[row.name].schedule == row.schedule}
    tx.execute(sa.delete(DRILL_SCHEDULES).where(DRILL_SCHEDULES.c.name.not_in(sorted(kept))))
    for name in sorted(wanted.keys() - kept):
        tx.execute(
            sa.insert(DRILL_SCHEDULES).values(name=name, schedule=wanted[name].schedule, next_at=wanted[name].next_at)
        )


def move_on(tx: Connection, name: str, next_at: datetime) -> None:
    """It is due then."""
    tx.execute(sa.update(DRILL_SCHEDULES).where(DRILL_SCHEDULES.c.name == name).values(next_at=next_at))


def delete(tx: Connection, name: str) -> None:
    """Nobody drills this any more."""
    tx.execute(sa.delete(DRILL_SCHEDULES).where(DRILL_SCHEDULES.c.name == name))
