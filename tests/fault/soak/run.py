"""One soak: an installation as in use, a steady flow, and a sample every few seconds."""

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from bench.installation import running
from incidentd.clock import SystemClock
from incidentd.sandbox.server import SandboxServer
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate
from tests.fault.haste import hasty_rules
from tests.fault.soak.flow import Flow
from tests.fault.soak.growth import Growth
from tests.fault.soak.sample import Samples, holding
from tests.lifecycle.bench import environment
from tests.lifecycle.table import replace_in
from tests.servers import PostgresServer, RedisServer, children_of, free_port, wait_until

SAMPLES = 600
_SHORTEST_SECONDS = 0.2
_KEPT = 2_000
"""What the receivers remember: they stand in the soak's own process, which may not grow without end either."""
_LEVEL_SECONDS = 300
_START_SECONDS = 300.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it. ``alerts`` were sent; ``pages`` accepted."""

    database: str
    minutes: float
    alerts: int
    statuses: Counter[int]
    pages: int
    growths: list[Growth]

    @property
    def is_good(self) -> bool:
        """Whether all was taken, and nothing grew."""
        return set(self.statuses) == {200} and self.pages > 0 and all(each.is_good for each in self.growths)


def soak(database: str, minutes: float, per_second: float, folder: Path, say: Say) -> Soaked:
    """Returns what came of it."""
    with ExitStack() as stack:
        url, connections = stack.enter_context(_database(database, folder))
        redis = RedisServer()
        stack.callback(redis.kill)
        redis.start()
        sandbox = stack.enter_context(SandboxServer(keep=_KEPT))
        with closing(Store(open_engine(url))) as store:
            migrate(store.engine)
        address = f"127.0.0.1:{free_port()}"
        settings = _settings(url, sandbox, folder, redis, address)
        web = stack.enter_context(running("incidentd.cli", "serve", settings=settings, log=folder / "web.log"))
        wait_until(lambda: _answers(f"http://{address}/-/ready"), "the web part", _START_SECONDS)
        group = stack.enter_context(running("incidentd.cli", "worker", settings=settings, log=folder / "worker.log"))
        wait_until(lambda: _answers(f"http://{address}/-/delivering"), "the worker group", _START_SECONDS)
        processes = _processes(web, group)
        say(f"{database}: all has started, the load begins")
        flow = Flow(f"http://{address}", settings["INCIDENTD_WEBHOOK_TOKEN"], per_second, SystemClock().now)
        samples = _sampled(flow, minutes, lambda: (processes, lambda: connections(processes), redis), say)
        return Soaked(database, minutes, flow.alerts, flow.statuses, len(sandbox.pagerduty.events), samples.growths())


def _sampled(
    flow: Flow, minutes: float, what: Callable[[], tuple[dict[str, int], Callable[[], int], RedisServer]], say: Say
) -> Samples:
    samples, every = Samples(), max(_SHORTEST_SECONDS, minutes * 60 / SAMPLES)
    thread = threading.Thread(target=flow.run, daemon=True)
    thread.start()
    end, told = time.monotonic() + minutes * 60, time.monotonic()
    try:
        while time.monotonic() < end:
            samples.take(*what())
            if time.monotonic() - told >= 60:
                told = time.monotonic()
                left, memory = (end - told) / 60, samples.memory["web"][-1]
                say(f"{left:4.0f} minutes to go, {flow.alerts:,} alerts, web part {memory:.0f} MB")
            time.sleep(every)
    finally:
        flow.stop()
        thread.join()
    return samples


@contextmanager
def _database(database: str, folder: Path) -> Iterator[tuple[str, Callable[[dict[str, int]], int]]]:
    """Its address, and what counts the connections to it."""
    if database == "sqlite":
        path = folder / "incidentd.db"
        yield f"sqlite:///{path}", lambda processes: sum(holding(pid, str(path)) for pid in processes.values())
        return
    server = PostgresServer(durable=True)
    try:
        with server.create().database() as url:
            engine = sa.create_engine(make_url(url), isolation_level="AUTOCOMMIT")
            count = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            with engine.connect() as connection:
                yield url, lambda _processes: int(connection.execute(count).scalar_one())
            engine.dispose()
    finally:
        server.remove()


def _settings(url: str, sandbox: SandboxServer, folder: Path, redis: RedisServer, address: str) -> dict[str, str]:
    rules = hasty_rules(folder / "rules", _LEVEL_SECONDS)
    replace_in(rules, "escalation.yaml", ("hold_down: 5m", "hold_down: 10s"))
    return environment(url, sandbox, rules) | {
        "INCIDENTD_REDIS_URL": redis.url,
        "INCIDENTD_LISTEN": address,
        "INCIDENTD_SPOOL": str(folder / "spool"),
    }


def _processes(web: "subprocess.Popen[bytes]", group: "subprocess.Popen[bytes]") -> dict[str, int]:
    """By what they do; where there are several of a kind, by number."""
    found = {"web": web.pid, "supervisor": group.pid}
    for pid in sorted(children_of(group.pid)):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        role = words[words.index("workers.process") + 1]
        found[next(name for n in range(1, 100) if (name := f"{role} {n}") not in found)] = pid
    return found


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
