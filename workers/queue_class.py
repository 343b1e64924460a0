"""An RQ queue that survives what others may have put into it."""

from collections.abc import Iterable

import redis
import structlog
from rq import Queue
from rq.exceptions import DequeueTimeout, NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer, Serializer
from rq.timeouts import BaseDeathPenalty

from workers.job_class import LONGEST_ID, ForeignJobError, WakeUpJob

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class WakeUpQueue(Queue):
    """A queue of ``WakeUpJob``: an entry that isn't one is logged and dropped, as an exception would end the worker."""

    job_class: type[Job] = WakeUpJob

    @classmethod
    def dequeue_any(
        cls,
        queues: Iterable[Queue],
        timeout: int | None,
        connection: redis.Redis,
        job_class: type[Job] | None = None,  # noqa: ARG003
        serializer: Serializer | str | None = None,  # noqa: ARG003
        death_penalty_class: type[BaseDeathPenalty] | None = None,  # noqa: ARG003
    ) -> tuple[Job, Queue] | None:
        """The next readable job of the one queue given; None when there is none and ``timeout`` is None.

        Raises:
            DequeueTimeout: none came within ``timeout`` seconds.
        """
        (queue,) = queues
        while (moved := cls.lmove(connection, queue.key, timeout)) is not None:
            job = _readable(moved[1], connection)
            if job is not None:
                return job, queue
            connection.lrem(queue.intermediate_queue_key, 1, moved[1])
        return None


def _readable(raw_id: bytes, connection: redis.Redis) -> Job | None:
    if len(raw_id) > LONGEST_ID:
        _log.warning("foreign_job_dropped", cause="its id is too long")
        return None
    try:
        return WakeUpJob.fetch(raw_id.decode(), connection=connection, serializer=JSONSerializer)
    except (redis.ConnectionError, redis.TimeoutError, StopRequested, DequeueTimeout):
        raise
    except NoSuchJobError:
        # Too old: the timekeeper has enqueued the same work again.
        return None
    except ForeignJobError as error:
        _log.warning("foreign_job_dropped", cause=str(error))
        return None
    except Exception as error:  # noqa: BLE001 - any field of a foreign hash can be broken in any way
        _log.warning("foreign_job_dropped", cause=type(error).__name__)
        return None
