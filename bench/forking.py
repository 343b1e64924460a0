"""The yardstick of (h): RQ as it comes, one worker that forks for each job, one job for each page.

``python -m bench.forking <redis url>`` is the worker. It has imported what the job needs before it forks, as RQ's
documentation advises.
"""

import sys
import time

import redis
import requests
from rq import Queue, Worker

from bench.installation import Installation, running
from bench.notification import fresh
from tests.servers import wait_until

_QUEUE = "bench"
_JOBS = 150
_WARM = 5


def page(port: int, number: int) -> None:
    """The job: post one page."""
    payload = {"summary": f"The error budget burns too fast (mark {number})", "source": "shop", "severity": "error"}
    named = {"routing_key": "b" * 32, "event_action": "trigger", "dedup_key": f"bench-{number}"}
    event = {**named, "payload": payload}
    requests.post(f"http://127.0.0.1:{port}/v2/enqueue", json=event, timeout=10).raise_for_status()


def rate(here: Installation) -> float:
    """Pages accepted per second."""
    with here.redis.client() as client, running("bench.forking", here.redis.url):
        _pages(here, Queue(_QUEUE, connection=client), fresh(_WARM))
        begun = time.monotonic()
        last = _pages(here, Queue(_QUEUE, connection=client), fresh(_JOBS))
    return _JOBS / (last - begun)


def _pages(here: Installation, queue: Queue, numbers: list[int]) -> float:
    """When the last of these pages was accepted."""
    queue.enqueue_many([Queue.prepare_data(page, args=[here.receiver.port, number]) for number in numbers])
    wait_until(lambda: set(numbers) <= here.receiver.pages().keys(), "the pages of the forking worker", 120)
    accepted = here.receiver.pages()
    return max(accepted[number] for number in numbers)


if __name__ == "__main__":
    Worker([_QUEUE], connection=redis.Redis.from_url(sys.argv[1])).work(logging_level="ERROR")
