"""The schema: made, brought up to date, and refused where it is not ours."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from incidentd.errors import SchemaError, StoreUnavailableError
from incidentd.store.engine import WRITES
from incidentd.store.tables import COMPATIBILITY

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 7_221_309
_PATIENCE_SECONDS = 600
_OURS = "alembic_version"


def migrate(engine: Engine) -> str:
    """Bring the database to this version's schema; several processes may do so at once.

    Returns the oldest revision whose version of the program works on the schema.

    Raises:
        SchemaError: the database is damaged, holds somebody else's tables, or is newer than this version.
        StoreUnavailableError: it can't be reached.
    """
    refuse_damaged(engine)
    with _translated():
        with engine.connect() as connection:
            _refuse_foreign(connection)
            if _is_served(connection):
                return _oldest(connection)
        with engine.execution_options(**{WRITES: _PATIENCE_SECONDS}).connect() as connection:
            _lock(connection)
            command.upgrade(_config(connection), "head")
            _say_compatible(connection)
            connection.commit()
            return _oldest(connection)


def refuse_damaged(engine: Engine) -> None:
    """Read the whole of a SQLite file: for the start of everything, not of each process.

    Raises:
        SchemaError: the file is damaged or is no database.
    """
    if engine.dialect.name != "sqlite":
        return
    with _translated(), engine.connect() as connection:
        if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok":
            raise SchemaError("the database file is damaged")


def check(engine: Engine) -> None:
    """Refuse to work on a schema that is not this version's, nor a newer one that says it suits this version too.

    Raises:
        SchemaError: as ``migrate``, or the schema is still to be migrated.
        StoreUnavailableError: it can't be reached.
    """
    with _translated(), engine.connect() as connection:
        _refuse_foreign(connection)
        if not _is_served(connection):
            if _revision(connection) is None:
                raise SchemaError("the database is empty: run `incidentd migrate` first, which makes its tables")
            raise SchemaError("the database has an older schema: run `incidentd migrate` first")


def _refuse_foreign(connection: Connection) -> None:
    tables = set(sa.inspect(connection).get_table_names())
    if tables and _OURS not in tables:
        raise SchemaError("the database holds tables that are not incidentd's")
    revision = _revision(connection) if tables else None
    if revision is not None and revision not in _known() and not _suits_older(connection, tables):
        raise SchemaError("the database belongs to a newer version of incidentd")


def oldest_compatible(revision: str) -> str:
    """The oldest revision whose version of the program works on the schema of this one.

    A migration that names none in ``compatible_from`` suits no version before its own; each one on the way counts.
    """
    way = list(_scripts().walk_revisions("base", revision))[::-1]
    order = [script.revision for script in way]
    return max((str(getattr(each.module, "compatible_from", each.revision)) for each in way), key=order.index)


def _is_served(connection: Connection) -> bool:
    """Whether the schema is this version's, or a newer one that was not refused."""
    revision = _revision(connection)
    return revision is not None and (revision == _head() or revision not in _known())


def _suits_older(connection: Connection, tables: set[str]) -> bool:
    """Whether the schema, which is newer than this version, says that this version may work on it."""
    if COMPATIBILITY.name not in tables:
        return False
    return _oldest(connection) in _known()


def _oldest(connection: Connection) -> str:
    return str(connection.scalar(sa.select(COMPATIBILITY.c.oldest)))


def _say_compatible(connection: Connection) -> None:
    """For versions to come: those that are older than the schema look here."""
    connection.execute(sa.delete(COMPATIBILITY))
    connection.execute(sa.insert(COMPATIBILITY).values(oldest=oldest_compatible(str(_head()))))


def _lock(connection: Connection) -> None:
    """One migrates, the others wait for it; neither is bound by the time-outs of everyday statements.

    Whatever begins the transaction here, alembic does all of its steps in it, and SQLite's lock is held throughout.
    """
    connection.begin()
    if connection.dialect.name == "postgresql":
        for setting in ("lock_timeout", "statement_timeout"):
            connection.execute(sa.text(f"SET LOCAL {setting} = '{_PATIENCE_SECONDS}s'"))
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_SCRIPTS))


def _head() -> str | None:
    return _scripts().get_current_head()


def _known() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


class _translated:  # noqa: N801
    """The drivers' errors as ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sa.exc.DatabaseError) and type(error.orig).__name__ == "DatabaseError":
            raise SchemaError("the database file is damaged or is no database") from error
        if isinstance(error, sa.exc.OperationalError):
            raise StoreUnavailableError("the database can't be reached") from error
