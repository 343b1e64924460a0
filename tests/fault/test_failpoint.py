"""The process ends at each named point, in turn; nothing is lost, and nothing happens twice but what was in flight."""

import pytest

from incidentd.process.failpoint import NAMES
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import TIMEKEEPER, WEB, Plant

# One point in each of the two processes at a time. The fourth commit of the web part is that of the answer.
POINTS = [
    ("web.before_commit", "mark.before_commit"),
    ("web.after_commit", "mark.after_commit"),
    ("web.before_answer", "claim.before_commit"),
    ("web.after_answer", "claim.after_commit"),
    ("web.before_commit:4", "tick.before_commit"),
    ("web.after_commit:4", "tick.after_commit"),
    ("web.after_commit:2", "send.before"),
    ("web.before_answer:2", "send.after"),
    ("web.after_answer:2", "cursor.before_commit"),
    ("web.before_commit:2", "cursor.after_commit"),
]


@pytest.mark.parametrize(("of_web", "of_timekeeper"), POINTS)
def test_nothing_is_lost_when_the_process_ends_at(plant: Plant, of_web: str, of_timekeeper: str) -> None:
    web, timekeeper = plant.start(WEB, of_web), plant.start(TIMEKEEPER, of_timekeeper)
    tell_a_story(plant)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert (web.deaths, timekeeper.deaths) == (1, 1)
    assert wrongs(plant, in_flight=in_flight(of_timekeeper)) == []


def test_every_failpoint_has_its_turn() -> None:
    assert {point.partition(":")[0] for pair in POINTS for point in pair} == NAMES


def tell_a_story(plant: Plant) -> None:
    """Three alerts; somebody answers one, nobody the others, of which one climbs."""
    plant.wait_for_web()
    plant.fire("left")
    plant.fire("calm", climbs=False)
    plant.fire("answered")
    plant.answer("answered")


def in_flight(point: str) -> int:
    """Of one page, the requests that may have been accepted without our knowing when the process ends there."""
    return 1 if point.startswith(("send.after", "cursor.")) else 0
