"""Whose turn it is to wait for SQLite's write lock."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store import engine
from incidentd.store.engine import BUSY_SECONDS, Store, open_engine
from incidentd.store.turn import Turn
from tests.servers import wait_until


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "incidentd.db"
    with _store(path) as store:
        store.write(lambda tx: tx.execute(sa.text("CREATE TABLE written (by TEXT)")))
    return path


def test_who_has_just_written_writes_again_only_after_the_one_that_waited(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever has its turn may be slow to take it: after these times others go on without.
    monkeypatch.setattr(engine, "_TURN_SECONDS", 60.0)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 60)
    began, goes_on = threading.Event(), threading.Event()

    def first(tx: Connection) -> None:
        began.set()
        assert goes_on.wait(120)
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
        assert began.wait(120)
        done.append(pool.submit(patient))
        wait_until(lambda: _places(database), "somebody to wait for the lock")
        goes_on.set()
        for each in done:
            each.result(120)
    assert _written(database) == ["hasty", "patient", "hasty"]


def test_whoever_came_first_is_first_whenever_they_took_their_place(database: Path) -> None:
    now = time.monotonic()
    with _turn(database) as early, _turn(database) as late, late.queued(now, 1) as is_late:
        assert is_late()
        with early.queued(now - 0.1, 1) as is_early:
            assert (is_early(), is_late()) == (True, False)
        assert is_late()


def test_whoever_is_frozen_in_the_queue_keeps_nobody_from_writing(database: Path) -> None:
    with _turn(database) as frozen, frozen.queued(time.monotonic(), 1), _store(database) as store:
        store.write(lambda tx: _write(tx, "somebody"))
    assert _written(database) == ["somebody"]


def test_whoever_was_frozen_for_longer_than_anybody_waits_is_passed_over(database: Path) -> None:
    now = time.monotonic()
    with _turn(database) as frozen, _turn(database) as other, frozen.queued(now, 1):
        for later, free in ((BUSY_SECONDS - 0.5, False), (BUSY_SECONDS + 0.5, True)):
            with other.queued(now + later, 1) as is_mine:
                assert is_mine() == free


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


@contextmanager
def _turn(database: Path) -> Iterator[Turn]:
    turn = Turn(database, BUSY_SECONDS)
    try:
        yield turn
    finally:
        turn.close()


def _write(tx: Connection, name: str) -> None:
    tx.execute(sa.text("INSERT INTO written VALUES (:name)"), {"name": name})


def _written(database: Path) -> list[str]:
    with _store(database) as store:
        return store.read(lambda tx: list(tx.scalars(sa.text("SELECT by FROM written ORDER BY rowid"))))


def _file(database: Path) -> Path:
    return database.with_name(f"{database.name}-turn")


def _places(database: Path) -> int:
    """How many queue: each has locked one byte."""
    inode = f":{_file(database).stat().st_ino} " if _file(database).exists() else "none"
    return sum(inode in line for line in Path("/proc/locks").read_text().splitlines())


def _is_open(database: Path) -> bool:
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if each.readlink() == _file(database):
                return True
    return False
