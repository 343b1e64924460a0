"""The database is away: a P0 is paged all the same, and when it is back all is as if it had never been gone."""

from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from incidentd.cli.told import UNUSABLE
from tests.fault.oracle import lacks, wrongs
from tests.fault.outage import Database, consistent_again, postgresql_stopped, refused_and_paged, sqlite_locked
from tests.fault.plant import START_SECONDS, TIMEKEEPER, WEB, Plant
from tests.servers import PostgresServer, wait_until
from tests.store.database import POSTGRESQL

CONNECTED_SECONDS = 2.0
TIMES = 8


@pytest.mark.parametrize("database", [sqlite_locked, postgresql_stopped])
def test_a_p0_is_paged_at_once_and_lost_nowhere(database: Database, tmp_path: Path) -> None:
    with database(tmp_path) as (plant, take_away, give_back):
        plant.start(WEB)
        plant.start(TIMEKEEPER)
        plant.wait_for_web()
        plant.fire("before", climbs=False)
        plant.until(lambda: not lacks(plant), "all of before to be told and recorded")
        take_away()
        refused_and_paged(plant, "during")
        give_back()
        consistent_again(plant, "during")
        assert wrongs(plant, expected=["StoreUnavailableError"]) == []


def test_a_web_part_that_starts_while_the_database_is_away_pages_p0s_and_begins_when_it_is_back(
    tmp_path: Path,
) -> None:
    with postgresql_stopped(tmp_path) as (plant, take_away, give_back):
        web = plant.start(WEB)
        plant.start(TIMEKEEPER)
        plant.wait_for_web()
        plant.fire("before", climbs=False)
        plant.until(lambda: not lacks(plant), "all of before to be told and recorded")
        take_away()
        web.kill()
        web.start()
        unavailable = requests.codes.service_unavailable
        plant.until(lambda: plant.post("during") == unavailable, "an answer without a database", START_SECONDS)
        refused_and_paged(plant, "during-2")
        plant.until(lambda: plant.is_paged("during"), "the direct page of the first")
        assert plant.status("/-/ready") == unavailable
        assert plant.status("/-/healthy") == requests.codes.ok
        give_back()
        consistent_again(plant, "during", "during-2")
        plant.until(lambda: '"database_arrived"' in web.log.read_text(), "the web part to begin")
        assert web.deaths == 0
        assert wrongs(plant, expected=["StoreUnavailableError"]) == []


def test_a_web_part_that_waited_for_its_database_refuses_one_of_a_newer_version(tmp_path: Path) -> None:
    with postgresql_stopped(tmp_path) as (plant, take_away, give_back):
        plant.store.write(lambda tx: tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
        plant.store.write(lambda tx: tx.execute(sa.text("UPDATE compatibility SET oldest = '9999'")))
        plant.store.close()
        take_away()
        web = plant.start(WEB)
        unavailable = requests.codes.service_unavailable
        wait_until(lambda: plant.status("/-/ready") == unavailable, "the web part to start", START_SECONDS)
        give_back()
        wait_until(lambda: web.status is not None, "it to end")
        assert web.status == UNUSABLE
        assert "the database belongs to a newer version of incidentd" in web.log.read_text()


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_ending_all_connections_again_and_again_under_load_loses_nothing(
    plant: Plant, postgres_server: PostgresServer
) -> None:
    plant.start(WEB)
    plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.fire("climbing")
    for number in range(TIMES):
        watch = plant.stopwatch()
        postgres_server.terminate_backends()
        plant.fire(f"place-{number}", climbs=False)
        assert watch.complaint(CONNECTED_SECONDS) == ""
    plant.until(lambda: not lacks(plant), "all to be told")
    assert [part.deaths for part in plant.parts.values()] == [0, 0]
    assert wrongs(plant, expected=["StoreUnavailableError"]) == []
