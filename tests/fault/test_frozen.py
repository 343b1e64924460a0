"""A process that stands still: inside a transaction, between two cycles, or for good."""

import signal
from pathlib import Path

import pytest
import requests

from incidentd.errors import StoreUnavailableError
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import SECOND, TIMEKEEPER, WEB, Part, Plant
from tests.servers import wait_until

FREEZING = ("tests.fault.launcher", "freeze")
LONG_SECONDS = 80.0
"""A busy machine may take its time to start another process."""
OK, UNAVAILABLE = requests.codes.ok, requests.codes.service_unavailable
AWAY = "StoreUnavailableError"
HUNG = '"event": "hung"'
"""What a timekeeper says that stood still for longer than a cycle may take."""


@pytest.mark.parametrize("point", ["mark.before_commit", "claim.before_commit"])
def test_who_freezes_inside_a_transaction_holds_up_the_others_for_a_bounded_time(plant: Plant, point: str) -> None:
    """PostgreSQL ends the transaction after 10 s; SQLite's writers are refused after 2 s until it is over."""
    plant.start(WEB)
    plant.wait_for_web()
    plant.fire("before", climbs=False)
    frozen = plant.start(TIMEKEEPER, point, launcher=FREEZING)
    wait_until(lambda: _stands_still(frozen), "the timekeeper to freeze")
    plant.start(SECOND)
    if plant.database_url.startswith("sqlite"):
        assert plant.post("meanwhile", climbs=False) == UNAVAILABLE
        frozen.signal(signal.SIGCONT)
    plant.fire("meanwhile", climbs=False)
    plant.until(lambda: not lacks(plant), "all to be told", LONG_SECONDS)
    if not plant.database_url.startswith("sqlite"):
        # All is told although the first one still stands still: what it had locked is free again.
        assert _stands_still(frozen)
    frozen.signal(signal.SIGCONT)
    plant.fire("after", climbs=False)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, expected=[AWAY, HUNG]) == []


def test_without_a_timekeeper_webhooks_are_taken_and_delivering_says_no_until_a_new_cycle(plant: Plant) -> None:
    plant.start(WEB)
    timekeeper = plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.until(lambda: plant.status("/-/delivering") == OK, "a cycle")
    _freeze_between_writes(timekeeper, plant)
    wait_until(lambda: plant.status("/-/delivering") == UNAVAILABLE, "the frozen timekeeper to be missed")
    assert plant.status("/-/ready") == OK
    assert plant.post("hung", climbs=False) == OK
    timekeeper.kill()
    assert plant.status("/-/delivering") == UNAVAILABLE
    assert plant.post("dead", climbs=False) == OK
    assert not plant.is_paged("hung")
    plant.fire("hung", climbs=False)
    plant.fire("dead", climbs=False)
    plant.until(lambda: plant.status("/-/delivering") == OK, "a new timekeeper's cycle")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def _freeze_between_writes(part: Part, plant: Plant) -> None:
    """Within a write, on SQLite, it would hold up all others."""
    part.signal(signal.SIGSTOP)
    wait_until(lambda: _stands_still(part), "it to freeze")
    try:
        plant.store.write(lambda _: None)
    except StoreUnavailableError:
        part.signal(signal.SIGCONT)
        _freeze_between_writes(part, plant)


def _stands_still(part: Part) -> bool:
    return Path(f"/proc/{part.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
