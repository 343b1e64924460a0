"""Workers that are killed, frozen or told to end while they send."""

import signal
from typing import Any

import sqlalchemy as sa

from incidentd.sandbox.fault import FaultKind
from incidentd.store.tables import CURSORS, DELIVERIES
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import GROUP, LEASE_SECONDS, TIMEKEEPER, WEB, Part, Plant
from tests.servers import wait_until

CROWD = 12
HANG_SECONDS = 0.5
"""Shorter than a request may take: it ends well, if it may."""


def test_kill_9_of_the_worker_group_under_load_loses_nothing(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    plant.start(WEB)
    group = plant.start(GROUP)
    plant.wait_for_web()
    plant.fire("climbing")
    plant.until(lambda: plant.is_paged("climbing"), "the first page")
    for number in range(CROWD):
        plant.fire(f"place-{number}", climbs=False)
        if number == CROWD // 2:
            group.kill()
    plant.until(lambda: not lacks(plant), "all to be told")
    assert group.deaths == 1
    assert wrongs(plant, duplicates=CROWD) == []


def test_a_sender_frozen_beyond_its_lease_changes_nothing_when_it_wakes(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    worker = _sending(plant)
    worker.signal(signal.SIGSTOP)
    wait_until(lambda: _page(plant).accepted_at, "somebody else to deliver", 5 * LEASE_SECONDS)
    before = _page(plant), _attempts(plant)
    worker.signal(signal.SIGCONT)
    wait_until(lambda: '"event": "delivery"' in worker.log.read_text(), "the late result")
    assert (_page(plant), _attempts(plant)) == before
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, duplicates=1) == []


def test_a_worker_told_to_end_finishes_its_send_and_claims_nothing_new(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    worker = _sending(plant)
    assert worker.terminate() == 0
    assert _page(plant).accepted_at
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def _sending(plant: Plant) -> Part:
    """A worker in the middle of sending the only page there is."""
    plant.sandbox.fail("pagerduty", FaultKind.HANG, seconds=HANG_SECONDS)
    plant.start(WEB)
    plant.start(TIMEKEEPER)
    worker = plant.start("page")
    plant.wait_for_web()
    wait_until(lambda: "serving" in worker.log.read_text(), "the worker")
    plant.fire("calm", climbs=False)
    wait_until(lambda: plant.sandbox.pagerduty.requests, "the request to begin")
    return worker


def _page(plant: Plant) -> Any:
    statement = sa.select(CURSORS).where(CURSORS.c.queue == "page")
    return plant.store.read(lambda tx: tx.execute(statement).one())


def _attempts(plant: Plant) -> int:
    statement = sa.select(sa.func.count()).select_from(DELIVERIES).where(DELIVERIES.c.slot == "e1.r1.l1")
    count: int = plant.store.read(lambda tx: tx.execute(statement).scalar_one())
    return count
