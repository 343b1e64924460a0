"""What a process of the worker group does all its life: work on one queue, or keep time."""

import os
import signal
import threading
from types import FrameType

import redis
import structlog
from rq.exceptions import StopRequested

from incidentd.incident.slot import TELL
from incidentd.jobs import QUEUES
from incidentd.process.heap import settle
from incidentd.process.orphan import watch_parent
from incidentd.settings import Settings
from workers.contract import Runtime
from workers.job import bind
from workers.timekeeper import Timekeeper
from workers.watchdog import Watchdog
from workers.worker import PART, WakeUpWorker, connect

TIMEKEEPER = "timekeeper"
ROLES = (*QUEUES, TIMEKEEPER)
_PAUSE_SECONDS = 0.5
# Not more: where others take the processors, pages would wait long for what it has locked in the database.
_NICENESS = 5

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def serve(role: str, runtime: Runtime, settings: Settings) -> int:
    """Be ``role`` until SIGTERM or SIGINT: what runs is finished, nothing new begun. Returns the exit status, 0.

    SIGHUP changes nothing here: a reloaded table reaches every process through the database.
    """
    process = _Process(runtime)
    process.install()
    watch_parent()
    settle()
    _log.info("serving", role=role)
    try:
        if role == TIMEKEEPER:
            Timekeeper(runtime, Watchdog()).run(process.stopping, settings.tick_seconds)
        else:
            if role == TELL:
                # Where the processors don't suffice, a page goes first.
                os.nice(_NICENESS)
            bind(runtime)
            process.work(role, settings.redis_url)
    finally:
        runtime.close()
    _log.info("ended", role=role)
    return 0


class _Process:
    """Owns the signals, because workers come and go with Redis's connection."""

    def __init__(self, runtime: Runtime) -> None:
        self.stopping = threading.Event()
        self._runtime = runtime
        self._worker: WakeUpWorker | None = None

    def install(self) -> None:
        """Take over the signals that end and reload."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)

    def work(self, queue: str, redis_url: str | None) -> None:
        """Work on ``queue`` until told to stop, whatever becomes of Redis meanwhile."""
        watchdog, reach = Watchdog(), self._runtime.enqueuer.reach
        while redis_url is not None and not self.stopping.is_set():
            with connect(redis_url) as connection:
                try:
                    self._work_once(WakeUpWorker(queue, connection, watchdog, reach))
                except StopRequested:
                    break
                except (redis.RedisError, OSError) as error:
                    reach.lost(PART, error)
            self.stopping.wait(_PAUSE_SECONDS)
        self.stopping.wait()

    def _work_once(self, worker: WakeUpWorker) -> None:
        self._worker = worker
        try:
            worker.take_jobs()
        finally:
            self._worker = None

    def _stop(self, _signum: int, _frame: FrameType | None) -> None:
        self.stopping.set()
        # A job holds hundreds of ids: all of them would take longer than a stop may.
        self._runtime.wind_down()
        if self._worker is not None:
            self._worker.stop()
