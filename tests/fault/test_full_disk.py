"""The disk below SQLite is really full: 503, nothing is damaged, a P0 is paged all the same, and it recovers."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from incidentd.store.tables import ALERTS
from tests.fault.disk import Disk, limited, realest
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import TIMEKEEPER, WEB, Plant, Told, running

OK, UNAVAILABLE = requests.codes.ok, requests.codes.service_unavailable
SIZE = "24m"
MANY = 100
MOST_POSTS = 200
"""Of 0.4 MB each: more than fits."""
ANSWERED_SECONDS = 20.0


@pytest.mark.parametrize("disk", [realest, limited])
def test_on_a_full_disk_it_says_503_damages_nothing_pages_p0s_and_recovers(
    disk: Callable[[Path, str], AbstractContextManager[Disk]], tmp_path: Path, sqlite_blueprint: Path
) -> None:
    with disk(tmp_path, SIZE) as small:
        database = small.folder / "incidentd.db"
        shutil.copy(sqlite_blueprint, database)
        with running(f"sqlite:///{database}", tmp_path) as plant:
            plant.environ["INCIDENTD_SPOOL"] = str(small.folder / "spool")
            pids = [plant.start(name).pid for name in (WEB, TIMEKEEPER)]
            plant.wait_for_web()
            plant.fire("before", climbs=False)
            plant.until(lambda: not lacks(plant), "all of before to be told and recorded")
            small.fill(pids)
            stored = _post_until_full(plant)
            refused = _fire_until_full(plant)
            plant.until(lambda: plant.is_paged(refused), "the page without the database", ANSWERED_SECONDS)
            assert _damage(database) == []
            small.free(pids)
            plant.fire(refused)
            plant.fire("after")
            plant.until(lambda: not lacks(plant), "all to be told")
            assert _stored(plant) >= stored
            assert [part.deaths for part in plant.parts.values()] == [0, 0]
            assert wrongs(plant, expected=["StoreUnavailableError", "direct_page_not_kept"]) == []
        assert _damage(database) == []


def _post_until_full(plant: Plant) -> set[str]:
    """Notifications of 100 alerts each; returns the fingerprints of those that were stored."""
    stored: set[str] = set()
    for number in range(MOST_POSTS):
        alerts = [_alert(number, each) for each in range(MANY)]
        status = plant.post_all(alerts)
        if status != OK:
            assert status == UNAVAILABLE
            return stored
        stored |= {alert["fingerprint"] for alert in alerts}
    pytest.fail("the disk does not become full")


def _fire_until_full(plant: Plant) -> str:
    """What is small may still fit; returns the first place that does not."""
    for number in range(MOST_POSTS):
        place = f"place-{number}"
        status = plant.post(place)
        if status != OK:
            assert status == UNAVAILABLE
            return place
        plant.told.append(Told(place, climbs=True, at=datetime.now(UTC)))
    pytest.fail("there is always room for one more")


def _alert(number: int, each: int) -> dict[str, Any]:
    labels = {"alertname": f"Disk{number}", "system": "other", "slo": f"disk-{number}", "severity": "info"}
    return {
        "status": "firing",
        "labels": labels | {"instance": str(each)},
        "annotations": {"summary": "full", "description": "." * 4000},
        "startsAt": "2026-11-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:08x}{each:08x}",
    }


def _stored(plant: Plant) -> set[str]:
    return plant.store.read(lambda tx: set(tx.scalars(sa.select(ALERTS.c.fingerprint))))


def _damage(database: Path) -> list[str]:
    """What SQLite finds wrong with its file."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        return [found for (found,) in connection.execute("PRAGMA integrity_check") if found != "ok"]
