"""An RQ worker for one queue: in process, without scheduler, without anything that a job could add."""

import time
from contextlib import suppress

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import SimpleWorker
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker import WorkerStatus

from incidentd.incident.slot import PAGE, TELL
from incidentd.process.reach import Reach
from workers.job_class import ForeignJobError, WakeUpJob
from workers.queue_class import WakeUpQueue
from workers.watchdog import Watchdog

PART = "worker"
"""What it is to ``Reach``."""
JOB_SECONDS = 300.0
_DEQUEUE_SECONDS = 2
# Longer than the server holds a blocked dequeue: else every quiet spell would look like a dead Redis.
_SOCKET_SECONDS = _DEQUEUE_SECONDS + 3
_WORKER_SECONDS = 60
_HEARTBEAT_SECONDS = 5
_PAGES = f"{WakeUpQueue.redis_queue_namespace_prefix}{PAGE}"
_PASSING_SECONDS = 9.0
_LOOK_SECONDS = 0.05

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def connect(url: str) -> redis.Redis:
    """A client for a worker, whose reads may take as long as a dequeue blocks. Opens no connection yet."""
    return redis.Redis.from_url(
        url, socket_connect_timeout=2.0, socket_timeout=_SOCKET_SECONDS, retry=Retry(NoBackoff(), 0)
    )


class WakeUpWorker(SimpleWorker):
    """Takes jobs from one queue, one after the other. Has a random name: a fixed one is blocked after a kill -9."""

    def __init__(self, queue: str, connection: redis.Redis, watchdog: Watchdog, reach: Reach) -> None:
        self._watchdog = watchdog
        self._reach = reach
        self._passing_again_at = 0.0
        super().__init__(
            [queue],
            connection=connection,
            job_class=WakeUpJob,
            queue_class=WakeUpQueue,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_SECONDS,
            log_job_description=False,
        )

    @property
    def dequeue_timeout(self) -> int:
        """Seconds for which one dequeue blocks."""
        return _DEQUEUE_SECONDS

    @property
    def connection_timeout(self) -> int:
        """Seconds that a reply may take."""
        return _SOCKET_SECONDS

    def take_jobs(self) -> None:
        """Take one job after the other, until told to stop.

        RQ's own loop, ``work``, logs the loss of Redis as a fault with its traceback, or waits it out in silence.

        Raises:
            redis.RedisError: Redis can't be reached, or refuses.
            StopRequested: told to stop while none ran.
        """
        self.bootstrap(logging_level=None)
        try:
            while not self._stop_requested:
                self._take_job()
        finally:
            with suppress(redis.RedisError):
                self.register_death()  # type: ignore[no-untyped-call]

    def _take_job(self) -> None:
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        try:
            taken = WakeUpQueue.dequeue_any(self.queues, self.dequeue_timeout, self.connection)
        except DequeueTimeout:
            taken = None
        self._reach.found(PART)
        if taken is not None:
            self.execute_job(*taken)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job and forget it. Its failure is logged: what it left undone is found in the database."""
        self._state = WorkerStatus.BUSY
        if queue.name == TELL:
            self._let_pages_pass()
        try:
            with self._watchdog.watch(f"job {queue.name}", JOB_SECONDS):
                job.perform()
        except ForeignJobError as error:
            _log.warning("foreign_job_dropped", cause=str(error))
        except Exception:  # noqa: BLE001 - the process's edge
            _log.exception("job_failed", queue=queue.name)
        with suppress(redis.RedisError):
            self._forget(job, queue)
        self._state = WorkerStatus.IDLE

    def stop(self) -> None:
        """From a signal handler: finish the current job, take none after it.

        Raises:
            StopRequested: nothing runs now; ends the wait for the next job.
        """
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def heartbeat(self, timeout: int | None = None, pipeline: redis.client.Pipeline | None = None) -> None:
        """Keep the worker's record alive: every few seconds is enough."""
        if self.last_heartbeat is None or (now() - self.last_heartbeat).total_seconds() >= _HEARTBEAT_SECONDS:
            super().heartbeat(timeout, pipeline)

    def run_maintenance_tasks(self) -> None:
        """Drop what killed workers left. RQ's own would run the failure callbacks of abandoned jobs."""
        for queue in self.queues:
            self.connection.delete(queue.intermediate_queue_key)
        self.last_cleaned_at = now()  # type: ignore[assignment]

    def subscribe(self) -> None:
        """Take no commands through Redis."""

    def _let_pages_pass(self) -> None:
        """While pages wait in line, cards would only take their time: processors, the database, its locks.

        Not for long, and not again at once: it may be that nobody is left to take the pages out of their line.
        """
        end = time.monotonic() + _PASSING_SECONDS
        with suppress(redis.RedisError):
            while self._passing_again_at < time.monotonic() < end and self.connection.llen(_PAGES):
                if self._stop_requested:
                    return
                time.sleep(_LOOK_SECONDS)
        if time.monotonic() >= end:
            self._passing_again_at = time.monotonic() + _PASSING_SECONDS

    def _forget(self, job: Job, queue: Queue) -> None:
        """All of it in one round trip, after the job: somebody is to be paged, and nobody reads who is at what."""
        with self.connection.pipeline() as pipeline:
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            pipeline.delete(job.key)
            pipeline.execute()
