"""Connections to SQLite and PostgreSQL, transactions that are tried again, and one edge for foreign errors."""

import sqlite3
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from incidentd.errors import ConflictError, SchemaError, SettingsError, StoreError, StoreUnavailableError
from incidentd.store.turn import Turn

T = TypeVar("T")

STATEMENT_SECONDS = 2.5
BUSY_SECONDS = 2
IDLE_SECONDS = 10
CONNECT_SECONDS = 2
WRITES = "incidentd_writes"
"""The execution option of an engine whose transactions write: for how many seconds they wait for SQLite's lock."""

_ATTEMPTS = 4
_LOCK_PAUSE_SECONDS = 0.0002
# What each write costs while a process that has the turn is frozen; the way of a page takes several writes.
_TURN_SECONDS = 0.25
# Who has the turn tries so much oftener than those who wait too long for it that it is next, unless it is frozen.
_BESIDE_SECONDS = 0.05
_TURN_PAUSE_SECONDS = 0.001
# A database that another process recovers is busy too: https://www.sqlite.org/rescode.html#busy_recovery
_PRIMARY_CODE = 0xFF
# Longer than PostgreSQL takes to notice a deadlock (1 s); whoever waits is to hear within 3 s that it can't be done.
_RETRY_SECONDS = 1.5
_SQLITE_CONNECTIONS = 15
_LONG = 128
# Kept; what a burst needs beyond is closed after use, as each is a process of the server.
_POSTGRES_CONNECTIONS = 3
_POSTGRES_OVERFLOW = 17
# Statement time-outs are the server's: one that vanished without a word must be noticed here (libpq, milliseconds).
_NOTICE_A_DEAD_SERVER = {
    "tcp_user_timeout": 3000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
_SYNCHRONOUS = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
_RETRIED_STATES = frozenset({"40001", "40P01", "57P01", "57P02", "57P03"})


def open_engine(url: str) -> Engine:
    """An engine with time-outs on every statement.

    What was committed survives a power loss: SQLite runs in WAL mode with ``synchronous=FULL``, PostgreSQL waits too.
    https://www.sqlite.org/pragma.html#pragma_synchronous
    """
    parsed = sa.make_url(url)
    engine = (_open_sqlite if parsed.get_backend_name() == "sqlite" else _open_postgres)(parsed)
    event.listen(engine, "before_execute", _even, retval=True)
    return engine


def _open_postgres(url: sa.URL) -> Engine:
    parsed = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(
        parsed,
        pool_size=_POSTGRES_CONNECTIONS,
        max_overflow=_POSTGRES_OVERFLOW,
        pool_timeout=CONNECT_SECONDS,
        # What was just used has its statements prepared.
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": _postgres_options(), **_NOTICE_A_DEAD_SERVER},
    )
    engine.dialect.use_insertmanyvalues_wo_returning = False
    event.listen(engine, "connect", _insist_on_disk)
    event.listen(engine, "do_executemany", _execute_many)
    return engine


def _even(_connection: Connection, clause: T, several: Any, parameters: Any, _options: object) -> tuple[T, Any, Any]:
    """Lists of nearly the same length as long as each other, by their last value said again.

    Each length makes a statement of its own, which is to be planned, and which drivers prepare and keep.
    """
    evened = {name: _evened(value) for name, value in parameters.items() if isinstance(value, list) and len(value) > 2}
    return clause, several, parameters | evened if evened else parameters


def _evened(values: list[Any]) -> list[Any]:
    length = min(1 << (len(values) - 1).bit_length(), -(-len(values) // _LONG) * _LONG)
    return values + values[-1:] * (length - len(values))


def _insist_on_disk(connection: Any, _record: object) -> None:
    """Wait at each commit until it is on disk, also where the server, the database or the role is told not to.

    Whoever waits for less or more than that, such as a standby, is left to it.
    https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
    """
    connection.autocommit = True
    connection.execute(_SYNCHRONOUS)
    connection.autocommit = False


def _postgres_options() -> str:
    return (
        f"-c statement_timeout={STATEMENT_SECONDS * 1000:.0f}ms -c lock_timeout={BUSY_SECONDS}s"
        f" -c idle_in_transaction_session_timeout={IDLE_SECONDS}s -c timezone=UTC"
    )


def _execute_many(cursor: Any, statement: str, rows: Any, _context: object) -> bool:
    """Rows for a ``COPY … FROM STDIN`` are streamed; whatever else has many rows is sent in one pipeline.

    psycopg ends a pipeline with a Flush, at which PostgreSQL stops to reckon how long the transaction is idle: whoever
    froze then would keep its locks for ever. An empty statement after it lets it reckon again.
    """
    if statement.startswith("COPY "):
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        return True
    try:
        cursor.executemany(statement, rows)
    except Exception:
        # One that the server ended amid a pipeline doesn't always come out of it, and then takes no rollback either.
        if cursor.connection.pgconn.pipeline_status:
            cursor.connection.close()
        raise
    cursor.connection.execute("", prepare=False)
    return True


def _open_sqlite(url: sa.URL) -> Engine:
    path = Path(url.database) if url.database and url.database != ":memory:" else None
    if path:
        _make_folder(path.parent)
    engine = sa.create_engine(
        url,
        pool_size=_SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        # What was just used has the pages in its cache.
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    turn = Turn(path, BUSY_SECONDS)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, turn))
    event.listen(engine, "engine_disposed", lambda _engine: turn.close())
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise SettingsError(f"the database's folder {folder} can't be used: {cause}") from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "cache_size=-4000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection, turn: Turn) -> None:
    """Writers begin IMMEDIATE: one that reads first and writes later would fail at once when another writes."""
    patience = connection.get_execution_options().get(WRITES)
    if patience is None:
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout=0")
    taken = False
    try:
        with suppress(sqlite3.OperationalError):
            taken = _takes_lock(driver, turn, patience)
        if not taken:
            # Once more, for its error to be SQLAlchemy's.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _takes_lock(driver: Any, turn: Turn, patience: float) -> bool:
    """Queue for the write lock for at most so many seconds; after a while, try now and then beside the queue.

    SQLite itself sleeps for up to 100 ms between two tries, while others pass: where several processes write, that
    would be most of what a write takes.
    """
    begun = time.monotonic()
    beside = begun + _TURN_SECONDS
    with turn.queued(begun, patience) as is_mine:
        while (now := time.monotonic()) < begun + patience:
            mine = is_mine()
            if mine or now > beside:
                if _begins(driver):
                    return True
                beside = now + _BESIDE_SECONDS
            time.sleep(_LOCK_PAUSE_SECONDS if mine else _TURN_PAUSE_SECONDS)
    return False


def _begins(driver: Any) -> bool:
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


class Store:
    """Transactions as functions, so that they can be tried again as a whole."""

    def __init__(self, engine: Engine, entry: Callable[[Engine], None] | None = None) -> None:
        """``entry`` is passed before the first transaction: a schema that could not be looked at yet."""
        self.engine = engine
        self._entry = entry
        self._writing = engine.execution_options(**{WRITES: BUSY_SECONDS})

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction and commit it; again when another writer was first.

        Raises:
            StoreUnavailableError: the database can't be written now.
            ConflictError: others were first each time.
            StoreError: the database refuses a value; it always will.
        """
        return self._run(self._writing, work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction that only reads.

        Raises:
            StoreUnavailableError: the database can't be read now.
        """
        return self._run(self.engine, work)

    def open_all(self) -> None:
        """Open each connection that is kept, as far as that can be done now.

        Opened by need, their number would tell of the worst moment ever, and nobody could say whether it leaks; SQLite
        gives no file back before the process has closed its last connection.
        """
        pool = self.engine.pool
        if not isinstance(pool, sa.pool.QueuePool):
            return
        with ExitStack() as opened, suppress(sa.exc.SQLAlchemyError):
            for _ in range(pool.size()):
                opened.enter_context(self.engine.connect())

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        end = time.monotonic() + _RETRY_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._enter()
                return _once(engine, work)
            except (ConflictError, sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                if attempt == _ATTEMPTS or time.monotonic() > end or not _may_pass_at_once(error):
                    raise _translated(error) from error
                time.sleep(0.02 * attempt**2)
        raise AssertionError("unreachable")

    def _enter(self) -> None:
        if self._entry is None:
            return
        try:
            self._entry(self.engine)
        except SchemaError as error:
            raise StoreUnavailableError("the database is not of this version") from error
        self._entry = None


def _once(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except Exception as error:
        # A result left half read would live on in the error's frames, and keep its connection in an old snapshot.
        traceback.clear_frames(error.__traceback__)
        raise


def _may_pass_at_once(error: Exception) -> bool:
    if isinstance(error, ConflictError | sa.exc.IntegrityError):
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _RETRIED_STATES


def _translated(error: Exception) -> Exception:
    """The one edge where the driver's errors become ours. Texts of drivers may carry values: only the kind is kept."""
    if isinstance(error, ConflictError):
        return error
    if isinstance(error, sa.exc.IntegrityError):
        return ConflictError("another writer was first")
    if isinstance(error, sa.exc.DataError):
        return StoreError("the database refuses what was to be stored")
    cause = type(error.orig).__name__ if isinstance(error, sa.exc.DBAPIError) else type(error).__name__
    if cause == "DatabaseError":
        return SchemaError("the database file is damaged or is no database")
    return StoreUnavailableError(f"the database can't be used now ({cause})")
