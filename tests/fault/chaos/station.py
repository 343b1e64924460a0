"""incidentd as it runs in use: a web part and two worker groups, a Redis of its own, and the sandbox as receivers."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import requests

from incidentd.sandbox.server import SandboxServer
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate
from tests.fault.chaos.pace import Pace
from tests.fault.chaos.plan import POSTGRESQL
from tests.fault.haste import hasty_rules
from tests.fault.plant import Part
from tests.lifecycle.bench import environment
from tests.lifecycle.table import replace_in
from tests.servers import PostgresServer, RedisServer, children_of, free_port

LEVEL_SECONDS = 4
HOLD_DOWN_SECONDS = 6
GROUPS = ("group-1", "group-2")
WEB = "web"


class Station:
    """The processes. What dies is started again, as a supervisor does it, unless it is ``held``."""

    def __init__(
        self, database_url: str, folder: Path, redis: RedisServer, sandbox: SandboxServer, pace: Pace,
        postgres: PostgresServer | None,
    ) -> None:  # fmt: skip
        self.database_url, self.folder, self.redis, self.sandbox = database_url, folder, redis, sandbox
        self.postgres = postgres
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.pace = pace
        self.url = f"http://127.0.0.1:{free_port()}"
        self.store = Store(open_engine(database_url))
        self.environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environ |= environment(database_url, sandbox, _rules(folder)) | dict(pace.settings)
        self.environ |= {
            "INCIDENTD_SPOOL": str(folder / "spool"),
            "INCIDENTD_LISTEN": self.url.removeprefix("http://"),
            "INCIDENTD_REDIS_URL": redis.url,
            "INCIDENTD_WORKERS_PAGE": "1",
            "INCIDENTD_WORKERS_ESCALATE": "1",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        sandbox.product_url = self.url
        self.lock = threading.RLock()
        self.extras: list[Part] = []
        self.parts = {WEB: self._part(WEB, "incidentd.cli.inside")}
        self.parts |= {name: self._part(name, "incidentd.cli", "worker") for name in GROUPS}

    def start(self) -> None:
        """Start all."""
        for part in self.parts.values():
            part.start()

    def is_ready(self) -> bool:
        """Whether webhooks can be stored."""
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).ok
        except requests.RequestException:
            return False

    def look(self) -> None:
        """Start again what died."""
        with self.lock:
            for part in self.parts.values():
                part.revive()

    def start_extra(self, role: str, failpoint: str) -> None:
        """One more process of a role, which ends at a failpoint and stays dead; the last one of its role ends first."""
        for part in self.extras:
            if part.name == f"extra-{role}":
                part.kill()
        part = self._part(f"extra-{role}", "workers.process", role)
        part.start(INCIDENTD_FAILPOINT=failpoint)
        self.extras = [each for each in self.extras if each.name != part.name] + [part]

    def end_extras(self) -> None:
        """Those that never came to their point."""
        for part in self.extras:
            part.kill()

    def member(self, group: str, role: str) -> int | None:
        """The process of a role in a group, if it is there now."""
        try:
            children = children_of(self.parts[group].pid)
        except (FileNotFoundError, ProcessLookupError):
            return None
        return next((child for child in children if _plays(child, role)), None)

    def close(self) -> None:
        """End all processes."""
        with self.lock:
            for part in (*self.parts.values(), *self.extras):
                part.kill()
        self.store.close()

    def _part(self, name: str, *argv: str) -> Part:
        return Part(name, list(argv), self.environ, self.logs / f"{name}.log")


def _plays(pid: int, role: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"workers.process" in words and role.encode() in words


def _rules(folder: Path) -> Path:
    rules = hasty_rules(folder / "rules", LEVEL_SECONDS)
    replace_in(rules, "escalation.yaml", ("hold_down: 5m", f"hold_down: {HOLD_DOWN_SECONDS}s"))
    return rules


@contextmanager
def station(database: str, folder: Path, pace: Pace) -> Iterator[Station]:
    """All that a run needs, on free ports and in a folder of its own; all but the folder is gone at the end."""
    with ExitStack() as stack:
        postgres = None
        if database == POSTGRESQL:
            postgres = PostgresServer()
            stack.callback(postgres.remove)
            url = stack.enter_context(postgres.create().database())
        else:
            url = f"sqlite:///{folder / 'incidentd.db'}"
        with closing(Store(open_engine(url))) as store:
            migrate(store.engine)
        redis = RedisServer()
        stack.callback(redis.kill)
        redis.start()
        sandbox = stack.enter_context(SandboxServer(keep=None))
        made = Station(url, folder, redis, sandbox, pace, postgres)
        stack.callback(made.close)
        yield made
