"""The times that everybody has who sets nothing: tick 0.1 s, lease 30 s, 10 s for a request. A few faults, for real.

Each test waits for what its name says; none of them keeps the machine busy.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from incidentd.sandbox.fault import FaultKind
from tests.fault.oracle import lacks, wrongs
from tests.fault.outage import Database, consistent_again, postgresql_stopped, refused_and_paged, sqlite_locked
from tests.fault.plant import GROUP, TEST_PROFILE, TIMEKEEPER, WEB, Plant
from tests.servers import wait_until
from workers.watchdog import HUNG

DELIVERED_SECONDS = 32.0
ENDED_SECONDS = 30.0
PAGED_SECONDS = 5.0
PAGES = 3
FROZEN_SECONDS, EVERY_SECONDS = 30.0, 3.0

pytestmark = pytest.mark.timeout(900)


def _with_default_times(plant: Plant) -> Plant:
    for name in TEST_PROFILE:
        plant.environ.pop(name)
    return plant


@pytest.fixture
def patient(plant: Plant) -> Plant:
    """No time is shortened."""
    return _with_default_times(plant)


@pytest.fixture
def patient_with_redis(plant_with_redis: Plant) -> Plant:
    """Nor is one here."""
    return _with_default_times(plant_with_redis)


def test_what_a_killed_sender_had_leased_is_delivered_within_32_s(
    patient: Plant, record_property: Callable[[str, object], None]
) -> None:
    plant = patient
    plant.sandbox.fail("pagerduty", FaultKind.HANG, seconds=5)
    plant.start(WEB)
    timekeeper = plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    wait_until(lambda: plant.sandbox.pagerduty.requests, "the request to begin")
    watch, killed_at = plant.stopwatch(), datetime.now(UTC)
    timekeeper.kill()
    plant.until(lambda: plant.is_paged("calm"), "the page")
    took = (plant.paged_at("calm") - killed_at).total_seconds()
    record_property("measured", f"after kill -9, default times: {took:.1f} s")
    assert watch.complaint(DELIVERED_SECONDS, took) == ""
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, in_flight=1) == []


def test_a_timekeeper_that_hangs_is_ended_within_30_s_and_the_next_one_delivers(patient: Plant) -> None:
    plant = patient
    plant.start(WEB)
    timekeeper = plant.start(TIMEKEEPER, "mark.after_commit", launcher=("tests.fault.launcher", "hang"))
    plant.wait_for_web()
    plant.until(lambda: plant.status("/-/delivering") == requests.codes.ok, "a cycle")
    watch = plant.stopwatch()
    plant.fire("calm", climbs=False)
    plant.until(lambda: plant.status("/-/delivering") == requests.codes.service_unavailable, "it to be missed")
    assert plant.status("/-/ready") == requests.codes.ok
    wait_until(timekeeper.is_dead, "the timekeeper to be ended")
    assert watch.complaint(ENDED_SECONDS) == ""
    assert timekeeper.status == HUNG
    plant.until(lambda: not lacks(plant), "all to be told")
    assert timekeeper.deaths == 1
    assert wrongs(plant, expected=['"hung"']) == []


def test_with_redis_killed_pages_leave_within_5_s(patient_with_redis: Plant) -> None:
    plant = patient_with_redis
    assert plant.redis
    plant.start(WEB)
    plant.start(GROUP)
    _page_one(plant, "before")
    plant.redis.kill()
    for number in range(PAGES):
        _page_in_time(plant, f"during-{number}")
    plant.redis.start()
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def test_with_redis_frozen_for_30_s_pages_leave_within_5_s_and_workers_come_back(patient_with_redis: Plant) -> None:
    plant = patient_with_redis
    assert plant.redis
    plant.start(WEB)
    plant.start(GROUP)
    plant.until(plant.workers_run, "the workers")
    _page_one(plant, "before")
    plant.redis.freeze()
    end, number = time.monotonic() + FROZEN_SECONDS, 0
    while time.monotonic() < end:
        _page_in_time(plant, f"during-{number}")
        time.sleep(EVERY_SECONDS)
        number += 1
    plant.redis.thaw()
    plant.until(lambda: _is_delivering(plant), "workers to be back by themselves")
    _page_in_time(plant, "after")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def test_while_workers_crash_as_soon_as_they_start_pages_leave_within_5_s(patient_with_redis: Plant) -> None:
    plant = patient_with_redis
    plant.start(WEB)
    group = plant.start(GROUP, launcher=("tests.fault.launcher", "crash"))
    plant.until(lambda: group.log.read_text().count('"status": 3') >= 2, "the workers to crash again and again")
    _page_one(plant, "before")
    for number in range(PAGES):
        _page_in_time(plant, f"during-{number}")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, expected=['"died"']) == []


@pytest.mark.parametrize(("database", "seconds"), [(sqlite_locked, 10), (postgresql_stopped, 60)])
def test_a_database_that_is_long_away_costs_no_page_and_10_s_after_its_return_all_is_consistent(
    database: Database, seconds: float, tmp_path: Path
) -> None:
    with database(tmp_path) as (plant, take_away, give_back):
        _with_default_times(plant)
        plant.start(WEB)
        plant.start(TIMEKEEPER)
        _page_one(plant, "before")
        plant.until(lambda: not lacks(plant), "all of before to be told and recorded")
        take_away()
        end = time.monotonic() + seconds
        refused_and_paged(plant, "first")
        time.sleep(max(0.0, end - time.monotonic()))
        refused_and_paged(plant, "last")
        give_back()
        consistent_again(plant, "first", "last")
        assert wrongs(plant, expected=["StoreUnavailableError"]) == []


def _is_delivering(plant: Plant) -> bool:
    """Neither Redis nor a worker is missed any more."""
    status, detail = plant.detail("/-/delivering")
    return status == requests.codes.ok and "Redis" not in detail


def _page_one(plant: Plant, place: str) -> None:
    plant.fire(place, climbs=False)
    plant.until(lambda: plant.is_paged(place), f"the page of {place}")


def _page_in_time(plant: Plant, place: str) -> None:
    watch = plant.stopwatch()
    _page_one(plant, place)
    assert plant.late_pages(watch, PAGED_SECONDS) == []
