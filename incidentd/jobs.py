"""Queues, the names of their jobs, and how work is enqueued.

A job is only a wake-up: what is to be done stands in the database. So enqueuing may fail, and then says so; a job may
be lost, run twice or run late; and one that is older than the mark on its rows has been replaced by a newer one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from incidentd.clock import Clock, SystemClock
from incidentd.incident.slot import PAGE, TELL
from incidentd.meter import Meter
from incidentd.process.courier import Courier
from incidentd.process.gather import GatherThread
from incidentd.process.reach import Reach

ESCALATE = "escalate"
QUEUES = (PAGE, ESCALATE, TELL)
FUNCTIONS = {queue: f"workers.job.{queue}" for queue in QUEUES}

Work = Mapping[str, Sequence[str]]

IDS_IN_A_JOB = 500
_MOST_AT_ONCE = 10_000
# Longer than any mark: past it the timekeeper has enqueued the same work again.
JOB_SECONDS = 10
# A redis-server that is frozen still lets the kernel accept connections: every step needs a bound, and so has the sum.
_STEP_SECONDS = 0.1
_TOTAL_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
# In a storm a job takes many ids along, instead of costing its overhead for each; a single page doesn't wait.
_REST_SECONDS = 0.01
# A page is on the wire by then. Nobody sees that a card comes so much later.
_LATER_SECONDS = 0.02
# RQ asks the server for its version before enqueuing unless told: workers need LMOVE, so 6.2 is the least there is.
_REDIS_VERSION = (6, 2, 0)

_PART = "enqueuer"


@dataclass(frozen=True, slots=True)
class Receipt:
    """An enqueued job: ``key`` is its Redis key, which is gone once the job is done or too old."""

    key: str
    queue: str
    ids: tuple[str, ...]


def connect(url: str, seconds: float = _STEP_SECONDS) -> redis.Redis:
    """A client that never retries by itself and waits at most ``seconds`` for each step. Opens no connection yet."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


class Enqueuer:
    """Puts work into the queues within ``seconds`` in all, or says that it could not. Safe for use by several threads.

    After a failure it doesn't try for a second, so that a Redis that hangs is not waited for by each webhook anew.
    ``redis_url`` None: there is no Redis, and nothing can ever be enqueued. Whoever else in its process uses Redis says
    to ``reach`` what becomes of it.
    """

    def __init__(
        self,
        redis_url: str | None,
        clock: Clock | None = None,
        client: redis.Redis | None = None,
        seconds: float = _TOTAL_SECONDS,
        meter: Meter | None = None,
    ) -> None:
        self._seconds = seconds
        self._meter = meter or Meter()
        self._clock = clock or SystemClock()
        self._client = client or (connect(redis_url) if redis_url else None)
        self._queues = _queues(self._client) if self._client else {}
        self._retry_at = 0.0
        self._down = False
        self.reach = Reach()
        self._courier = Courier("redis")

    def enqueue(self, work: Work) -> bool:
        """Whether all of ``work`` (incident ids by queue) is enqueued. False: do it, or let it be found, otherwise."""
        return self.send(work) is not None

    def send(self, work: Work) -> list[Receipt] | None:
        """As ``enqueue``, but returns what became of it: a receipt for each job, or None when it failed."""
        client = self._client
        if client is None or self._clock.monotonic() < self._retry_at:
            return None
        if not any(work.values()):
            return []
        receipts = self._guarded(lambda: _push_all(client, self._queues, work))
        if receipts is None:
            self._meter.enqueue_failures.add()
        for receipt in receipts or ():
            self._meter.enqueued.add(receipt.queue)
        return receipts

    def unfinished(self, receipts: Sequence[Receipt]) -> list[Receipt] | None:
        """Those of the receipts whose jobs are still waiting or running; None when Redis can't be reached."""
        client = self._client
        if client is None or self._clock.monotonic() < self._retry_at:
            return None
        return self._guarded(lambda: _remaining(client, receipts))

    def answers(self) -> bool | None:
        """Whether Redis answers now, or failed to a second ago; None where there is none."""
        client = self._client
        if client is None:
            return None
        if self._clock.monotonic() < self._retry_at:
            return not self._down
        return self._guarded(lambda: _greet(client)) is not None

    def close(self) -> None:
        """Close the connection."""
        self._courier.close()
        if self._client is not None:
            self._client.close()

    def _guarded(self, errand: Callable[[], list[Receipt]]) -> list[Receipt] | None:
        try:
            receipts = self._courier.run(errand, self._seconds)
        except (redis.RedisError, OSError) as error:
            self._note(error)
            return None
        self._note(None)
        return receipts

    def _note(self, error: Exception | None) -> None:
        self._down = error is not None
        if error is None:
            self.reach.found(_PART)
        else:
            self._retry_at = self._clock.monotonic() + _PAUSE_SECONDS
            self.reach.lost(_PART, error)


