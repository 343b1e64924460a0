"""Rules tables that were or are in force, by their hash (model 37)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.store.tables import RULES, RULES_IN_FORCE


def in_force(tx: Connection) -> str | None:
    """The version of the table in force; None before the first."""
    return tx.scalar(sa.select(RULES_IN_FORCE.c.version).order_by(RULES_IN_FORCE.c.id.desc()).limit(1))


@dataclass(frozen=True, slots=True)
class InForce:
    """A table and the time in which it was in force. ``until`` None: it still is. ``kept``: its text was not pruned."""

    version: str
    since: datetime
    until: datetime | None
    kept: bool


def history(tx: Connection, most: int) -> list[InForce]:
    """The last tables in force, newest first; one that was so twice stands there twice."""
    kept = sa.exists().where(RULES.c.version == RULES_IN_FORCE.c.version)
    columns = (RULES_IN_FORCE.c.version, RULES_IN_FORCE.c.since, kept)
    rows = tx.execute(sa.select(*columns).order_by(RULES_IN_FORCE.c.id.desc()).limit(most)).all()
    ends = [None, *(since for _, since, _ in rows)]
    return [InForce(version, since, end, bool(there)) for (version, since, there), end in zip(rows, ends, strict=False)]


def matching(tx: Connection, beginning: str) -> list[str]:
    """The versions whose text is kept and whose hash begins so; two are enough to know that it is not clear."""
    found = RULES.c.version.startswith(beginning, autoescape=True)
    return list(tx.scalars(sa.select(RULES.c.version).where(found).order_by(RULES.c.version).limit(2)))


def files(tx: Connection, version: str) -> Mapping[str, str] | None:
    """The texts of a table, by file name."""
    text = tx.scalar(sa.select(RULES.c.files).where(RULES.c.version == version))
    found: Mapping[str, str] | None = from_json(text) if text is not None else None
    return found


def keep(tx: Connection, version: str, texts: Mapping[str, str], now: datetime) -> None:
    """Store the texts of a table, once."""
    if files(tx, version) is None:
        tx.execute(sa.insert(RULES).values(version=version, files=to_json(dict(texts)).decode(), stored_at=now))


def put_in_force(tx: Connection, version: str, texts: Mapping[str, str], now: datetime) -> None:
    """Keep a table and make it the one in force; nothing happens when it is so already."""
    if in_force(tx) == version:
        return
    keep(tx, version, texts, now)
    tx.execute(sa.insert(RULES_IN_FORCE).values(version=version, since=now))
