"""Workers that are killed, frozen or told to end while they send."""

import os
import signal
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from incidentd.incident.slot import PAGE
from incidentd.jobs import Enqueuer
from incidentd.sandbox.fault import FaultKind
from incidentd.store.tables import CURSORS, DELIVERIES
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import GROUP, LEASE_SECONDS, TIMEKEEPER, WEB, Part, Plant
from tests.servers import children_of, wait_until

CROWD = 12
FOUND_SECONDS = 5.0
FORGOTTEN_SECONDS = 30.0
HANG_SECONDS = 1.5
"""Shorter than a request may take: it ends well, if it may."""
LOOKS = 200
"""At what is there, before its job counts as lost: two seconds of them."""


def test_kill_9_of_web_worker_and_the_whole_group_under_load_loses_nothing(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    web, group = plant.start(WEB), plant.start(GROUP)
    plant.wait_for_web()
    plant.fire("climbing")
    plant.until(lambda: plant.is_paged("climbing"), "the first page")
    blows = {CROWD // 4: web.kill, CROWD // 2: lambda: _kill_worker(group), 3 * CROWD // 4: group.kill}
    for number in range(CROWD):
        plant.fire(f"place-{number}", climbs=False)
        blows.get(number, lambda: None)()
    plant.until(lambda: not lacks(plant), "all to be told")
    assert (web.deaths, group.deaths) == (1, 1)
    assert wrongs(plant, in_flight=2) == []


def test_while_workers_crash_as_soon_as_they_start_the_timekeeper_delivers(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    plant.start(WEB)
    group = plant.start(GROUP, launcher=("tests.fault.launcher", "crash"))
    plant.wait_for_web()
    plant.until(lambda: group.log.read_text().count('"status": 3') >= 2, "the workers to crash again and again")
    # Where Redis seems away for a moment, the timekeeper does the work without having entrusted it.
    places, watch = map(str, range(20)), plant.stopwatch()
    while '"jobs_taken_back"' not in group.log.read_text():
        _page_one(plant, next(places))
    assert plant.late_pages(watch, FOUND_SECONDS) == []
    plant.until(lambda: not lacks(plant), "all to be told")
    plant.until(lambda: _says(plant, "workers") == 1, "the metric that says so")
    all_is_done = (requests.codes.ok, "ok; page ends as soon as it starts")
    plant.until(lambda: plant.detail("/-/delivering") == all_is_done, "a cycle, and what dies")
    if plant.database_url.startswith("sqlite"):
        _mend(plant, group)
    assert wrongs(plant, expected=['"died"']) == []


def _page_one(plant: Plant, place: str) -> None:
    plant.fire(place, climbs=False)
    plant.until(lambda: plant.is_paged(place), "the page")


def _mend(plant: Plant, group: Part) -> None:
    """A sound group takes the place of one that crashes."""
    group.terminate()
    plant.start(GROUP)
    plant.until(lambda: _says(plant, "workers") == 0, "it to be over", 2 * FORGOTTEN_SECONDS)
    plant.until(lambda: plant.detail("/-/delivering") == (requests.codes.ok, "ok"), "a cycle of the new group")


def test_a_sender_frozen_beyond_its_lease_changes_nothing_when_it_wakes(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    worker = sending(plant)
    worker.signal(signal.SIGSTOP)
    wait_until(lambda: _page(plant).accepted_at, "somebody else to deliver", 5 * LEASE_SECONDS)
    before = _page(plant), _attempts(plant)
    worker.signal(signal.SIGCONT)
    wait_until(lambda: '"event": "delivery"' in worker.log.read_text(), "the late result")
    assert (_page(plant), _attempts(plant)) == before
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, in_flight=1) == []


def test_a_worker_told_to_end_finishes_its_send_and_claims_nothing_new(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    worker = sending(plant)
    assert worker.terminate() == 0
    assert _page(plant).accepted_at
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def sending(plant: Plant, launcher: tuple[str, ...] = ()) -> Part:
    """A worker in the middle of sending the only page there is."""
    plant.sandbox.fail("pagerduty", FaultKind.HANG, seconds=HANG_SECONDS)
    plant.start(WEB)
    worker = plant.start("page", launcher=launcher)
    plant.wait_for_web()
    wait_until(lambda: "serving" in worker.log.read_text(), "the worker")
    plant.fire("calm", climbs=False)
    _await_request(plant)
    # Not before: on a busy machine it would find the page late, and send it in the worker's place.
    plant.start(TIMEKEEPER)
    return worker


def _await_request(plant: Plant) -> None:
    """The web part's job may be lost where Redis is slow, and without a timekeeper nobody finds the page."""
    waking = cycle([False] * LOOKS + [True])

    def begun() -> bool:
        if next(waking):
            _wake(plant)
        return bool(plant.sandbox.pagerduty.requests)

    wait_until(begun, "the request to begin")


def _wake(plant: Plant) -> None:
    assert plant.redis
    with closing(Enqueuer(plant.redis.url)) as enqueuer:
        enqueuer.enqueue({PAGE: [_page(plant).incident_id]})


def _says(plant: Plant, mode: str) -> float:
    metrics = requests.get(f"{plant.url}/metrics", timeout=5).text
    return float(metrics.split(f'incidentd_degraded{{mode="{mode}"}} ')[1].split("\n")[0])


def _kill_worker(group: Part) -> None:
    """kill -9 of the process that sends pages."""
    for child in children_of(group.pid):
        if Path(f"/proc/{child}/cmdline").read_bytes().endswith(b"\0page\0"):
            os.kill(child, signal.SIGKILL)
            return
    raise AssertionError("there is no such worker")


def _page(plant: Plant) -> Any:
    statement = sa.select(CURSORS).where(CURSORS.c.queue == "page")
    return plant.store.read(lambda tx: tx.execute(statement).one())


def _attempts(plant: Plant) -> int:
    statement = sa.select(sa.func.count()).select_from(DELIVERIES).where(DELIVERIES.c.slot == "e1.r1.l1")
    count: int = plant.store.read(lambda tx: tx.execute(statement).scalar_one())
    return count