class EnqueueThread:
    """Enqueues in a thread of its own, so that nobody who answers a request waits for Redis.

    What gathers while one round trip is under way goes with the next one, together. What wakes nobody follows a moment
    later: done beside a page, it would keep that back for half as long again.
    """

    def __init__(self, enqueuer: Enqueuer) -> None:
        self._enqueuer = enqueuer
        self._waking = GatherThread("enqueue", self._enqueue, _MOST_AT_ONCE, _REST_SECONDS)
        self._other = GatherThread("enqueue-later", self._enqueue, _MOST_AT_ONCE, _REST_SECONDS, _LATER_SECONDS)

    def put(self, work: Work) -> None:
        """Hand over ids by queue. Never blocks, never fails; what can't be enqueued is found by the timekeeper."""
        for queue, ids in work.items():
            (self._other if queue == TELL else self._waking).put((queue, incident) for incident in ids)

    def close(self) -> None:
        """Enqueue what has gathered, and end the threads."""
        self._waking.close()
        self._other.close()

    def _enqueue(self, pairs: Sequence[tuple[str, str]]) -> None:
        work: dict[str, list[str]] = {}
        for queue, incident in pairs:
            work.setdefault(queue, []).append(incident)
        self._enqueuer.enqueue(work)


def _queues(client: redis.Redis) -> dict[str, Queue]:
    queues = {name: Queue(name, connection=client, serializer=JSONSerializer) for name in QUEUES}
    for queue in queues.values():
        queue.redis_server_version = _REDIS_VERSION
    return queues


def _push_all(client: redis.Redis, queues: Mapping[str, Queue], work: Work) -> list[Receipt]:
    """Pages in a round trip of their own, ahead of all else: what wakes others would compete with them."""
    pages = [name for name in work if name == PAGE]
    others = [name for name in work if name != PAGE]
    return [receipt for names in (pages, others) if names for receipt in _push(client, queues, work, names)]


def _push(client: redis.Redis, queues: Mapping[str, Queue], work: Work, names: Sequence[str]) -> list[Receipt]:
    receipts = []
    with client.pipeline(transaction=True) as pipeline:
        for name in names:
            for chunk in _chunks(work[name]):
                data = Queue.prepare_data(
                    FUNCTIONS[name],
                    args=[list(chunk)],
                    ttl=JOB_SECONDS,
                    result_ttl=0,
                    failure_ttl=JOB_SECONDS,
                    description=name,
                )
                (job,) = queues[name].enqueue_many([data], pipeline=pipeline)
                receipts.append(Receipt(job.key, name, chunk))
        pipeline.execute()
    return receipts


def _greet(client: redis.Redis) -> list[Receipt]:
    client.ping()
    return []


def _remaining(client: redis.Redis, receipts: Sequence[Receipt]) -> list[Receipt]:
    with client.pipeline(transaction=False) as pipeline:
        for receipt in receipts:
            pipeline.exists(receipt.key)
        return [receipt for receipt, exists in zip(receipts, pipeline.execute(), strict=True) if exists]


def _chunks(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(ids), IDS_IN_A_JOB):
        yield tuple(ids[start : start + IDS_IN_A_JOB])
