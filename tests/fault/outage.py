"""A plant whose database can be taken away and given back, and what it does meanwhile and afterwards."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import requests

from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate
from tests.fault.oracle import lacks
from tests.fault.plant import Plant, running
from tests.servers import PostgresServer

Outage = tuple[Plant, Callable[[], None], Callable[[], object]]
"""The plant, what takes its database away, and what gives it back."""

Database = Callable[[Path], AbstractContextManager[Outage]]

ANSWERED_SECONDS = 3.0
PAGED_SECONDS = 5.0
CONSISTENT_SECONDS = 10.0


@contextmanager
def postgresql_stopped(folder: Path) -> Iterator[Outage]:
    """The server is stopped and started again."""
    server = PostgresServer().create()
    try:
        with server.database() as url:
            _migrate(url)
            with running(url, folder) as plant:
                yield plant, server.stop, server.start
    finally:
        server.remove()


@contextmanager
def sqlite_locked(folder: Path) -> Iterator[Outage]:
    """Another process holds the lock on its file."""
    path = folder / "incidentd.db"
    _migrate(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        with running(f"sqlite:///{path}", folder) as plant:
            yield plant, lambda: other.execute("BEGIN EXCLUSIVE").close(), lambda: other.execute("ROLLBACK")
    finally:
        other.close()


def refused_and_paged(plant: Plant, place: str) -> None:
    """Without its database it says soon that it can't store a P0, and pages it."""
    watch, began = plant.stopwatch(), datetime.now(UTC)
    assert plant.post(place) == requests.codes.service_unavailable
    assert watch.complaint(ANSWERED_SECONDS) == ""
    plant.until(lambda: plant.is_paged(place), "the direct page")
    assert watch.complaint(PAGED_SECONDS, (plant.paged_at(place) - began).total_seconds()) == ""


def consistent_again(plant: Plant, *places: str) -> None:
    """Its database is back since just now: soon all is as if it had never been gone."""
    watch = plant.stopwatch()
    for place in places:
        plant.fire(place)
    plant.until(lambda: not list((plant.folder / "spool").glob("*.json")), "the folder to be empty")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert watch.complaint(CONSISTENT_SECONDS) == ""


def _migrate(url: str) -> None:
    with closing(Store(open_engine(url))) as store:
        migrate(store.engine)
