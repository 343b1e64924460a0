"""Redis and the database go away, come back, refuse, or hold what isn't theirs."""

import json
import pickle
import sqlite3
import zlib
from contextlib import suppress
from random import Random

import redis as redis_client

from tests.fault.chaos.process_fault import End, nothing
from tests.fault.chaos.station import Station

_QUEUES = ("page", "escalate", "tell")


def kill_redis(station: Station, random: Random) -> tuple[str, End]:
    """It comes back empty."""
    station.redis.kill()

    def start() -> None:
        station.redis.start()

    return "", start


def empty_redis(station: Station, random: Random) -> tuple[str, End]:
    """What was enqueued is gone. One that another fault has killed just now is empty as it is."""
    with suppress(redis_client.ConnectionError), station.redis.client() as client:
        client.flushall()
    return "", nothing


def freeze_redis(station: Station, random: Random) -> tuple[str, End]:
    """It takes connections and says nothing."""
    station.redis.freeze()
    return "", station.redis.thaw


def plant_jobs(station: Station, random: Random) -> tuple[str, End]:
    """A pickle, a function that isn't ours, a job without a hash, and bytes that are no UTF-8, in each queue."""
    with suppress(redis_client.ConnectionError), station.redis.client() as client:
        for queue in _QUEUES:
            _job(client, f"evil-{queue}-1", zlib.compress(pickle.dumps(("os.getpid", None, (), {}))), queue)
            _job(client, f"evil-{queue}-2", json.dumps(["os.getpid", None, [], {}]).encode(), queue)
            client.rpush(f"rq:queue:{queue}", f"missing-{queue}", b"\xff\xfe")
    return "", nothing


def _job(client: redis_client.Redis, name: str, data: bytes, queue: str) -> None:
    client.hset(f"rq:job:{name}", mapping={"data": data, "created_at": "2026-01-01T00:00:00Z", "origin": queue})
    client.rpush(f"rq:queue:{queue}", name)


def end_connections(station: Station, random: Random) -> tuple[str, End]:
    """Each of PostgreSQL's backends."""
    assert station.postgres
    station.postgres.terminate_backends()
    return "", nothing


def stop_postgresql(station: Station, random: Random) -> tuple[str, End]:
    """As for an upgrade, or as after a crash."""
    server = station.postgres
    assert server
    crash = random.random() < 0.5
    (server.kill if crash else server.stop)()

    def start() -> None:
        server.start()

    return "crash" if crash else "", start


def make_read_only(station: Station, random: Random) -> tuple[str, End]:
    """As a server is that has become a replica."""
    _set_read_only(station, "on")
    return "", lambda: _set_read_only(station, "off")


def _set_read_only(station: Station, value: str) -> None:
    assert station.postgres
    station.postgres.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    station.postgres.execute("SELECT pg_reload_conf()")


def lock_sqlite(station: Station, random: Random) -> tuple[str, End]:
    """Somebody else writes, for long."""
    path = station.database_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    with suppress(sqlite3.OperationalError):
        other.execute("BEGIN EXCLUSIVE")
    return "", other.close
