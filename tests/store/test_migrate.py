"""The schema: the same from migrations as from the tables, made once, and refused where it is not ours."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from incidentd.errors import SchemaError, StoreUnavailableError
from incidentd.store import incidents
from incidentd.store import migrate as migrating
from incidentd.store.engine import BUSY_SECONDS, Store, open_engine
from incidentd.store.migrate import check, migrate, oldest_compatible, refuse_damaged
from incidentd.store.tables import COMPATIBILITY, METADATA
from tests.servers import free_port
from tests.store.database import SQLITE
from tests.store.row import open_incident

SCRIPTS = ScriptDirectory(str(Path(migrating.__file__).parent / "migrations"))

_MIGRATE = """
import sys
from incidentd.store.engine import BUSY_SECONDS, open_engine
from incidentd.store.migrate import check, migrate
engine = open_engine(sys.argv[1])
sys.stdin.readline()
migrate(engine)
check(engine)
"""


def test_migrations_build_what_the_tables_say(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    engine = open_engine(empty_url)
    migrate(engine)
    migrate(engine)
    check(engine)
    engine.dispose()


def test_several_processes_migrate_at_once(empty_url: str) -> None:
    argv = [sys.executable, "-c", _MIGRATE, empty_url]
    processes = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    outputs = [process.communicate(b"go\n", timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, b"\n".join(outputs).decode()


def test_all_steps_are_one_transaction_so_that_nobody_else_can_do_some_of_them(empty_url: str) -> None:
    engine = open_engine(empty_url)
    commits: list[object] = []
    sa.event.listen(engine, "commit", commits.append)
    migrate(engine)
    check(engine)
    assert len(commits) == 1
    engine.dispose()


def test_whoever_migrates_waits_for_another_longer_than_everyday_writers(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/incidentd.db")
    other = sqlite3.connect(tmp_path / "incidentd.db", isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(BUSY_SECONDS + 1, other.execute, ["ROLLBACK"])
    end.start()
    migrate(engine)
    check(engine)
    end.join()
    other.close()
    engine.dispose()


def test_a_database_that_was_never_migrated_is_not_worked_on(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with pytest.raises(SchemaError, match="incidentd migrate"):
        check(engine)
    engine.dispose()


def test_somebody_elses_database_is_refused_and_left_alone(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE customers (name TEXT)"))
    for refused in (migrate, check):
        with pytest.raises(SchemaError, match="not incidentd's"):
            refused(engine)
    assert sa.inspect(engine).get_table_names() == ["customers"]
    engine.dispose()


@pytest.mark.parametrize("kind", ["no database", "torn page"])
def test_a_damaged_sqlite_file_is_refused_and_never_silently_empty(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "damaged.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    damage(path, kind)
    before = path.read_bytes()
    engine = open_engine(f"sqlite:///{path}")
    for refused in (migrate, refuse_damaged):
        with pytest.raises(SchemaError, match="damaged"):
            refused(engine)
    engine.dispose()
    assert path.read_bytes() == before


def test_a_server_that_is_away_is_unavailable_and_not_a_foreign_schema() -> None:
    engine = open_engine(f"postgresql://postgres@127.0.0.1:{free_port()}/incidentd")
    for unavailable in (migrate, check):
        with pytest.raises(StoreUnavailableError):
            unavailable(engine)
    engine.dispose()


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
def test_what_was_committed_to_sqlite_survives_a_power_loss(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == _FULL
    engine.dispose()


_FULL = 2


def damage(path: Path, how: str) -> None:
    if how == "no database":
        path.write_bytes(b"this is no database, whatever its name says" * 200)
        return
    with sqlite3.connect(path) as connection:
        size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    connection.close()
    with path.open("r+b") as file:
        file.seek(2 * size)
        file.write(b"\xff" * 3 * size)


def head() -> str:
    return str(SCRIPTS.get_current_head())


def newer(url: str, oldest: str | None) -> Engine:
    """The database as a version to come has migrated it: a column more, and what it says of older versions."""
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(sa.text("ALTER TABLE incidents ADD COLUMN mood TEXT"))
        connection.execute(sa.delete(COMPATIBILITY))
        if oldest:
            connection.execute(sa.insert(COMPATIBILITY).values(oldest=oldest))
    return engine


def test_a_newer_schema_that_says_it_suits_this_version_is_worked_on_and_left_as_it_is(database_url: str) -> None:
    engine = newer(database_url, head())
    check(engine)
    migrate(engine)
    with closing(Store(engine)) as store:
        made = open_incident(store, "core")
        assert store.read(lambda tx: incidents.load(tx, [made.id]))[made.id] == (1, made)
        assert store.read(lambda tx: tx.scalar(sa.text("SELECT version_num FROM alembic_version"))) == "9999"


@pytest.mark.parametrize("oldest", ["9998", None])
def test_a_newer_schema_that_does_not_is_refused(database_url: str, oldest: str | None) -> None:
    engine = newer(database_url, oldest)
    for refused in (migrate, check):
        with pytest.raises(SchemaError, match="newer"):
            refused(engine)
    engine.dispose()


def test_a_migrated_database_says_with_which_versions_it_is_compatible(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(COMPATIBILITY.c.oldest)) == oldest_compatible(head())
    engine.dispose()


def test_no_migration_claims_to_suit_a_version_that_does_not_exist_or_is_newer() -> None:
    scripts = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
    for number, revision in enumerate(scripts):
        assert oldest_compatible(revision) in scripts[: number + 1]
