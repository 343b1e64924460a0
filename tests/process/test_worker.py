"""RQ workers as processes, on a real Redis."""

import json
import os
import pickle
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest
import redis
from rq import Callback, Queue, Retry
from rq.job import Job
from rq.serializers import JSONSerializer

from incidentd.jobs import IDS_IN_A_JOB, Enqueuer
from tests.process.conftest import WorkerProcess
from tests.servers import RedisServer, wait_until

PASSED_SECONDS = 4.5
TRIES = 3


@contextmanager
def enqueuer(server: RedisServer) -> Iterator[Enqueuer]:
    enqueuer = Enqueuer(server.url)
    try:
        yield enqueuer
    finally:
        enqueuer.close()


def send(server: RedisServer, *ids: str, queue: str = "page") -> None:
    """Put a job into the queue, however long a busy machine takes for it: the enqueuer itself gives up early."""

    def sent() -> bool:
        with enqueuer(server) as sender:
            return sender.enqueue({queue: ids})

    wait_until(sent, "the job to be enqueued")


def no_jobs_left(server: RedisServer) -> bool:
    with server.client() as client:
        return not client.keys("rq:job:*") and not client.keys("rq:queue:*")


def test_a_job_runs_its_use_case_with_all_ids_and_leaves_nothing_behind(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    send(redis_server, "i1", "i2", "i3")
    page_worker.wait_for("page i1 i2 i3")
    wait_until(lambda: no_jobs_left(redis_server), "the job to be forgotten")
    with redis_server.client() as client:
        assert not client.keys("rq:wip:*") + client.keys("rq:results:*") + client.keys("rq:execution*")


def test_cards_let_pages_pass_but_not_for_long(redis_server: RedisServer, tmp_path: Path) -> None:
    worker = WorkerProcess("tell", tmp_path, redis_server.url)
    worker.wait_for_start()
    with redis_server.client() as client:
        client.rpush("rq:queue:page", "a page that nobody takes")
        send(redis_server, "i1", queue="tell")
        time.sleep(0.3)
        assert "tell i1" not in worker.lines()
        client.delete("rq:queue:page")
        worker.wait_for("tell i1")
        client.rpush("rq:queue:page", "a page that nobody takes")
        sent = time.monotonic()
        send(redis_server, "i2", queue="tell")
        worker.wait_for("tell i2")
        assert time.monotonic() - sent > PASSED_SECONDS
        send(redis_server, "i3", queue="tell")
        worker.wait_for("tell i3")
    assert worker.terminate() == 0


def test_a_failed_job_is_forgotten_and_the_next_one_runs(redis_server: RedisServer, page_worker: WorkerProcess) -> None:
    send(redis_server, "raise")
    send(redis_server, "i2")
    page_worker.wait_for("page i2")
    assert "job_failed" in page_worker.log()
    wait_until(lambda: no_jobs_left(redis_server), "the jobs to be forgotten")
    with redis_server.client() as client:
        assert not client.keys("rq:failed:*")


def test_sigterm_during_a_job_finishes_it_takes_nothing_new_and_exits_0(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    send(redis_server, "hold-gate")
    page_worker.wait_for("page hold-gate")
    send(redis_server, "i2")
    page_worker.process.terminate()
    page_worker.process.terminate()
    page_worker.wait_for("winding down")
    page_worker.open_gate("gate")
    assert page_worker.process.wait(120) == 0
    assert page_worker.lines() == ["page hold-gate", "winding down", "page done", "closed"]


def test_sigterm_ends_an_idle_worker_at_once(page_worker: WorkerProcess, redis_server: RedisServer) -> None:
    send(redis_server, "i1")
    page_worker.wait_for("page done")
    assert page_worker.terminate() == 0


def test_sigterm_ends_a_worker_that_waits_for_redis(redis_server: RedisServer, page_worker: WorkerProcess) -> None:
    redis_server.kill()
    wait_until(lambda: "redis_unreachable" in page_worker.log(), "the worker to notice")
    assert page_worker.terminate() == 0


def test_a_worker_comes_back_by_itself_after_redis_was_killed(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    send(redis_server, "i1")
    page_worker.wait_for("page i1")
    redis_server.restart()
    send(redis_server, "i2")
    page_worker.wait_for("page i2")
    assert page_worker.process.poll() is None


class Doorkeeper:
    """Stands where a Redis was, counts who comes, and sends everybody away."""

    def __init__(self, port: int) -> None:
        self.came = 0
        self._door = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._send_away)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._door.close()

    def _send_away(self) -> None:
        with suppress(OSError):
            while True:
                self._door.accept()[0].close()
                self.came += 1


def spoken(worker: WorkerProcess) -> list[str]:
    """What it has logged since it serves. All of it is ours, and nothing is a fault."""
    lines = [json.loads(line) for line in worker.log().splitlines()]
    assert [line for line in lines if "logger" in line or line["level"] in ("error", "critical")] == []
    return [line["event"] for line in lines if line["event"] != "serving"]


def test_the_loss_of_redis_is_one_plain_line_however_often_a_worker_tries_and_its_return_another(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    send(redis_server, "i1")
    page_worker.wait_for("page done")
    for number in (1, 2):
        redis_server.kill()
        with Doorkeeper(redis_server.port) as doorkeeper:
            wait_until(lambda: doorkeeper.came > TRIES, "the worker to try again and again")
        assert spoken(page_worker) == ["redis_unreachable", "redis_back"] * (number - 1) + ["redis_unreachable"]
        redis_server.start()
        wait_until(lambda: len(spoken(page_worker)) == 2 * number, "it to say so")  # noqa: B023 - asked at once
        assert spoken(page_worker) == ["redis_unreachable", "redis_back"] * number
    send(redis_server, "i2")
    page_worker.wait_for("page i2")


def test_a_redis_that_lets_in_and_refuses_jobs_is_not_called_back_at_each_try(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    with redis_server.client() as client:
        client.set("rq:queue:page", "no queue")
        before = client.info()["total_connections_received"]
        wait_until(
            lambda: client.info()["total_connections_received"] > before + TRIES, "the worker to try again and again"
        )
        assert spoken(page_worker) == ["redis_unreachable"]
        client.delete("rq:queue:page")
    wait_until(lambda: len(spoken(page_worker)) > 1, "it to say so")
    assert spoken(page_worker) == ["redis_unreachable", "redis_back"]


def test_a_worker_comes_back_by_itself_after_redis_was_frozen(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    send(redis_server, "i1")
    page_worker.wait_for("page done")
    redis_server.freeze()
    wait_until(lambda: "TimeoutError" in page_worker.log(), "the worker to notice")
    redis_server.thaw()

    def is_back() -> bool:
        send(redis_server, "i2")
        return "page i2" in page_worker.lines()

    wait_until(is_back, "the worker to be back")


# What others might put into our queue. Each says how it would show that its code ran: by making the file.


def _hash(client: redis.Redis, data: bytes, **fields: str) -> str:
    client.hset("rq:job:evil", "data", data)
    for name, value in ({"created_at": "2026-01-01T00:00:00Z", "origin": "page"} | fields).items():
        client.hset("rq:job:evil", name, value)
    return "evil"


def pickled(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, zlib.compress(pickle.dumps(("os.system", None, (f"touch {victim}",), {}))))


class _Bomb:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.victim}",)


def pickle_that_acts_when_read(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, pickle.dumps(_Bomb(victim)))


def json_os_system(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, zlib.compress(json.dumps(["os.system", None, [f"touch {victim}"], {}]).encode()))


def unknown_function(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, json.dumps(["workers.job.no_such", None, [["i1"]], {}]).encode())


def our_function_with_other_arguments(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, json.dumps(["workers.job.page", None, [[{"a": 1}]], {}]).encode())


def our_function_on_an_instance(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, json.dumps(["workers.job.page", "os", [["i1"]], {}]).encode())


def not_even_a_list(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, b"17")


def deep_json(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, b"[" * 100_000)


def missing_hash(client: redis.Redis, victim: Path) -> str | bytes:
    return "gone"


def not_a_hash(client: redis.Redis, victim: Path) -> str | bytes:
    client.set("rq:job:text", "x")
    return "text"


def broken_fields(client: redis.Redis, victim: Path) -> str | bytes:
    return _hash(client, b"x", timeout="soon", status="odd", created_at="never")


def id_that_is_no_utf8(client: redis.Redis, victim: Path) -> str | bytes:
    return b"\xff\xfe\x00"


def id_that_rq_refuses(client: redis.Redis, victim: Path) -> str | bytes:
    return "a:b/../c"


def callbacks_and_webhooks(client: redis.Redis, victim: Path) -> str | bytes:
    job = Job.create(
        "workers.job.page",
        [["raise"]],
        connection=client,
        serializer=JSONSerializer,
        origin="page",
        on_success=Callback("os.system"),
        on_failure=Callback("os.system"),
        on_stopped=Callback("os.system"),
        retry=Retry(3),
    )
    job.save()
    client.hset(job.key, "webhooks", json.dumps([{"url": "http://127.0.0.1:1/", "status": "failed"}]))
    return job.id


FOREIGN = [
    pickled,
    pickle_that_acts_when_read,
    json_os_system,
    unknown_function,
    our_function_with_other_arguments,
    our_function_on_an_instance,
    not_even_a_list,
    deep_json,
    missing_hash,
    not_a_hash,
    broken_fields,
    id_that_is_no_utf8,
    id_that_rq_refuses,
    callbacks_and_webhooks,
]


def test_foreign_and_broken_jobs_run_nothing_and_the_worker_lives_on(
    redis_server: RedisServer, page_worker: WorkerProcess, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    for number, plant in enumerate(FOREIGN):
        with redis_server.client() as client:
            client.rpush("rq:queue:page", plant(client, victim))
        send(redis_server, f"after-{number}")
        page_worker.wait_for(f"page after-{number}")
        assert page_worker.process.poll() is None, plant.__name__
        assert not victim.exists(), plant.__name__
    ran = {line for line in page_worker.lines() if line not in ("page done", "beat")}
    assert ran == {f"page after-{number}" for number in range(len(FOREIGN))} | {"page raise"}
    assert "os.system" not in page_worker.log()


def _ours(ids: object) -> bytes:
    return json.dumps(["workers.job.page", None, [ids], {}]).encode()


OVERSIZED: list[tuple[str, dict[str | bytes, bytes | float | int | str], str]] = [
    ("packed", {"data": zlib.compress(_ours(["i" * 20_000_000]))}, "too large"),
    ("plain", {"data": _ours(["i" * 64_000_000])}, "too large"),
    ("many", {"data": zlib.compress(_ours([f"x{number}" for number in range(IDS_IN_A_JOB + 1)]))}, "too many ids"),
    ("strange", {"data": _ours(["i1", "x\0"])}, "not one list of ids"),
    ("x" * 1_000_000, {}, "its id is too long"),
    ("fat", {"data": _ours(["fat"]), "meta": "x" * 64_000_000}, ""),
]
"""A job's id, its fields, and the reason that is logged for refusing it; the last has a field that nobody reads."""


def test_a_job_larger_than_ours_can_be_is_refused_with_its_reason_and_costs_no_memory(
    redis_server: RedisServer, page_worker: WorkerProcess
) -> None:
    send(redis_server, *(f"{number:036}" for number in range(IDS_IN_A_JOB)))
    page_worker.wait_for("page done")
    before = page_worker.most_memory()
    for number, (name, fields, cause) in enumerate(OVERSIZED):
        with redis_server.client() as client:
            if fields:
                client.hset(f"rq:job:{name}", mapping=fields)
            client.rpush("rq:queue:page", name)
        send(redis_server, f"after-{number}")
        page_worker.wait_for(f"page after-{number}")
        assert f'"cause": "{cause}"' in page_worker.log().splitlines()[-1] or not cause
    ran = {line for line in page_worker.lines()[2:] if line not in ("page done", "beat")}
    assert ran == {"page fat", *(f"page after-{number}" for number in range(len(OVERSIZED)))}
    assert page_worker.most_memory() - before < 16_000_000


def test_the_trap_would_spring_in_a_plain_rq_worker(redis_server: RedisServer, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    victim = tmp_path / "victim"
    with redis_server.client() as client:
        json_os_system(client, victim)
        Queue("page", connection=client, serializer=JSONSerializer).push_job_id("evil")
    options = ["--burst", "-S", "json", "-w", "rq.SimpleWorker", "-u", redis_server.url]
    rq = str(Path(sys.executable).with_name("rq"))
    assert os.spawnv(os.P_WAIT, rq, [rq, "worker", "-q", *options, "page"]) == 0
    assert victim.exists()


@pytest.mark.parametrize("key", ["rq:suspended", "rq:clean_registries:page"])
def test_no_key_in_redis_stops_paging(redis_server: RedisServer, page_worker: WorkerProcess, key: str) -> None:
    with redis_server.client() as client:
        client.set(key, "1")
    send(redis_server, "i1")
    page_worker.wait_for("page i1")
