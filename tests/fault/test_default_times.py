"""The times that everybody has who sets nothing: tick 0.1 s, lease 30 s, 10 s for a request. A few faults, for real.

Each test waits for what its name says; none of them keeps the machine busy.
"""

import time
from collections.abc import Callable

import pytest

from incidentd.sandbox.fault import FaultKind
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import TEST_PROFILE, TIMEKEEPER, WEB, Plant
from tests.servers import wait_until
from workers.watchdog import HUNG

PROMISED_SECONDS = 32.0
HUNG_SECONDS = 30.0
BUSY_SECONDS = 30.0
"""What a busy machine may add."""


pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def patient(plant: Plant) -> Plant:
    """No time is shortened."""
    for name in TEST_PROFILE:
        plant.environ.pop(name)
    return plant


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
    timekeeper.kill()
    killed_at = time.monotonic()
    plant.until(lambda: len(plant.sandbox.pagerduty.requests) > 1, "another try", PROMISED_SECONDS + BUSY_SECONDS)
    record_property("measured", f"after kill -9, default times: {time.monotonic() - killed_at:.1f} s")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, duplicates=1) == []


def test_a_timekeeper_that_hangs_is_ended_within_30_s_and_the_next_one_delivers(patient: Plant) -> None:
    plant = patient
    plant.start(WEB)
    timekeeper = plant.start(TIMEKEEPER, "mark.after_commit", launcher=("tests.fault.launcher", "hang"))
    plant.wait_for_web()
    plant.post("calm", climbs=False)
    wait_until(timekeeper.is_dead, "the timekeeper to be ended", HUNG_SECONDS + BUSY_SECONDS)
    assert timekeeper.status == HUNG
    plant.fire("calm", climbs=False)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert timekeeper.deaths == 1
    assert wrongs(plant, expected=['"hung"']) == []
