"""A database as it is found, without writing to it: its server, its clock, whether it could be written."""

import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from incidentd.clock import Clock
from incidentd.store.engine import BUSY_SECONDS, Store, open_engine
from incidentd.store.tables import METADATA


@dataclass(frozen=True, slots=True)
class Survey:
    """What a database server says of itself.

    ``ahead`` is how far its clock is before ours, None where it has none of its own. ``refusal`` says why it could not
    be written, ``forgets`` why it could lose what it has acknowledged; empty where it could, or couldn't.
    """

    product: str
    ahead: timedelta | None
    refusal: str
    forgets: str = ""


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None where it is a server's, or held in memory."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def open_reader(url: str) -> Engine:
    """An engine that changes nothing, not even by opening: a missing SQLite file is not made.

    Raises, when used:
        StoreUnavailableError: as ``open_engine``.
    """
    path = sqlite_file(url)
    if path is None:
        return open_engine(url)
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True, check_same_thread=False),
        poolclass=sa.pool.NullPool,
        hide_parameters=True,
    )


def survey(engine: Engine, clock: Clock) -> Survey:
    """Ask the server.

    Raises:
        StoreUnavailableError: it can't be reached.
        SchemaError: the file is damaged or is no database.
    """
    return Store(engine).read(_sqlite if engine.dialect.name == "sqlite" else lambda tx: _postgresql(tx, clock))


def _sqlite(tx: Connection) -> Survey:
    version = tx.exec_driver_sql("SELECT sqlite_version()").scalar_one()
    tx.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    file = str(tx.exec_driver_sql("PRAGMA database_list").first()[2])  # type: ignore[index]
    return Survey(f"SQLite {version}", None, "" if _may_write(Path(file)) else "this user may not write the file")


def _may_write(path: Path) -> bool:
    """SQLite writes beside its file too."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _postgresql(tx: Connection, clock: Clock) -> Survey:
    before = clock.now()
    at: datetime = tx.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    after = clock.now()
    version, is_copy, read_only, syncs = tx.execute(
        sa.text(
            "SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('transaction_read_only'),"
            " current_setting('fsync')"
        )
    ).one()
    middle = before + (after - before) / 2
    refusal = _refusal(tx, is_copy=is_copy, read_only=read_only == "on")
    forgets = "" if syncs == "on" else "fsync is off: a power loss may take what was answered with 2xx, or all of it"
    return Survey(f"PostgreSQL {str(version).partition(' ')[0]}", at - middle, refusal, forgets)


def _refusal(tx: Connection, *, is_copy: bool, read_only: bool) -> str:
    if is_copy:
        return "it is a standby server, which can only be read"
    if read_only:
        return "it only lets itself be read"
    there = set(sa.inspect(tx).get_table_names())
    may = sa.text("SELECT has_table_privilege(:name, 'SELECT') AND has_table_privilege(:name, 'INSERT, UPDATE')")
    barred = [name for name in sorted(METADATA.tables) if name in there and not tx.scalar(may, {"name": name})]
    return f"this user may not write the table {barred[0]}" if barred else ""
