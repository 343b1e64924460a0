"""Enqueuing: in process on fakeredis; what a broken Redis costs, on a real one."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import fakeredis
import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from structlog.testing import capture_logs

import incidentd.jobs
from incidentd.clock import ManualClock
from incidentd.jobs import IDS_IN_A_JOB, JOB_SECONDS, Enqueuer, EnqueueThread, Work, connect
from tests.machine import Stopwatch
from tests.servers import RedisServer, free_port, wait_until
from workers.job_class import WakeUpJob

# However busy the machine is: the 250 ms in force are tested on their own.
PATIENCE = 30.0
A_MOMENT = 0.05
"""In which a thread wakes up."""


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with fakeredis.FakeRedis() as client:
        yield client


def patient(client: redis.Redis) -> Enqueuer:
    return Enqueuer(None, client=client, seconds=PATIENCE)


def jobs(client: redis.Redis, queue: str) -> list[Job]:
    ids = Queue(queue, connection=client, serializer=JSONSerializer).get_job_ids()
    return [WakeUpJob.fetch(each, connection=client, serializer=JSONSerializer) for each in ids]


def test_work_becomes_jobs_of_our_functions_with_one_list_of_ids(client: redis.Redis) -> None:
    enqueuer = patient(client)
    assert enqueuer.enqueue({"page": ["i1", "i2"], "escalate": ["i3"], "tell": []})
    (page,), (escalate,) = jobs(client, "page"), jobs(client, "escalate")
    assert (page.func_name, page.args) == ("workers.job.page", [["i1", "i2"]])
    assert (escalate.func_name, escalate.args) == ("workers.job.escalate", [["i3"]])
    assert jobs(client, "tell") == []


def test_a_job_outlives_its_use_by_seconds_only_and_keeps_no_result(client: redis.Redis) -> None:
    patient(client).enqueue({"page": ["i1"]})
    (job,) = jobs(client, "page")
    assert 0 < client.ttl(job.key) <= JOB_SECONDS
    assert client.hget(job.key, "result_ttl") == b"0"


def test_many_ids_are_split_over_jobs_in_order(client: redis.Redis) -> None:
    ids = [f"i{number}" for number in range(2 * IDS_IN_A_JOB + 1)]
    patient(client).enqueue({"tell": ids})
    assert [len(job.args[0]) for job in jobs(client, "tell")] == [IDS_IN_A_JOB, IDS_IN_A_JOB, 1]
    assert [each for job in jobs(client, "tell") for each in job.args[0]] == ids


def test_a_receipt_is_unfinished_until_its_job_is_gone(client: redis.Redis) -> None:
    enqueuer = patient(client)
    receipts = enqueuer.send({"page": ["i1"], "tell": ["i2"]})
    assert receipts is not None
    assert enqueuer.unfinished(receipts) == receipts
    client.delete(receipts[0].key)
    assert enqueuer.unfinished(receipts) == receipts[1:]


def test_without_redis_nothing_can_be_enqueued() -> None:
    enqueuer = Enqueuer(None)
    assert not enqueuer.enqueue({"page": ["i1"]})
    assert enqueuer.unfinished([]) is None


def test_pages_of_one_moment_go_ahead_of_all_other_work_which_costs_one_round_trip(redis_server: RedisServer) -> None:
    enqueuer = patient(connect(redis_server.url, PATIENCE))
    enqueuer.enqueue({"page": ["warm"]})
    with redis_server.client() as client, client.monitor() as monitor:
        enqueuer.enqueue({"tell": ["i3"], "page": ["i1"], "escalate": ["i2"]})
        trips = [_pushed_until_exec(monitor) for _ in range(2)]
    enqueuer.close()
    assert trips == [["rq:queue:page"], ["rq:queue:tell", "rq:queue:escalate"]]


def _pushed_until_exec(monitor: Any) -> list[str]:
    """The queues that one transaction pushes to, as Redis's untyped monitor tells."""
    pushed: list[str] = []
    while (words := monitor.next_command()["command"].split())[0] != "EXEC":
        if words[0] in ("LPUSH", "RPUSH"):
            pushed.append(words[1])
    return pushed


def test_a_redis_that_is_not_there_is_said_once_and_left_alone_for_a_second() -> None:
    clock = ManualClock()
    enqueuer = Enqueuer(f"redis://127.0.0.1:{free_port()}", clock)
    with capture_logs() as logs:
        assert not enqueuer.enqueue({"page": ["i1"]})
        clock.advance(timedelta(seconds=0.9))
        assert not enqueuer.enqueue({"page": ["i1"]})
        clock.advance(timedelta(seconds=0.2))
        assert not enqueuer.enqueue({"page": ["i1"]})
    enqueuer.close()
    assert [line["event"] for line in logs] == ["redis_unreachable"]


