"""The timekeeper: in process with a clock that stands still, and as a process without any Redis."""

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from incidentd.clock import ManualClock
from incidentd.jobs import Enqueuer, Receipt, Work
from tests.process.conftest import WorkerProcess
from tests.process.fake_runtime import FakeRuntime
from tests.servers import wait_until
from workers.timekeeper import PASSING_SECONDS, PATIENCE_SECONDS, Timekeeper
from workers.watchdog import HUNG, Watchdog


class Queues(Enqueuer):
    """Redis as the timekeeper sees it. ``down``: it can't be reached; ``undone``: no worker does anything."""

    def __init__(self) -> None:
        super().__init__(None)
        self.down = False
        self.undone = False
        self.sent: list[Work] = []

    def send(self, work: Work) -> list[Receipt] | None:
        if self.down:
            return None
        self.sent.append(work)
        return [Receipt(f"job-{queue}", queue, tuple(ids)) for queue, ids in work.items()]

    def unfinished(self, receipts: Sequence[Receipt]) -> list[Receipt] | None:
        if self.down:
            return None
        return list(receipts) if self.undone else []


class Bench:
    """A timekeeper, and all that it touches."""

    def __init__(self, folder: Path, *work: Work) -> None:
        self.queues = Queues()
        self.runtime = FakeRuntime(folder / "journal", None, list(work))
        self.runtime.enqueuer = self.queues
        self.clock = ManualClock()
        self.timekeeper = Timekeeper(self.runtime, Watchdog(), self.clock)
        self._journal = folder / "journal"

    def done(self) -> set[str]:
        lines = self._journal.read_text().splitlines() if self._journal.exists() else []
        return {line for line in lines if line != "beat" and not line.endswith("done")}

    def beats(self) -> int:
        return self._journal.read_text().splitlines().count("beat")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


WORK: Work = {"page": ["i1", "i2"], "escalate": ["i3"], "tell": ["i4"]}
CARDS = {"tell i4"}
ALL_DONE = {"page i1 i2", "tick i3"} | CARDS


def test_what_is_due_is_enqueued_and_then_the_cycle_is_recorded(folder: Path) -> None:
    bench = Bench(folder, WORK)
    bench.timekeeper.cycle()
    bench.timekeeper.close()
    assert bench.queues.sent == [WORK]
    assert bench.done() == set()
    assert bench.beats() == 1


def test_nothing_due_costs_redis_nothing(folder: Path) -> None:
    bench = Bench(folder)
    bench.timekeeper.cycle()
    bench.timekeeper.close()
    assert bench.queues.sent == []
    assert bench.beats() == 1


def test_what_redis_does_not_take_is_done_here(folder: Path) -> None:
    bench = Bench(folder, WORK)
    bench.queues.down = True
    bench.timekeeper.cycle()
    wait_until(lambda: bench.done() == ALL_DONE, "the work to be done here")
    bench.timekeeper.close()


@pytest.mark.parametrize("lost", ["no worker does it", "redis is gone"])
def test_what_nobody_has_done_in_time_is_done_here(folder: Path, lost: str) -> None:
    bench = Bench(folder, WORK)
    bench.timekeeper.cycle()
    bench.queues.undone, bench.queues.down = lost == "no worker does it", lost == "redis is gone"
    bench.clock.advance(timedelta(seconds=PATIENCE_SECONDS - 0.1))
    bench.timekeeper.cycle()
    assert bench.done() == set()
    bench.clock.advance(timedelta(seconds=0.1))
    with capture_logs() as logs:
        bench.timekeeper.cycle()
    wait_until(lambda: bench.done() >= ALL_DONE - CARDS, "the work to be done here")
    bench.clock.advance(timedelta(seconds=PASSING_SECONDS - PATIENCE_SECONDS))
    bench.timekeeper.cycle()
    wait_until(lambda: bench.done() == ALL_DONE, "all of it to be done here")
    bench.timekeeper.cycle()
    bench.timekeeper.close()
    assert [line["event"] for line in logs] == ["jobs_taken_back"]


def test_cards_wait_while_pages_are_late_but_not_for_long(folder: Path) -> None:
    bench = Bench(folder, WORK)
    bench.queues.undone = True
    bench.timekeeper.cycle()
    bench.clock.advance(timedelta(seconds=PASSING_SECONDS - 0.1))
    bench.timekeeper.cycle()
    wait_until(lambda: bench.done() >= ALL_DONE - CARDS, "all but the cards")
    assert bench.done().isdisjoint(CARDS)
    bench.clock.advance(timedelta(seconds=0.1))
    bench.timekeeper.cycle()
    wait_until(lambda: bench.done() == ALL_DONE, "the cards too")
    bench.timekeeper.close()


def test_cards_wait_for_no_pages_that_are_on_time(folder: Path) -> None:
    bench = Bench(folder, {"tell": ["i4"]})
    bench.queues.undone = True
    bench.timekeeper.cycle()
    bench.clock.advance(timedelta(seconds=PATIENCE_SECONDS))
    bench.timekeeper.cycle()
    wait_until(lambda: bench.done() == CARDS, "the cards")
    bench.timekeeper.close()


def test_what_the_workers_have_done_is_not_done_here(folder: Path) -> None:
    bench = Bench(folder, WORK)
    bench.timekeeper.cycle()
    bench.clock.advance(timedelta(seconds=PATIENCE_SECONDS))
    bench.timekeeper.cycle()
    bench.timekeeper.close()
    assert bench.done() == set()


def test_a_page_does_not_wait_behind_a_post_that_hangs(folder: Path) -> None:
    bench = Bench(folder, {"tell": ["hold-gate"]}, {"page": ["i1"]})
    bench.queues.down = True
    bench.timekeeper.cycle()
    wait_until(lambda: "tell hold-gate" in bench.done(), "the post to hang")
    bench.timekeeper.cycle()
    wait_until(lambda: "page i1" in bench.done(), "the page")
    (folder / "gate").touch()
    bench.timekeeper.close()


def test_a_failing_cycle_is_told_once_does_not_count_and_the_next_is_tried(folder: Path) -> None:
    class Failing(FakeRuntime):
        left = 3

        def due(self) -> Work:
            self.left -= 1
            if self.left < 0:
                stopping.set()
                return {}
            raise OSError("database away")

    stopping = threading.Event()
    timekeeper = Timekeeper(Failing(folder / "journal", None), Watchdog())
    with capture_logs() as logs:
        timekeeper.run(stopping, 0.001)
    assert [line["event"] for line in logs] == ["timekeeper_failing", "timekeeper_recovered"]
    assert (folder / "journal").read_text().splitlines() == ["beat"]


def test_something_that_hangs_ends_the_process() -> None:
    ended = threading.Event()
    watchdog = Watchdog(ended.set)
    with capture_logs() as logs, watchdog.watch("cycle", 0.0):
        assert ended.wait(120)
    assert logs == [{"event": "hung", "what": "cycle", "log_level": "critical"}]
    assert HUNG == 70


def test_what_ends_in_time_does_not() -> None:
    ended = threading.Event()
    watchdog = Watchdog(ended.set)
    with watchdog.watch("quick", 60):
        pass
    assert not ended.is_set()


def test_as_a_process_it_keeps_time_without_redis_and_ends_cleanly(tmp_path: Path) -> None:
    timekeeper = WorkerProcess("timekeeper", tmp_path, None)
    try:
        wait_until(lambda: timekeeper.lines().count("beat") >= 3, "three cycles")
        assert timekeeper.terminate() == 0
        assert timekeeper.lines()[-1] == "closed"
    finally:
        timekeeper.process.kill()
        timekeeper.process.wait()
