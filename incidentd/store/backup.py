"""Copies of the whole database: always one SQLite file, whichever database it is a copy of.

A SQLite database is copied by SQLite's own online backup, a PostgreSQL one row by row in one snapshot: no client
program has to be there, none is too old for its server, and a copy can be looked into anywhere.
https://www.sqlite.org/backup.html
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection, Engine

from incidentd.errors import SchemaError, StoreError, StoreUnavailableError
from incidentd.store.engine import open_engine
from incidentd.store.migrate import check, migrate
from incidentd.store.survey import open_reader, sqlite_file
from incidentd.store.tables import COMPATIBILITY, INCIDENTS, METADATA

_ROWS = 1000
_VERSION = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
# What migrating writes is no content: a database that was migrated only is empty.
_CONTENT = [table for table in METADATA.sorted_tables if table is not COMPATIBILITY]
_WITHOUT_LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


def back_up(url: str, target: Path) -> int:
    """Copy the database at ``url`` into the new file ``target``, while it is used. Returns how many incidents it has.

    The file appears whole and checked, or not at all; its owner alone can read it.

    Raises:
        StoreError: ``target`` exists, or can't be written.
        StoreUnavailableError: the database can't be reached.
        SchemaError: it is damaged, or not of this version.
    """
    if target.exists():
        raise StoreError(f"{target} exists already: a backup overwrites nothing")
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise StoreUnavailableError(f"there is no database at {file}")
    with _coming_to_be(target) as path:
        if file is not None:
            _copy_file(file, path)
        else:
            _copy_from_server(url, path)
        return _whole(path)


def restore(source: Path, url: str) -> int:
    """Fill the new database at ``url`` from a copy, and bring it to this version's schema. Returns its incidents.

    Raises:
        StoreError: there is a database already: nothing is ever overwritten.
        StoreUnavailableError: it can't be reached.
        SchemaError: the copy is damaged, is none, or is newer than this version.
    """
    if not source.is_file():
        raise StoreError(f"there is no file {source}")
    _whole(source)
    file = sqlite_file(url)
    if file is not None:
        _restore_file(source, file)
        return _whole(file)
    with _disposed(open_engine(url)) as server, TemporaryDirectory(prefix="incidentd-restore-") as folder:
        _refuse_full(server)
        path = Path(folder) / "copy.db"
        _copy_file(source, path)
        _migrate(path)
        migrate(server)
        _copy_to_server(path, server)
        return _whole(path)


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _coming_to_be(target: Path) -> Iterator[Path]:
    """A file beside ``target`` that takes its name once it is whole; gone at the end if it doesn't."""
    path = target.with_name(f"{target.name}.part")
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        yield path
        _sync(path)
        # Unlike a renaming, a link takes nobody's place.
        target.hardlink_to(path)
        _sync(target.parent)
    except FileExistsError:
        raise StoreError(f"{target} exists already: a backup overwrites nothing") from None
    except OSError as error:
        raise StoreError(f"{target} can't be written: {error.strerror}") from None
    finally:
        for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            each.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _copy_file(source: Path, target: Path) -> None:
    """In one step: in WAL mode a reader holds up no writer, and one snapshot needs no beginning anew."""
    with _translated(), closing(_open(source)) as there, closing(sqlite3.connect(target)) as here:
        there.backup(here)
        # One file without companions: whatever mode its original was in.
        here.execute("PRAGMA journal_mode=DELETE")


def _restore_file(source: Path, target: Path) -> None:
    companions = [target.with_name(target.name + end) for end in ("-wal", "-shm")]
    for each in (target, *companions):
        if each.exists():
            raise StoreError(f"{each} exists already: stop incidentd, and move it and its companions elsewhere first")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _coming_to_be(target) as path:
        _copy_file(source, path)
        _migrate(path)
        with _translated(), closing(sqlite3.connect(path)) as copied:
            copied.execute("PRAGMA journal_mode=DELETE")


def _migrate(path: Path) -> None:
    with _disposed(open_engine(f"sqlite:///{path.resolve()}")) as copied:
        migrate(copied)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _whole(path: Path) -> int:
    """Read all of a copy.

    Raises:
        SchemaError: it is damaged, or is none of ours.
    """
    with _translated(), closing(_open(path)) as copy:
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {_VERSION.name, INCIDENTS.name} <= tables:
            raise SchemaError(f"{path} is no backup of incidentd's")
        if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise SchemaError(f"{path} is damaged")
        count: int = copy.execute("SELECT count(*) FROM incidents").fetchone()[0]
    return count


def _copy_from_server(url: str, path: Path) -> None:
    with _disposed(open_reader(url)) as server, _disposed(_plain(path)) as file:
        check(server)
        METADATA.create_all(file)
        with _snapshot(server) as there, file.begin() as here:
            _VERSION.create(here)
            here.execute(sa.insert(_VERSION), {"version_num": MigrationContext.configure(there).get_current_revision()})
            for table in METADATA.sorted_tables:
                _copy_rows(table, there, here)


def _copy_to_server(path: Path, server: Engine) -> None:
    with _translated(), _disposed(_plain(path)) as file, file.connect() as there, server.begin() as here:
        _lift_limits(here)
        for table in _CONTENT:
            _copy_rows(table, there, here)
            _go_on_counting(table, here)


def _plain(path: Path) -> Engine:
    """Nobody else uses the file."""
    return sa.create_engine(f"sqlite:///{path}", hide_parameters=True)


def _copy_rows(table: sa.Table, there: Connection, here: Connection) -> None:
    rows = there.execute(sa.select(table), execution_options={"stream_results": True, "yield_per": _ROWS})
    for some in rows.mappings().partitions(_ROWS):
        here.execute(sa.insert(table), [dict(row) for row in some])


def _go_on_counting(table: sa.Table, here: Connection) -> None:
    """The next number that the server gives is after the last one that was copied."""
    for column in table.columns:
        if column.identity is not None:
            name = sa.literal(table.name), sa.literal(column.name)
            last = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
            here.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(*name), last, False)))


@contextmanager
def _snapshot(server: Engine) -> Iterator[Connection]:
    engine = server.execution_options(isolation_level="REPEATABLE READ")
    with _translated(), engine.begin() as connection:
        _lift_limits(connection)
        yield connection


def _lift_limits(connection: Connection) -> None:
    """Time-outs are for everyday statements; reading or writing all takes as long as it takes."""
    for name in _WITHOUT_LIMITS:
        connection.execute(sa.text(f"SET LOCAL {name} = 0"))


def _refuse_full(server: Engine) -> None:
    with _translated(), server.connect() as connection:
        there = set(sa.inspect(connection).get_table_names())
        strange = there - {_VERSION.name, *METADATA.tables}
        full = (t for t in _CONTENT if t.name in there and connection.execute(sa.select(t).limit(1)).first())
        if strange or next(full, None) is not None:
            raise StoreError("the database is not empty: stop incidentd, and restore into a new one")


@contextmanager
def _translated() -> Iterator[None]:
    """The drivers' errors as ours; their texts may carry values."""
    failure: StoreError | SchemaError
    try:
        yield
    except sqlite3.OperationalError as error:
        failure = StoreUnavailableError(f"the file can't be used ({error.sqlite_errorname})")
    except sqlite3.DatabaseError:
        failure = SchemaError("the file is damaged or is no database")
    except sa.exc.OperationalError as error:
        failure = StoreUnavailableError(f"the database can't be reached ({type(error.orig).__name__})")
    else:
        return
    raise failure