def test_an_outage_that_another_part_of_the_process_has_told_is_not_told_again() -> None:
    enqueuer = Enqueuer(f"redis://127.0.0.1:{free_port()}", ManualClock())
    enqueuer.reach.lost("worker", redis.ConnectionError())
    with capture_logs() as logs:
        assert not enqueuer.enqueue({"page": ["i1"]})
    enqueuer.close()
    assert logs == []


def test_a_frozen_redis_costs_at_most_250_ms_and_then_nothing_for_a_second(redis_server: RedisServer) -> None:
    clock = ManualClock()
    enqueuer = Enqueuer(redis_server.url, clock)
    _until_enqueued(enqueuer, clock)
    redis_server.freeze()
    watch = Stopwatch()
    assert not enqueuer.enqueue({"page": ["i2"]})
    assert watch.complaint(0.25) == ""
    watch = Stopwatch()
    assert not any(enqueuer.enqueue({"page": ["i3"]}) for _ in range(100))
    assert watch.complaint(0.05) == ""
    redis_server.thaw()
    with capture_logs() as logs:
        _until_enqueued(enqueuer, clock)
    assert [line["event"] for line in logs] == ["redis_back"]
    enqueuer.close()


def test_a_redis_that_drips_costs_no_more_than_the_deadline() -> None:
    """Each step of it ends in time, and so never the whole: of that there is a bound of its own."""
    never = threading.Event()

    class Dripping(fakeredis.FakeRedis):
        def ping(self, **_: Any) -> bool:
            return never.wait(PATIENCE)

    with Dripping() as client:
        enqueuer = Enqueuer(None, client=client)
        watch = Stopwatch()
        assert enqueuer.answers() is False
        assert watch.complaint(0.25 + A_MOMENT) == ""
        never.set()
        enqueuer.close()


def _until_enqueued(enqueuer: Enqueuer, clock: ManualClock) -> None:
    def enqueued() -> bool:
        clock.advance(timedelta(seconds=1.1))
        return enqueuer.enqueue({"page": ["i1"]})

    wait_until(enqueued, "the work to be enqueued", PATIENCE)


@pytest.mark.parametrize("fault", ["NOAUTH", "OOM", "WRONGTYPE"])
def test_a_redis_that_refuses_is_as_good_as_none(redis_server: RedisServer, fault: str) -> None:
    url = redis_server.url.replace("://", "://:wrong@") if fault == "NOAUTH" else redis_server.url
    with redis_server.client() as client:
        if fault == "NOAUTH":
            client.config_set("requirepass", "right")
        elif fault == "OOM":
            client.config_set("maxmemory", "1")
        else:
            client.set("rq:queue:page", "text")
    enqueuer = Enqueuer(url)
    assert not enqueuer.enqueue({"page": ["i1"]})
    enqueuer.close()


def test_no_command_is_sent_twice_by_the_client_itself(redis_server: RedisServer) -> None:
    """One lost reply would otherwise become two entries."""
    with connect(redis_server.url) as client:
        client.ping()
        redis_server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.rpush("list", "x")
        redis_server.thaw()
    with redis_server.client() as client:
        wait_until(lambda: client.llen("list"), "the command to arrive")
        assert client.llen("list") == 1


class SlowEnqueuer(Enqueuer):
    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[Work] = []

    def enqueue(self, work: Work) -> bool:
        self.sent.append(work)
        return True


def test_handing_over_never_waits_and_all_of_it_is_enqueued_once() -> None:
    enqueuer = SlowEnqueuer()
    thread = EnqueueThread(enqueuer)
    for number in range(1_000):
        thread.put({"page": [f"i{number % 10}"], "tell": []})
        thread.put({"escalate": [f"i{number}"]})
    thread.close()
    pages = [each for work in enqueuer.sent for each in work.get("page", ())]
    escalations = [each for work in enqueuer.sent for each in work.get("escalate", ())]
    assert set(pages) == {f"i{number}" for number in range(10)}
    assert escalations == [f"i{number}" for number in range(1_000)]


def test_what_wakes_nobody_is_enqueued_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidentd.jobs, "_LATER_SECONDS", 60)
    enqueuer = SlowEnqueuer()
    thread = EnqueueThread(enqueuer)
    thread.put({"tell": ["i1"], "page": ["i1"]})
    thread.put({"escalate": ["i2"], "tell": ["i2"]})
    wait_until(lambda: sum(map(len, enqueuer.sent)) == 2, "the page and the escalation")
    assert all("tell" not in work for work in enqueuer.sent)
    thread.close()
    assert enqueuer.sent[-1] == {"tell": ["i1", "i2"]}


def test_whether_redis_answers_is_asked_of_it_and_remembered_for_a_second(redis_server: RedisServer) -> None:
    clock = ManualClock()
    enqueuer = Enqueuer(redis_server.url, clock, seconds=PATIENCE)
    assert enqueuer.answers() is True
    redis_server.kill()
    assert enqueuer.answers() is False
    redis_server.start()
    assert enqueuer.answers() is False
    clock.advance(timedelta(seconds=2))
    assert enqueuer.answers() is True
    assert Enqueuer(None).answers() is None
    enqueuer.close()
