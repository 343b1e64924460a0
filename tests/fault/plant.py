"""incidentd as real processes on one database, with the sandbox, in the test's process, as all receivers.

Like a supervisor it starts again what dies; like Alertmanager it posts again what was not answered with 2xx.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from incidentd.errors import StoreUnavailableError
from incidentd.intake import fingerprint
from incidentd.jobs import QUEUES
from incidentd.sandbox.pagerduty import Event
from incidentd.sandbox.server import SandboxServer
from incidentd.store.engine import Store, open_engine
from incidentd.store.tables import INCIDENTS
from tests.fault.haste import hasty_rules
from tests.fault.standstill import Standstill
from tests.lifecycle.bench import environment
from tests.machine import Stopwatch
from tests.servers import RedisServer, free_port, leashed, wait_until

LEASE_SECONDS = 6.0
HTTP_SECONDS = 3.0
LONGEST_SECONDS = 90.0
START_SECONDS = 90.0
"""A busy machine may take its time to start a process."""

STORE_PATIENCE = timedelta(seconds=5)
"""Longer than a transaction waits and is tried again before it is given up."""

WEB, TIMEKEEPER, SECOND, GROUP = "web", "timekeeper", "second", "group"
COMMANDS = {
    WEB: ["incidentd.cli.inside"],
    GROUP: ["incidentd.cli", "worker"],
    SECOND: ["workers.process", TIMEKEEPER],
    **{role: ["workers.process", role] for role in ("page", "escalate", "tell", TIMEKEEPER)},
}
TEST_PROFILE = {
    "INCIDENTD_LEASE_SECONDS": str(LEASE_SECONDS),
    "INCIDENTD_HTTP_SECONDS": str(HTTP_SECONDS),
    "INCIDENTD_TICK_SECONDS": "0.1",
    "INCIDENTD_MARK_DELIVER_SECONDS": "0.5",
    "INCIDENTD_MARK_ESCALATE_SECONDS": "0.3",
    "INCIDENTD_WORKERS_PAGE": "1",
    "INCIDENTD_WORKERS_ESCALATE": "1",
    "INCIDENTD_WORKERS_TELL": "1",
}


@dataclass
class Part:
    """One process, and those that take its place when it dies. ``argv`` is what follows ``python -m``."""

    name: str
    argv: list[str]
    environ: Mapping[str, str]
    log: Path
    deaths: int = 0
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int:
        """The present process."""
        assert self._process
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status of the present process; None while it runs."""
        return self._process.poll() if self._process else None

    def start(self, **settings: str) -> None:
        """Start it; ``settings`` hold for this one life."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                leashed([sys.executable, "-m", *self.argv]), env={**self.environ, **settings}, stdout=log, stderr=log
            )

    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self._process is None or self._process.poll() is not None

    def revive(self) -> None:
        """Start it again if it died."""
        if self.is_dead():
            self.deaths += 1
            self.start()

    def signal(self, what: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, what)

    def kill(self) -> None:
        """kill -9. Its children die with it."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process
        self._process.terminate()
        return self._process.wait(LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that was answered with 2xx: from then on it must not be lost. ``climbs``: its levels last seconds."""

    place: str
    climbs: bool
    at: datetime


@dataclass
class Plant:
    """The processes, what was told to them, and where they keep it."""

    database_url: str
    sandbox: SandboxServer
    folder: Path
    redis: RedisServer | None
    level_seconds: int
    parts: dict[str, Part] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.store = Store(open_engine(self.database_url))
        self.environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        rules = hasty_rules(self.folder / "rules", self.level_seconds)
        self.environ |= environment(self.database_url, self.sandbox, rules) | TEST_PROFILE
        self.environ["INCIDENTD_SPOOL"] = str(self.folder / "spool")
        self.environ["INCIDENTD_LISTEN"] = self.url.removeprefix("http://")
        self.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
        if self.redis:
            self.environ["INCIDENTD_REDIS_URL"] = self.redis.url
        self._session = requests.Session()
        self.standstill = Standstill(self.folder / "standstill")
        self.standstill.start()

    def start(self, name: str, failpoint: str | None = None, launcher: tuple[str, ...] = ()) -> Part:
        """Start a part, in its first life with a failpoint. ``launcher`` stands before its module."""
        part = Part(name, [*launcher, *COMMANDS[name]], self.environ, self.folder / f"{name}.log")
        self.parts[name] = part
        part.start(**({"INCIDENTD_FAILPOINT": failpoint} if failpoint else {}))
        return part

    def wait_for_web(self) -> None:
        """Return once webhooks can be stored."""
        self.until(lambda: self.status("/-/ready") == requests.codes.ok, "the web part to be ready", START_SECONDS)

    def until(self, true: Callable[[], object], what: str, seconds: float = LONGEST_SECONDS) -> None:
        """Wait, starting again what dies meanwhile."""

        def holds() -> bool:
            for part in self.parts.values():
                part.revive()
            # What is stored is looked at while it is written: on a busy machine that may have to wait.
            with suppress(StoreUnavailableError):
                return bool(true())
            return False

        wait_until(holds, f"{what}; logs: {self.folder}", seconds)

    def workers_run(self) -> bool:
        """Whether a worker of each queue has told Redis of itself."""
        assert self.redis
        with self.redis.client() as client:
            return len(client.smembers("rq:workers")) == len(QUEUES)

    def fire(self, *places: str, climbs: bool = True) -> None:
        """Post P0s until they are answered with 2xx, as Alertmanager does; P1s, where none is to climb meanwhile."""
        self.until(lambda: self.post(*places, climbs=climbs) == requests.codes.ok, ", ".join(places))
        self.told += [Told(place, climbs, datetime.now(UTC)) for place in places]

    def post(self, *places: str, climbs: bool = True) -> int:
        """Post them once, as one notification; returns the status, 0 where there is no answer."""
        return self.post_all([_alert(place, "core-api" if climbs else "chat-delivery") for place in places])

    def post_all(self, alerts: Sequence[Mapping[str, Any]]) -> int:
        """Post these in one notification, once; returns as ``post``."""
        return self._answer("POST", "/api/v1/alertmanager", {"version": "4", "alerts": alerts})

    def status(self, path: str) -> int:
        """What a GET is answered with; 0 where there is no answer."""
        return self._answer("GET", path)

    def detail(self, path: str) -> tuple[int, str]:
        """The status of a probe, and what it says."""
        answer = self._session.get(self.url + path, timeout=10)
        return answer.status_code, answer.json()["detail"]

    def answer(self, place: str) -> None:
        """Wait for the page and answer it by the API, until that is confirmed."""
        self.until(lambda: self._paged().get(place), f"a page of {place} that names its incident")
        self._acknowledge(place, self._paged()[place])

    def answer_unpaged(self, place: str) -> None:
        """Answer it, as somebody does who looks at the list of incidents."""
        statement = sa.select(INCIDENTS.c.id).where(INCIDENTS.c.key.endswith(f"={place}"))
        self._acknowledge(place, self.store.read(lambda tx: tx.execute(statement).scalar_one()))

    def _acknowledge(self, place: str, incident_id: str) -> None:
        path = f"/api/v1/incidents/{incident_id}/acknowledge"
        self.until(lambda: self._answer("POST", path, {"actor": "anna"}) == requests.codes.ok, f"the answer to {place}")
        self.answers.add(place)

    def is_paged(self, place: str) -> bool:
        """Whether PagerDuty has accepted a page for it."""
        return place in self._paged()

    def paged_at(self, place: str) -> datetime:
        """When PagerDuty accepted the first page for it."""
        return next(event.at for event in self.sandbox.pagerduty.events if event.payload and _place(event) == place)

    def late_pages(self, watch: Stopwatch, within: float) -> list[str]:
        """Of the alerts that were answered since ``watch`` began: whose first page left later than so many seconds."""
        since = [told for told in self.told if told.at > watch.began_at]
        waits = {told.place: (self.paged_at(told.place) - told.at).total_seconds() for told in since}
        complaints = {place: watch.complaint(within, took) for place, took in waits.items()}
        return [f"{place} {complaint}" for place, complaint in complaints.items() if complaint]

    def stopwatch(self) -> Stopwatch:
        """Runs from now on, and knows what the machine withholds from all processes."""
        return Stopwatch(lambda: self.standstill.all)

    def _paged(self) -> dict[str, str]:
        """The incidents that were paged: their ids by place."""
        triggers = (event for event in self.sandbox.pagerduty.events if event.payload)
        named = [(_place(event), event.payload["custom_details"].get("incident_id", "")) for event in triggers]
        # One that went out without the database names none; that of a later one counts.
        return dict(sorted(named, key=itemgetter(1)))

    def errors(self) -> list[str]:
        """What the processes logged as an error, or printed as no log line.

        That the database refused for want of time is none where the machine stood still meanwhile.
        """
        lines = [line for part in self.parts.values() for line in part.log.read_text().splitlines()]
        return [line for line in lines if _is_error(line) and not self._is_excused(line)]

    def _is_excused(self, line: str) -> bool:
        if "StoreUnavailableError" not in line:
            return False
        at = datetime.fromisoformat(json.loads(line)["timestamp"])
        return self.standstill.was_within(at - STORE_PATIENCE, at)

    def close(self) -> None:
        """End all processes."""
        for part in self.parts.values():
            part.kill()
        self.standstill.close()
        self._session.close()
        self.store.close()

    def _answer(self, method: str, path: str, body: object = None) -> int:
        token = "WEBHOOK" if path.endswith("alertmanager") else "API"
        bearer = {"Authorization": f"Bearer {self.environ[f'INCIDENTD_{token}_TOKEN']}"}
        try:
            return self._session.request(method, self.url + path, json=body, headers=bearer, timeout=5).status_code
        except requests.RequestException:
            time.sleep(0.05)
            return 0


def _place(trigger: Event) -> str:
    place: str = trigger.payload["custom_details"]["alerts"][0]["labels"]["environment"]
    return place


def _alert(place: str, slo: str) -> dict[str, Any]:
    labels = {"alertname": "Outage", "system": "avalo", "slo": slo, "sli": "outage"}
    labels |= {"region": "eu", "environment": place}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": place},
        "startsAt": "2026-11-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": fingerprint(labels),
    }


def _is_error(line: str) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return bool(line.strip())
    return entry.get("level") in ("error", "critical")


@contextmanager
def running(
    database_url: str, folder: Path, redis: RedisServer | None = None, *, level_seconds: int = 1
) -> Iterator[Plant]:
    """A plant whose levels last so many seconds; all its processes are gone at the end."""
    with SandboxServer(keep=None) as sandbox:
        plant = Plant(database_url, sandbox, folder, redis, level_seconds)
        try:
            yield plant
        finally:
            plant.close()
