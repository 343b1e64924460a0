"""The database is away: a P0 is paged all the same, and when it is back all is as if it had never been gone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
import requests

from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import TIMEKEEPER, WEB, Plant, running
from tests.servers import PostgresServer
from tests.store.database import POSTGRESQL

Outage = tuple[Plant, Callable[[], None], Callable[[], object]]
"""The plant, what takes its database away, and what gives it back."""

ANSWERED_SECONDS = 5.0
CONSISTENT_SECONDS = 10.0
TIMES = 8


def _migrate(url: str) -> None:
    with closing(Store(open_engine(url))) as store:
        migrate(store.engine)


@contextmanager
def _postgresql(folder: Path) -> Iterator[Outage]:
    server = PostgresServer().create()
    try:
        with server.database() as url:
            _migrate(url)
            with running(url, folder) as plant:
                yield plant, server.stop, server.start
    finally:
        server.remove()


@contextmanager
def _sqlite(folder: Path) -> Iterator[Outage]:
    """Another process holds the lock on its file."""
    path = folder / "incidentd.db"
    _migrate(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        with running(f"sqlite:///{path}", folder) as plant:
            yield plant, lambda: other.execute("BEGIN EXCLUSIVE").close(), lambda: other.execute("ROLLBACK")
    finally:
        other.close()


@pytest.mark.parametrize("database", [_sqlite, _postgresql])
def test_a_p0_is_paged_at_once_and_lost_nowhere(
    database: Callable[[Path], AbstractContextManager[Outage]], tmp_path: Path
) -> None:
    with database(tmp_path) as (plant, take_away, give_back):
        plant.start(WEB)
        plant.start(TIMEKEEPER)
        plant.wait_for_web()
        plant.fire("before", climbs=False)
        plant.until(lambda: not lacks(plant), "all of before to be told and recorded")
        take_away()
        assert plant.post("during") == requests.codes.service_unavailable
        plant.until(lambda: plant.is_paged("during"), "the direct page", ANSWERED_SECONDS)
        give_back()
        plant.fire("during")
        plant.until(lambda: not list((tmp_path / "spool").glob("*.json")), "the folder to be empty", CONSISTENT_SECONDS)
        plant.until(lambda: not lacks(plant), "all to be told")
        assert wrongs(plant, expected="StoreUnavailableError") == []


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_ending_all_connections_again_and_again_under_load_loses_nothing(
    plant: Plant, postgres_server: PostgresServer
) -> None:
    plant.start(WEB)
    plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.fire("climbing")
    for number in range(TIMES):
        postgres_server.terminate_backends()
        plant.fire(f"place-{number}", climbs=False)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert [part.deaths for part in plant.parts.values()] == [0, 0]
    assert wrongs(plant, duplicates=TIMES, expected="StoreUnavailableError") == []
