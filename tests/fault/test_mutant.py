"""The suite is tested too: with a fault of the known kinds in the code, the oracle must complain."""

import signal
from pathlib import Path

import pytest

from incidentd.clock import SystemClock
from incidentd.sandbox.fault import FaultKind
from tests.fault.mutant import HOLD, MUTANTS, reached
from tests.fault.oracle import answered_at, lacks, wrongs
from tests.fault.plant import LEASE_SECONDS, TIMEKEEPER, WEB, Plant
from tests.fault.test_failpoint import POINTS
from tests.fault.test_worker import sending
from tests.store.database import SQLITE

MUTANT = "tests.fault.mutant"


def test_an_incident_without_its_cursors_is_noticed(plant: Plant) -> None:
    plant.start(WEB, "web.after_commit", launcher=(MUTANT, "split"))
    plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    plant.until(lambda: _is_lost(plant), "the loss to be noticed")


def test_a_cursor_that_moves_before_its_page_is_sent_is_noticed(plant: Plant) -> None:
    plant.start(WEB)
    plant.start(TIMEKEEPER, "send.before", launcher=(MUTANT, "early"))
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    plant.until(lambda: _is_lost(plant), "the loss to be noticed")


@pytest.mark.parametrize(("mutant", "is_wrong"), [("sound", False), ("unleased", True)])
def test_a_late_result_that_counts_without_its_lease_is_noticed(
    plant_with_redis: Plant, mutant: str, is_wrong: bool
) -> None:
    plant = plant_with_redis
    worker = sending(plant, launcher=(MUTANT, mutant))
    worker.signal(signal.SIGSTOP)
    plant.until(lambda: not lacks(plant), "somebody else to deliver")
    worker.signal(signal.SIGCONT)
    plant.until(lambda: '"event": "delivery"' in worker.log.read_text(), "the late result")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert ("page-oncall accepted e1.r1.l1 twice" in " ".join(wrongs(plant, in_flight=1))) is is_wrong


@pytest.mark.parametrize(("mutant", "is_wrong"), [("sound", False), ("unread", True)])
def test_a_page_that_is_sent_although_it_was_answered_meanwhile_is_noticed(
    plant: Plant, tmp_path: Path, mutant: str, is_wrong: bool
) -> None:
    held = tmp_path / "held"
    held.touch()
    plant.environ[HOLD] = str(held)
    plant.start(WEB)
    plant.start(TIMEKEEPER, launcher=(MUTANT, mutant))
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    plant.until(reached(held).exists, "the page to be looked up")
    plant.answer_unpaged("calm")
    plant.until(lambda: _seconds_since_the_answer(plant) > LEASE_SECONDS, "whatever was in flight to arrive")
    held.unlink()
    plant.until(lambda: not lacks(plant) and (plant.is_paged("calm") or not is_wrong), "all to be told")
    assert any("was paged after it was answered" in wrong for wrong in wrongs(plant)) is is_wrong


@pytest.mark.parametrize(("mutant", "is_wrong"), [("sound", False), ("deaf", True)])
def test_a_page_that_is_decided_on_after_the_answer_is_noticed_however_soon_it_comes(
    plant: Plant, mutant: str, is_wrong: bool
) -> None:
    plant.start(WEB)
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    plant.answer_unpaged("calm")
    plant.start(TIMEKEEPER, launcher=(MUTANT, mutant))
    plant.until(lambda: not lacks(plant) and (plant.is_paged("calm") or not is_wrong), "all to be told")
    assert any("knew of entry" in wrong for wrong in wrongs(plant)) is is_wrong


@pytest.mark.parametrize(("mutant", "is_wrong"), [("sound", False), ("forgetful", True)])
def test_a_page_that_fails_again_and_again_and_is_told_nowhere_else_is_noticed(
    plant: Plant, mutant: str, is_wrong: bool
) -> None:
    plant.sandbox.fail("pagerduty", FaultKind.STATUS, times=3)
    plant.start(WEB)
    plant.start(TIMEKEEPER, launcher=(MUTANT, mutant))
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    expected = ["nobody else was told that pages of calm fail"] if is_wrong else []
    plant.until(lambda: plant.is_paged("calm") and lacks(plant) == expected, "all else to be told")
    assert wrongs(plant) == []


def _seconds_since_the_answer(plant: Plant) -> float:
    return (SystemClock().now() - answered_at(plant, "calm")).total_seconds()


def test_both_points_are_among_those_of_the_suite() -> None:
    points = {point.partition(":")[0] for pair in POINTS for point in pair}
    assert {"web.after_commit", "send.before"} <= points


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_mutant_that_nothing_kills_passes_for_sound(plant: Plant, mutant: str) -> None:
    """So it is the failpoint that shows the fault, and not the mutant's clumsiness."""
    plant.start(WEB, launcher=(MUTANT, mutant))
    plant.start(TIMEKEEPER, launcher=(MUTANT, mutant))
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    # One of them calls a page told before it is recorded as accepted.
    plant.until(lambda: not lacks(plant) and not wrongs(plant), "all to be told, and recorded")
    assert wrongs(plant) == []


def _is_lost(plant: Plant) -> bool:
    """Whether something is lacking although all has come to rest: it will not come any more."""
    lost = {"level 1 of calm was not paged", "calm has no card"}
    return sum(part.deaths for part in plant.parts.values()) == 1 and bool(lacks(plant)) and lost >= set(lacks(plant))
