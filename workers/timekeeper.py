"""The timekeeper: finds what is due, and sees to it that somebody does it.

It enqueues for the workers. What Redis doesn't take, and what the workers haven't done in time, it does itself.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from incidentd.clock import Clock, SystemClock
from incidentd.incident.slot import PAGE, TELL
from incidentd.jobs import ESCALATE, IDS_IN_A_JOB, Receipt, Work
from incidentd.process.gather import GatherThread
from workers.contract import Runtime
from workers.watchdog import Watchdog

CYCLE_SECONDS = 20.0
LANE_SECONDS = 300.0
# Together with the mark on a delivery (3 s) below the 5 s within which a page leaves although no worker lives.
PATIENCE_SECONDS = 1.5
PASSING_SECONDS = 10.0
"""For cards while pages are late; their worker lets pages pass for a little less."""
_MOMENT_SECONDS = 3.0
_PAUSE_SECONDS = 0.5

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Entrusted:
    """A job that the workers have, and since when (monotonic seconds)."""

    receipt: Receipt
    since: float


class Timekeeper:
    """One cycle after the other. Any number of timekeepers may run: marks in the database keep them apart."""

    def __init__(self, runtime: Runtime, watchdog: Watchdog, clock: Clock | None = None) -> None:
        self._runtime = runtime
        self._clock = clock or SystemClock()
        self._watchdog = watchdog
        self._entrusted: list[_Entrusted] = []
        self._pages_late_at = -_MOMENT_SECONDS
        # A lane for each queue: a page never waits behind a Slack post here either.
        uses = {PAGE: runtime.deliver_pages, ESCALATE: runtime.tick, TELL: runtime.deliver_tells}
        self._lanes = {queue: GatherThread(queue, self._watched(queue, do), IDS_IN_A_JOB) for queue, do in uses.items()}
        self._failing = ""

    def cycle(self) -> None:
        """Find, hand over, take back what lies too long, and only then record that the cycle ran."""
        with self._watchdog.watch("timekeeper's cycle", CYCLE_SECONDS):
            self._hand_over(self._runtime.due())
            self._take_back()
            self._runtime.beat()

    def run(self, stopping: threading.Event, tick_seconds: float) -> None:
        """Cycle until ``stopping``, however often a cycle fails; then finish what runs here."""
        while not stopping.is_set():
            stopping.wait(tick_seconds if self._try_cycle() else max(tick_seconds, _PAUSE_SECONDS))
        self.close()

    def close(self) -> None:
        """Finish what runs here, begin nothing new."""
        for lane in self._lanes.values():
            lane.close(drop=True)

    def _try_cycle(self) -> bool:
        try:
            self.cycle()
        except Exception as error:  # noqa: BLE001 - the process's edge: the next cycle tries again
            if self._failing != type(error).__name__:
                self._failing = type(error).__name__
                _log.exception("timekeeper_failing")
            return False
        if self._failing:
            self._failing = ""
            _log.info("timekeeper_recovered")
        return True

    def _hand_over(self, work: Work) -> None:
        if not any(work.values()):
            return
        receipts = self._runtime.enqueuer.send(work)
        if receipts is None:
            for queue, ids in work.items():
                self._lanes[queue].put(ids)
        else:
            now = self._clock.monotonic()
            self._entrusted += [_Entrusted(receipt, now) for receipt in receipts]

    def _take_back(self) -> None:
        now = self._clock.monotonic()
        line = now - PATIENCE_SECONDS
        old = [job for job in self._entrusted if job.since <= line]
        if not old:
            return
        unfinished = self._runtime.enqueuer.unfinished([job.receipt for job in old])
        late = [job for job in old if unfinished is None or job.receipt in unfinished]
        if any(job.receipt.queue == PAGE for job in late):
            self._pages_late_at = now
        waiting = [job for job in late if unfinished is not None and self._lets_pages_pass(job, now)]
        self._entrusted = [job for job in self._entrusted if job.since > line] + waiting
        taken = [job.receipt for job in late if job not in waiting]
        for receipt in taken:
            self._lanes[receipt.queue].put(receipt.ids)
        if taken:
            _log.warning("jobs_taken_back", queues=sorted({receipt.queue for receipt in taken}), jobs=len(taken))

    def _lets_pages_pass(self, job: _Entrusted, now: float) -> bool:
        """Whether the workers keep it for longer: while pages are late, cards done here would only take their time."""
        pages_are_late = now - self._pages_late_at < _MOMENT_SECONDS
        return job.receipt.queue == TELL and pages_are_late and now - job.since < PASSING_SECONDS

    def _watched(self, queue: str, do: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], None]:
        def run(ids: Sequence[str]) -> None:
            with self._watchdog.watch(f"timekeeper's {queue}", LANE_SECONDS):
                do(ids)

        return run
