"""What a power loss would take at the instant of an answer: of what was answered, nothing."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.fault.page_cache import can_tell, unwritten
from tests.fault.plant import WEB, Plant, running
from tests.servers import wait_until

TIMES = 20
SYNCED_SECONDS = 10.0
"""For what others write at that instant. By itself the kernel waits for 30 s: vm.dirty_expire_centisecs."""
ANSWERED_SECONDS = 20.0


@pytest.fixture
def plant_on_disk(tmp_path: Path, sqlite_blueprint: Path) -> Iterator[Plant]:
    if not can_tell(tmp_path):
        pytest.skip("this kernel, or the filesystem of the temporary folder, does not tell what is on the disk")
    database = tmp_path / "incidentd.db"
    shutil.copy(sqlite_blueprint, database)
    with running(f"sqlite:///{database}", tmp_path) as plant:
        yield plant


def test_whatever_was_answered_with_2xx_is_on_the_disk_by_then(plant_on_disk: Plant, tmp_path: Path) -> None:
    plant = plant_on_disk
    plant.start(WEB)
    plant.wait_for_web()
    for number in range(TIMES):
        plant.fire(f"place-{number}")
        _expect_on_disk(tmp_path / "incidentd.db-wal")
        plant.answer_unpaged(f"place-{number}")
        _expect_on_disk(tmp_path / "incidentd.db-wal")


def test_a_page_without_the_database_is_on_the_disk_by_the_time_it_is_sent(
    plant_on_disk: Plant, tmp_path: Path
) -> None:
    plant = plant_on_disk
    plant.start(WEB)
    plant.wait_for_web()
    with closing(sqlite3.connect(tmp_path / "incidentd.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert plant.post("during") == requests.codes.service_unavailable
        wait_until(lambda: plant.sandbox.pagerduty.requests, "the direct page", ANSWERED_SECONDS)
        # What becomes of its tries is noted beside it, and such a note may be gone again.
        (page,) = (note for note in (tmp_path / "spool").glob("*.json") if "~" not in note.name)
        _expect_on_disk(page)


def test_what_a_database_has_not_synced_is_noticed(plant_on_disk: Plant, tmp_path: Path) -> None:
    """The instrument is tested too, with the setting that many have."""
    path = tmp_path / "careless.db"
    with closing(sqlite3.connect(path)) as careless:
        careless.execute("PRAGMA journal_mode=WAL")
        careless.execute("PRAGMA synchronous=NORMAL")
        careless.execute("CREATE TABLE told (what TEXT)")
        careless.execute("INSERT INTO told VALUES ('all of it')")
        careless.commit()
        assert unwritten(tmp_path / "careless.db-wal") > 0


def _expect_on_disk(path: Path) -> None:
    wait_until(lambda: unwritten(path) == 0, f"{path.name} to be on the disk", SYNCED_SECONDS)
