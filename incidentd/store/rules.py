"""Rules tables that were or are in force, by their hash (model 37)."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.store.tables import RULES, RULES_IN_FORCE


def in_force(tx: Connection) -> str | None:
    """The version of the table in force; None before the first."""
    return tx.scalar(sa.select(RULES_IN_FORCE.c.version).order_by(RULES_IN_FORCE.c.id.desc()).limit(1))


def files(tx: Connection, version: str) -> Mapping[str, str] | None:
    """The texts of a table, by file name."""
    text = tx.scalar(sa.select(RULES.c.files).where(RULES.c.version == version))
    found: Mapping[str, str] | None = from_json(text) if text is not None else None
    return found


def put_in_force(tx: Connection, version: str, texts: Mapping[str, str], now: datetime) -> None:
    """Keep a table and make it the one in force; nothing happens when it is so already."""
    if in_force(tx) == version:
        return
    if files(tx, version) is None:
        tx.execute(sa.insert(RULES).values(version=version, files=to_json(dict(texts)).decode(), stored_at=now))
    tx.execute(sa.insert(RULES_IN_FORCE).values(version=version, since=now))
