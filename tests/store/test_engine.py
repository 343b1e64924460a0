"""Transactions: decided anew after a conflict, bounded in time, foreign errors translated."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection

from incidentd.errors import ConflictError, SchemaError, StoreError, StoreUnavailableError
from incidentd.store import engine, incidents
from incidentd.store.engine import Store, open_engine
from incidentd.store.tables import INCIDENTS
from tests.servers import PostgresServer, free_port
from tests.store.database import POSTGRESQL, SQLITE
from tests.store.row import incident, note, open_incident

LONGEST_SECONDS = 15.0
"""Three, and what a busy machine may add."""


def test_nobody_waits_for_the_database_for_three_seconds() -> None:
    assert max(engine.STATEMENT_SECONDS, engine.BUSY_SECONDS, engine.CONNECT_SECONDS) < 3


def test_a_writer_that_was_too_late_decides_anew_on_the_present_state(store: Store) -> None:
    open_incident(store)
    seen: list[int] = []

    def work(tx: Connection) -> None:
        _, found = incidents.load(tx, ["core"])["core"]
        seen.append(found.last)
        if len(seen) == 1:
            raise ConflictError("somebody was first")
        after, _ = note(found)
        incidents.update(tx, [(found.last, after)])

    store.write(work)
    assert seen == [1, 1]
    assert _version(store) == 2


def test_who_is_too_late_each_time_is_told_so(store: Store) -> None:
    tries: list[int] = []

    def work(tx: Connection) -> None:
        tries.append(1)
        raise ConflictError("somebody was first")

    with pytest.raises(ConflictError):
        store.write(work)
    assert len(tries) > 1


def test_what_fails_leaves_nothing(store: Store) -> None:
    def work(tx: Connection) -> None:
        incidents.insert(tx, [incident()])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(work)
    assert store.read(lambda tx: incidents.load(tx, ["core"])) == {}


def test_a_row_that_another_holds_for_long_makes_the_store_unavailable_within_three_seconds(
    store: Store, open_store: Callable[[], Store]
) -> None:
    open_incident(store)
    held, done = threading.Event(), threading.Event()

    def hold(tx: Connection) -> None:
        incidents.lock(tx, ids=["core"])
        held.set()
        done.wait(20)

    holder = threading.Thread(target=open_store().write, args=(hold,))
    holder.start()
    try:
        assert held.wait(120)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            store.write(lambda tx: incidents.lock(tx, ids=["core"]))
        assert time.monotonic() - begun < LONGEST_SECONDS
    finally:
        done.set()
        holder.join()


def test_readers_do_not_wait_for_a_writer(store: Store, open_store: Callable[[], Store]) -> None:
    open_incident(store)
    reader = open_store()

    def work(tx: Connection) -> int:
        incidents.lock(tx, ids=["core"])
        return len(reader.read(lambda tx: incidents.load(tx, ["core"])))

    assert store.write(work) == 1


# What a process holds while it recovers SQLite's log after a crash: https://www.sqlite.org/walformat.html#wal_locks
RECOVERING = """
import fcntl, os, sys
shared = os.open(sys.argv[1], os.O_RDWR)
for lock in (120, 122):
    fcntl.lockf(shared, fcntl.LOCK_EX, 1, lock)
