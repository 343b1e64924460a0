"""Processes of this version on a database that a newer one has migrated, or that is damaged."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.cli.told import UNUSABLE
from incidentd.store.tables import COMPATIBILITY
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import GROUP, TIMEKEEPER, WEB, Plant, running
from tests.lifecycle.test_side_by_side import EXPANDED
from tests.servers import wait_until
from tests.store.test_migrate import damage, head
from workers.process import MISCONFIGURED


def _migrated(plant: Plant, oldest: str) -> None:
    """As a version to come leaves it: it adds, and says which is the oldest version that may go on."""

    def work(tx: sa.Connection) -> None:
        for statement in EXPANDED:
            tx.execute(sa.text(statement))
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        tx.execute(sa.update(COMPATIBILITY).values(oldest=oldest))

    plant.store.write(work)


def test_where_the_newer_schema_says_so_processes_go_on_and_others_start_and_page(plant: Plant) -> None:
    plant.start(WEB)
    timekeeper = plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.fire("before")
    _migrated(plant, head())
    plant.fire("after")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert [part.deaths for part in plant.parts.values()] == [0, 0]
    for part in plant.parts.values():
        part.kill()
    plant.fire("restarted")
    plant.until(lambda: not lacks(plant), "all to be told by those that started since")
    assert timekeeper.deaths == 1
    assert wrongs(plant) == []


@pytest.mark.parametrize(("name", "status"), [(WEB, UNUSABLE), (GROUP, UNUSABLE), (TIMEKEEPER, MISCONFIGURED)])
def test_where_it_does_not_each_part_refuses_to_start_and_says_so(
    plant_with_redis: Plant, name: str, status: int
) -> None:
    plant = plant_with_redis
    _migrated(plant, "9999")
    part = plant.start(name)
    wait_until(lambda: part.status is not None, "it to end")
    assert part.status == status
    assert "the database belongs to a newer version of incidentd" in part.log.read_text()


@pytest.mark.parametrize("kind", ["no database", "torn page"])
@pytest.mark.parametrize("name", [WEB, GROUP])
def test_on_a_damaged_sqlite_file_each_part_refuses_to_start_and_leaves_it_alone(
    tmp_path: Path, name: str, kind: str
) -> None:
    with running(f"sqlite:///{tmp_path / 'incidentd.db'}", tmp_path) as plant:
        damage(tmp_path / "incidentd.db", kind)
        before = (tmp_path / "incidentd.db").read_bytes()
        part = plant.start(name)
        wait_until(lambda: part.status is not None, "it to end")
        assert part.status == UNUSABLE
        assert "damaged" in part.log.read_text()
        assert (tmp_path / "incidentd.db").read_bytes() == before
