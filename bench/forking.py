"""The yardstick of (h): RQ as it comes, one worker that forks for each job, one job for each page.

A job posts its page and commits one row that says so: as durable as the row of (a)'s yardstick, and less than what
incidentd remembers of a page. ``python -m bench.forking <redis url> <database url>`` is the worker. It has imported
what the job needs before it forks, as RQ's documentation advises.
"""

import sys
import time
from datetime import UTC, datetime

import redis
import requests
import sqlalchemy as sa
from rq import Queue, Worker
from sqlalchemy.engine import Engine

from bench.installation import Installation, running
from bench.notification import fresh
from incidentd.store.engine import open_engine

_QUEUE = "bench"
_JOBS = 150
_WARM = 5
_METADATA = sa.MetaData()
_PAGED = sa.Table(
    "paged", _METADATA, sa.Column("number", sa.Integer, primary_key=True), sa.Column("accepted_at", sa.Text)
)
_engines: list[Engine] = []


def page(port: int, number: int) -> None:
    """The job: post one page, and remember it."""
    payload = {"summary": f"The error budget burns too fast (mark {number})", "source": "shop", "severity": "error"}
    named = {"routing_key": "b" * 32, "event_action": "trigger", "dedup_key": f"bench-{number}"}
    event = {**named, "payload": payload}
    requests.post(f"http://127.0.0.1:{port}/v2/enqueue", json=event, timeout=10).raise_for_status()
    with _engines[0].begin() as connection:
        connection.execute(sa.insert(_PAGED), {"number": number, "accepted_at": datetime.now(UTC).isoformat()})


def rate(here: Installation) -> float:
    """Pages accepted per second."""
    with here.redis.client() as client, running("bench.forking", here.redis.url, here.database_url):
        _pages(here, Queue(_QUEUE, connection=client), fresh(_WARM))
        begun = time.monotonic()
        last = _pages(here, Queue(_QUEUE, connection=client), fresh(_JOBS))
    return _JOBS / (last - begun)


def _pages(here: Installation, queue: Queue, numbers: list[int]) -> float:
    """When the last of these pages was accepted."""
    queue.enqueue_many([Queue.prepare_data(page, args=[here.receiver.port, number]) for number in numbers])
    accepted = here.receiver.wait_for(numbers)
    return max(accepted[number] for number in numbers)


if __name__ == "__main__":
    _engines.append(open_engine(sys.argv[2]))
    _METADATA.create_all(_engines[0])
    # A forked process opens a connection of its own.
    _engines[0].dispose()
    Worker([_QUEUE], connection=redis.Redis.from_url(sys.argv[1])).work(logging_level="ERROR")
