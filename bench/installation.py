"""incidentd as it runs in use: a web part, a worker group, Redis, and receivers that accept all."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import yaml

from bench.collector import Seen
from bench.notification import TOKEN
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.servers import RedisServer, free_port, leashed, wait_until

PROJECT = Path(__file__).parents[1]
_START_SECONDS, _STOP_SECONDS = 120.0, 60.0
_LONGEST_SECONDS, _POLL_SECONDS = 300.0, 0.5


@dataclass(frozen=True, slots=True)
class Receiver:
    """The collector, from outside."""

    port: int

    def seen(self) -> Seen:
        """All that it has accepted."""
        answer = requests.get(f"http://127.0.0.1:{self.port}/seen", timeout=60)
        return [(kind, mark, at) for kind, mark, at in answer.json()]

    def pages(self) -> dict[int, float]:
        """When the first page about each mark was accepted, in seconds on the monotonic clock."""
        first: dict[int, float] = {}
        for kind, mark, at in self.seen():
            if kind == "page":
                first.setdefault(mark, at)
        return first

    def wait_for(self, marks: Collection[int]) -> dict[int, float]:
        """``pages``, once there is one about each of these marks. Asks seldom, as the answer grows with the run.

        Raises:
            TimeoutError: they don't come.
        """
        end = time.monotonic() + _LONGEST_SECONDS
        while not set(marks) <= (found := self.pages()).keys():
            if time.monotonic() > end:
                raise TimeoutError(f"{len(set(marks) - found.keys()):,} pages did not come")
            time.sleep(_POLL_SECONDS)
        return found

    def forget(self) -> None:
        """Empty it."""
        requests.post(f"http://127.0.0.1:{self.port}/forget", timeout=60)


@dataclass(frozen=True, slots=True)
class Installation:
    """A running one."""

    port: int
    database_url: str
    redis: RedisServer
    receiver: Receiver

    def keys(self) -> int:
        """How many keys Redis holds beyond those in which RQ's workers say that they live."""
        with self.redis.client() as client:
            return sum(not key.startswith((b"rq:worker", b"rq:queues", b"rq:clean")) for key in client.scan_iter())


@contextmanager
def installation(database_url: str, *, limited: bool = True) -> Iterator[Installation]:
    """One web part, one worker group. ``limited`` False: the receivers' limits are taken out of the rules."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="incidentd-bench-"))
        stack.callback(shutil.rmtree, folder)
        redis = RedisServer().start()
        stack.callback(redis.kill)
        port, receiver = free_port(), Receiver(free_port())
        stack.enter_context(running("bench.collector", str(receiver.port)))
        wait_until(lambda: _answers(receiver.port, "/seen"), "the collector", _START_SECONDS)
        settings = _settings(database_url, redis.url, _rules(folder, limited=limited), port, receiver.port)
        migrate(open_engine(database_url))
        stack.enter_context(running("incidentd.cli", "serve", settings=settings, log=folder / "web.log"))
        wait_until(lambda: _answers(port, "/-/ready"), "the web part", _START_SECONDS)
        stack.enter_context(running("incidentd.cli", "worker", settings=settings, log=folder / "worker.log"))
        wait_until(lambda: _answers(port, "/-/delivering"), "the worker group", _START_SECONDS)
        yield Installation(port, database_url, redis, receiver)


@contextmanager
def bare(database_url: str) -> Iterator[int]:
    """The yardstick's port."""
    port = free_port()
    with running("bench.bare", str(port), database_url):
        wait_until(lambda: _answers(port, "/openapi.json"), "the bare endpoint", _START_SECONDS)
        yield port


@contextmanager
def running(
    *arguments: str, settings: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python module as a process of its own until the block ends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INCIDENTD_")}
    with (log or Path(os.devnull)).open("ab") as output:
        process = subprocess.Popen(
            leashed([sys.executable, "-m", *arguments]), env=kept | dict(settings or {}), cwd=PROJECT, stderr=output
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _settings(database_url: str, redis_url: str, rules: Path, port: int, receiver: int) -> dict[str, str]:
    return {
        "INCIDENTD_DATABASE_URL": database_url,
        "INCIDENTD_REDIS_URL": redis_url,
        "INCIDENTD_RULES": str(rules),
        "INCIDENTD_LISTEN": f"127.0.0.1:{port}",
        "INCIDENTD_WEBHOOK_TOKEN": TOKEN,
        "INCIDENTD_API_TOKEN": "an-api-token-of-the-benchmarks",
        "INCIDENTD_PAGERDUTY_ROUTING_KEY": "b" * 32,
        "INCIDENTD_PAGERDUTY_EVENTS_URL": f"http://127.0.0.1:{receiver}",
        "INCIDENTD_SLACK_BOT_TOKEN": "xoxb-of-the-benchmarks-4711",
        "INCIDENTD_SLACK_SIGNING_SECRET": "a-signing-secret-of-the-benchmarks",
        "INCIDENTD_SLACK_API_URL": f"http://127.0.0.1:{receiver}/api",
    }


def _rules(folder: Path, *, limited: bool) -> Path:
    """The shipped table."""
    copy = folder / "rules"
    shutil.copytree(PROJECT / "rules", copy)
    if not limited:
        file = copy / "destinations.yaml"
        destinations = yaml.safe_load(file.read_text())
        for destination in destinations.values():
            destination["per_minute"] = 0
        file.write_text(yaml.safe_dump(destinations))
    return copy


def _answers(port: int, path: str) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).ok
    except requests.RequestException:
        return False


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
