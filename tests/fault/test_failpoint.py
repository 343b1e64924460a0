"""The process ends at each named point, in turn; nothing is lost, and nothing happens twice but what was in flight."""

import pytest

from incidentd.incident.slot import PAGE, TELL
from incidentd.jobs import ESCALATE
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
# One point in each of the three workers at a time: PAGE, ESCALATE, TELL.
OF_WORKERS = [
    ("claim.before_commit", "tick.before_commit", "cursor.after_commit"),
    ("claim.after_commit", "tick.after_commit", "cursor.before_commit"),
    ("send.before", "tick.before_commit", "send.after"),
    ("send.after", "tick.after_commit", "send.before"),
    ("cursor.before_commit", "tick.before_commit", "claim.after_commit"),
    ("cursor.after_commit", "tick.after_commit", "claim.before_commit"),
]
MOST = 20


@pytest.mark.parametrize(("of_web", "of_timekeeper"), POINTS)
def test_nothing_is_lost_when_the_process_ends_at(plant: Plant, of_web: str, of_timekeeper: str) -> None:
    web, timekeeper = plant.start(WEB, of_web), plant.start(TIMEKEEPER, of_timekeeper)
    tell_a_story(plant)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert (web.deaths, timekeeper.deaths) == (1, 1)
    assert wrongs(plant, in_flight=in_flight(of_timekeeper)) == []


@pytest.mark.parametrize(("of_page", "of_escalate", "of_tell"), OF_WORKERS)
def test_nothing_is_lost_when_workers_end_at(
    plant_with_redis: Plant, of_page: str, of_escalate: str, of_tell: str
) -> None:
    plant = plant_with_redis
    workers = [plant.start(PAGE, of_page), plant.start(ESCALATE, of_escalate), plant.start(TELL, of_tell)]
    plant.start(WEB)
    plant.start(TIMEKEEPER)
    plant.until(plant.workers_run, "the workers")
    tell_a_story(plant)
    plant.until(lambda: not lacks(plant), "all to be told")
    # On a busy machine the timekeeper may have been quicker than a worker, which then ends at a later one.
    for number in range(MOST):
        if not all(worker.deaths for worker in workers):
            plant.fire(f"later-{number}")
            plant.until(lambda: not lacks(plant), "all to be told")
    assert [worker.deaths for worker in workers] == [1, 1, 1]
    assert wrongs(plant, in_flight=in_flight(of_page)) == []


def test_every_failpoint_has_its_turn() -> None:
    assert {point.partition(":")[0] for pair in POINTS for point in pair} == NAMES


def test_every_failpoint_of_a_job_has_its_turn_in_a_worker_of_its_queue() -> None:
    of_delivering = {name for name in NAMES if name.startswith(("claim.", "send.", "cursor."))}
    of_ticking = {name for name in NAMES if name.startswith("tick.")}
    assert [set(points) for points in zip(*OF_WORKERS, strict=True)] == [of_delivering, of_ticking, of_delivering]


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
