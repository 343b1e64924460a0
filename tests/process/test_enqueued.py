"""What goes into Redis is counted, and so is what could not."""

from incidentd.jobs import IDS_IN_A_JOB, Enqueuer
from incidentd.meter import Meter
from incidentd.meter.exposition import text
from tests.servers import RedisServer, free_port, wait_until
from tests.test_meter import value

LONG = 20.0


def count(meter: Meter, name: str, **labels: str) -> float:
    return value(text(meter.collect()), f"incidentd_{name}", **labels)


def test_jobs_count_by_their_queue(redis_server: RedisServer) -> None:
    meter = Meter()
    enqueuer = Enqueuer(redis_server.url, seconds=LONG, meter=meter)
    work = {"page": [str(number) for number in range(IDS_IN_A_JOB + 1)], "tell": ["a"]}
    wait_until(lambda: enqueuer.enqueue(work), "the jobs to be enqueued")
    enqueuer.close()
    counted = {queue: count(meter, "jobs_enqueued_total", queue=queue) for queue in ("page", "escalate", "tell")}
    assert counted == {"page": 2, "escalate": 0, "tell": 1}


def test_a_redis_that_is_away_is_a_failure_and_no_job() -> None:
    meter = Meter()
    enqueuer = Enqueuer(f"redis://127.0.0.1:{free_port()}/0", meter=meter)
    assert not enqueuer.enqueue({"page": ["a"]})
    enqueuer.close()
    assert count(meter, "enqueue_failures_total") == 1
    assert count(meter, "jobs_enqueued_total", queue="page") == 0


def test_doing_without_redis_is_no_failure() -> None:
    meter = Meter()
    enqueuer = Enqueuer(None, meter=meter)
    assert not enqueuer.enqueue({"page": ["a"]})
    enqueuer.close()
    assert count(meter, "enqueue_failures_total") == 0


def test_no_work_is_neither(redis_server: RedisServer) -> None:
    meter = Meter()
    enqueuer = Enqueuer(redis_server.url, meter=meter)
    assert enqueuer.enqueue({"page": []})
    enqueuer.close()
    assert count(meter, "enqueue_failures_total") == 0
    assert count(meter, "jobs_enqueued_total", queue="page") == 0
