"""The shadow table, and what it would have done otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from incidentd.store import rules
from incidentd.store.tables import SHADOW_COMPARISONS, SHADOW_DIFFERENCES, SHADOW_IN_FORCE
from incidentd.tier import Tier

MOST = 500
"""Differences of two tables that are kept; beyond that only those that are known are counted on."""

COMPARISONS_KEPT = 5
"""Pairs of tables of which anything is kept, the newest."""

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_KEY = ("in_force", "shadow", "from_row", "to_row", "from_tier", "to_tier", "kind")


@dataclass(frozen=True, slots=True)
class Difference:
    """How often it was so since ``first_at``; ``example`` is JSON of the last such alert."""

    from_row: str
    to_row: str
    from_tier: Tier
    to_tier: Tier
    kind: str
    alerts: int
    first_at: datetime
    last_at: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tables, on how many alerts they were compared, and on how many of those they differ."""

    in_force: str
    shadow: str
    since: datetime
    last_at: datetime
    alerts: int
    differing: int


def in_force(tx: Connection) -> str | None:
    """The version of the shadow table; None where there never was one."""
    return tx.scalar(sa.select(SHADOW_IN_FORCE.c.version))


def put(tx: Connection, version: str, texts: Mapping[str, str], now: datetime) -> None:
    """Keep a table and make it the shadow; nothing happens when it is so already."""
    if in_force(tx) == version:
        return
    rules.keep(tx, version, texts, now)
    tx.execute(sa.delete(SHADOW_IN_FORCE))
    tx.execute(sa.insert(SHADOW_IN_FORCE).values(id=1, version=version, since=now))


def add(tx: Connection, comparison: Comparison, differences: Sequence[Difference]) -> None:
    """Count on what was compared. Rows in one order for all writers, so that two of them never wait for each other."""
    added = {name: getattr(comparison, name) for name in Comparison.__slots__}
    _upsert(tx, SHADOW_COMPARISONS, added, ("in_force", "shadow"), ("alerts", "differing"), ("last_at",))
    known = _known(tx, comparison)
    for each in sorted(differences, key=_order):
        row = {name: getattr(each, name) for name in Difference.__slots__}
        row |= {"from_tier": each.from_tier.value, "to_tier": each.to_tier.value}
        row |= {"in_force": comparison.in_force, "shadow": comparison.shadow}
        if _order(each) in known or len(known) < MOST:
            known.add(_order(each))
            _upsert(tx, SHADOW_DIFFERENCES, row, _KEY, ("alerts",), ("last_at", "example"))


def forget_older(tx: Connection) -> None:
    """Keep the newest pairs of tables only."""
    pairs = tx.execute(
        sa.select(SHADOW_COMPARISONS.c.in_force, SHADOW_COMPARISONS.c.shadow)
        .order_by(SHADOW_COMPARISONS.c.last_at.desc())
        .offset(COMPARISONS_KEPT)
        .limit(1000)
    ).all()
    for first, second in pairs:
        for table in (SHADOW_DIFFERENCES, SHADOW_COMPARISONS):
            tx.execute(sa.delete(table).where(table.c.in_force == first, table.c.shadow == second))


def comparison(tx: Connection, first: str, second: str) -> Comparison | None:
    """What two tables came to; None before the first alert."""
    where = SHADOW_COMPARISONS.c.in_force == first, SHADOW_COMPARISONS.c.shadow == second
    row = tx.execute(sa.select(SHADOW_COMPARISONS).where(*where)).one_or_none()
    return Comparison(**row._mapping) if row else None


def differences(tx: Connection, first: str, second: str, most: int = MOST) -> list[Difference]:
    """Where two tables differ, the most frequent first."""
    where = SHADOW_DIFFERENCES.c.in_force == first, SHADOW_DIFFERENCES.c.shadow == second
    order = (SHADOW_DIFFERENCES.c.alerts.desc(), *(SHADOW_DIFFERENCES.c[name] for name in _KEY))
    rows = tx.execute(sa.select(SHADOW_DIFFERENCES).where(*where).order_by(*order).limit(most))
    return [_difference(row) for row in rows]


def _difference(row: Any) -> Difference:
    found = {name: getattr(row, name) for name in Difference.__slots__}
    return Difference(**found | {"from_tier": Tier(row.from_tier), "to_tier": Tier(row.to_tier)})


def _known(tx: Connection, comparison: Comparison) -> set[tuple[str, ...]]:
    where = SHADOW_DIFFERENCES.c.in_force == comparison.in_force, SHADOW_DIFFERENCES.c.shadow == comparison.shadow
    rows = tx.execute(sa.select(*(SHADOW_DIFFERENCES.c[name] for name in _KEY[2:])).where(*where))
    return {tuple(row) for row in rows}


def _order(each: Difference) -> tuple[str, ...]:
    return (each.from_row, each.to_row, each.from_tier.value, each.to_tier.value, str(each.kind))


def _upsert(
    tx: Connection,
    table: sa.Table,
    row: Mapping[str, object],
    key: Sequence[str],
    summed: Sequence[str],
    newest: Sequence[str],
) -> None:
    insert: Any = _INSERT[tx.dialect.name](table).values(**row)
    changed = {name: table.c[name] + insert.excluded[name] for name in summed}
    changed |= {name: insert.excluded[name] for name in newest}
    tx.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changed))
