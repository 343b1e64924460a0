"""Whose turn it is to wait for SQLite's write lock."""

import fcntl
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.engine import Store, open_engine
from tests.servers import wait_until


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "incidentd.db"
    with _store(path) as store:
        store.write(lambda tx: tx.execute(sa.text("CREATE TABLE written (by TEXT)")))
    return path


def test_who_has_just_written_writes_again_only_after_the_one_that_waited(database: Path) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def first(tx: Connection) -> None:
        began.set()
        assert goes_on.wait(20)
        _write(tx, "hasty")

    def hasty() -> None:
        with _store(database) as store:
            store.write(first)
            store.write(lambda tx: _write(tx, "hasty"))

    def patient() -> None:
        with _store(database) as store:
            store.write(lambda tx: _write(tx, "patient"))

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(hasty)]
        assert began.wait(20)
        done.append(pool.submit(patient))
        wait_until(lambda: _is_taken(database), "somebody to wait for the lock")
        goes_on.set()
        for each in done:
            each.result(20)
    assert _written(database) == ["hasty", "patient", "hasty"]


def test_a_turn_that_is_never_passed_on_keeps_nobody_from_writing(database: Path) -> None:
    frozen = os.open(_file(database), os.O_RDONLY)
    try:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        with _store(database) as store:
            store.write(lambda tx: _write(tx, "somebody"))
    finally:
        os.close(frozen)
    assert _written(database) == ["somebody"]


def test_without_a_file_for_it_all_write_as_they_can(database: Path) -> None:
    _file(database).unlink()
    _file(database).mkdir()
    with _store(database) as first, _store(database) as second, ThreadPoolExecutor(2) as pool:
        stores = [first, second] * 10
        list(pool.map(lambda store: store.write(lambda tx: _write(tx, "somebody")), stores))
    assert len(_written(database)) == len(stores)


def test_a_store_that_is_closed_keeps_no_file_open(database: Path) -> None:
    with _store(database) as store:
        store.write(lambda tx: _write(tx, "somebody"))
        assert _is_open(database)
    assert not _is_open(database)


@contextmanager
def _store(database: Path) -> Iterator[Store]:
    store = Store(open_engine(f"sqlite:///{database}"))
    try:
        yield store
    finally:
        store.close()


def _write(tx: Connection, name: str) -> None:
    tx.execute(sa.text("INSERT INTO written VALUES (:name)"), {"name": name})


def _written(database: Path) -> list[str]:
    with _store(database) as store:
        return store.read(lambda tx: list(tx.scalars(sa.text("SELECT by FROM written ORDER BY rowid"))))


def _file(database: Path) -> Path:
    return database.with_name(f"{database.name}-turn")


def _is_taken(database: Path) -> bool:
    file = os.open(_file(database), os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def _is_open(database: Path) -> bool:
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if each.readlink() == _file(database):
                return True
    return False