os.pwrite(shared, bytes(96), 0)
print("recovering", flush=True)
sys.stdin.readline()
"""


def test_a_writer_waits_until_another_process_has_recovered_the_file(tmp_path: Path) -> None:
    store = Store(open_engine(f"sqlite:///{tmp_path / 'i.db'}"))
    store.write(lambda tx: tx.execute(sa.text("CREATE TABLE page (number INTEGER)")))
    argv = [sys.executable, "-c", RECOVERING, str(tmp_path / "i.db-shm")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        end = threading.Timer(0.1, other.kill)
        end.start()
        store.write(lambda tx: tx.execute(sa.text("INSERT INTO page VALUES (1)")))
        end.join()
    assert store.read(lambda tx: tx.scalar(sa.text("SELECT number FROM page"))) == 1
    store.close()


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_a_statement_that_never_ends_is_ended_by_postgresql(store: Store) -> None:
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        store.read(lambda tx: tx.execute(sa.text("SELECT pg_sleep(60)")))
    assert time.monotonic() - begun < LONGEST_SECONDS


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_every_postgresql_connection_has_its_time_outs(store: Store) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    shown = store.read(lambda tx: [tx.execute(sa.text(f"SHOW {name}")).scalar_one() for name in names])
    assert "0" not in shown


@pytest.mark.parametrize(("told", "kept"), [("off", "on"), ("on", "on"), ("local", "local")])
def test_postgresql_waits_for_its_disk_where_it_is_told_not_to(postgres_url: str, told: str, kept: str) -> None:
    engine = open_engine(postgres_url)
    name = engine.url.database
    with engine.begin() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = {told}')
    engine.dispose()
    engine = open_engine(postgres_url)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == kept
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == kept
    engine.dispose()


def test_a_server_that_is_away_makes_the_store_unavailable() -> None:
    store = Store(open_engine(f"postgresql://postgres@127.0.0.1:{free_port()}/incidentd"))
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        store.read(lambda tx: incidents.load(tx, ["core"]))
    assert time.monotonic() - begun < LONGEST_SECONDS
    store.close()


def test_connections_that_the_server_ended_are_replaced_without_a_word(
    store: Store, postgres_server: PostgresServer
) -> None:
    open_incident(store)
    postgres_server.terminate_backends()
    assert _version(store) == 1
    postgres_server.terminate_backends()
    store.write(lambda tx: incidents.update(tx, [(1, note(incident())[0])]))
    assert _version(store) == 2


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_a_connection_that_does_not_come_out_of_its_pipeline_is_replaced_without_a_word(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As psycopg leaves one whose server ended it at the wrong instant: about once in a thousand times."""
    stuck: list[psycopg.Connection[object]] = []

    def stick(cursor: psycopg.Cursor[object], *_: object) -> None:
        monkeypatch.undo()
        stuck.append(cursor.connection)
        cursor.connection.pgconn.enter_pipeline_mode()
        cursor.connection.pgconn.send_query_params(b"SELECT 1", [])
        raise psycopg.OperationalError("cannot exit pipeline mode while busy")

    monkeypatch.setattr(psycopg.Cursor, "executemany", stick)
    store.write(lambda tx: tx.execute(sa.text("SELECT length(:text)"), [{"text": "a"}, {"text": "b"}]))
    assert [connection.closed for connection in stuck] == [True]
    assert not caplog.records


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_text_that_the_database_refuses_is_no_passing_fault_of_the_store(store: Store) -> None:
    """Else Alertmanager would send it for ever, and each time fail all that waits with it. SQLite takes a NUL."""
    with pytest.raises(StoreError) as raised:
        open_incident(store, title="N\0L")
    assert not isinstance(raised.value, StoreUnavailableError)


def test_no_error_carries_what_was_to_be_stored(store: Store) -> None:
    with pytest.raises((StoreError, SchemaError)) as raised:
        store.write(lambda tx: tx.execute(sa.text("INSERT INTO no_such_table VALUES ('c4n4ry')")))
    assert "c4n4ry" not in str(raised.value)


def test_as_many_at_once_as_may_be_leave_no_further_file_open(store: Store) -> None:
    store.open_all()
    before, at_once = _open_files(), threading.Barrier(15)
    with ThreadPoolExecutor(15) as pool:
        list(pool.map(lambda _: store.read(lambda tx: _waits_for_all(tx, at_once)), range(15)))
    assert _open_files() == before
    store.close()
    assert _open_files() <= before - (15 if store.engine.dialect.name == "sqlite" else 3)


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
def test_who_finds_all_connections_in_use_waits_for_one(store: Store) -> None:
    store.open_all()
    with ThreadPoolExecutor(30) as pool:
        waits = [pool.submit(store.read, lambda _tx: time.sleep(0.1)) for _ in range(30)]
    assert [each.exception() for each in waits] == [None] * 30


def test_a_database_that_cannot_be_opened_now_is_opened_by_need_later(tmp_path: Path) -> None:
    path = tmp_path / "incidentd.db"
    path.mkdir()
    with closing(Store(open_engine(f"sqlite:///{path}"))) as store:
        store.open_all()
        path.rmdir()
        assert store.read(lambda tx: tx.execute(sa.text("SELECT 1")).scalar_one()) == 1


def _waits_for_all(tx: Connection, all_here: threading.Barrier) -> None:
    tx.execute(sa.select(INCIDENTS.c.version)).all()
    all_here.wait(LONGEST_SECONDS)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the entries are counted, not read


def _version(store: Store) -> int:
    version: int = store.read(lambda tx: tx.execute(sa.select(INCIDENTS.c.version)).scalar_one())
    return version


def test_lists_of_nearly_the_same_length_make_one_statement(store: Store) -> None:
    sent: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *told: sent.append(told[2]))
    among = sa.select(sa.literal(1)).where(sa.literal(7).in_(sa.bindparam("listed", expanding=True)))

    def is_among(length: int) -> bool:
        return store.read(lambda tx: tx.scalar(among, {"listed": list(range(length))})) is not None

    assert [is_among(length) for length in range(300)] == [False] * 8 + [True] * 292
    # None, one, two, the powers of two up to 256, 384.
    assert len({statement for statement in sent if " IN " in statement}) == 11
