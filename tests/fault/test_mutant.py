"""The suite is tested too: with a fault of the known kinds in the code, the oracle must complain."""

import pytest

from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import TIMEKEEPER, WEB, Plant
from tests.fault.test_failpoint import POINTS

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


def test_both_points_are_among_those_of_the_suite() -> None:
    points = {point.partition(":")[0] for pair in POINTS for point in pair}
    assert {"web.after_commit", "send.before"} <= points


@pytest.mark.parametrize("mutant", ["split", "early"])
def test_a_mutant_that_nothing_kills_passes_for_sound(plant: Plant, mutant: str) -> None:
    """So it is the failpoint that shows the fault, and not the mutant's clumsiness."""
    plant.start(WEB, launcher=(MUTANT, mutant))
    plant.start(TIMEKEEPER, launcher=(MUTANT, mutant))
    plant.wait_for_web()
    plant.fire("calm", climbs=False)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def _is_lost(plant: Plant) -> bool:
    """Whether something is lacking although all has come to rest: it will not come any more."""
    lost = {"level 1 of calm was not paged", "calm has no card"}
    return sum(part.deaths for part in plant.parts.values()) == 1 and bool(lacks(plant)) and lost >= set(lacks(plant))
