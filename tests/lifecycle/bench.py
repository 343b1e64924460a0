"""incidentd in one process on a clock that stands still: real store, rules and channels; the sandbox receives.

There is no Redis: ``settle`` runs the jobs itself until nothing is left to do at this instant.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.clock import ManualClock
from incidentd.errors import StoreError
from incidentd.incident.apply import fold
from incidentd.incident.command import Command
from incidentd.incident.slot import PAGE, TELL
from incidentd.incident.state import Incident
from incidentd.intake import fingerprint
from incidentd.jobs import ESCALATE
from incidentd.lifecycle.work import Action, ActionResult, Complaint, Webhook
from incidentd.runtime import Runtime
from incidentd.sandbox.pagerduty import Event
from incidentd.sandbox.server import SandboxServer
from incidentd.settings import load_settings
from incidentd.store import entries, incidents
from incidentd.store.cursors import ENQUEUED, FREE, GRANTED, HELD
from incidentd.store.tables import BUCKETS, CURSORS, INCIDENTS, METADATA
from incidentd.timeline import Entry
from tests import canary
from tests.servers import wait_until

RULES = Path(__file__).parents[2] / "rules"
BEGIN = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
KEYS = {level: canary.of(f"routing key {level}") for level in (1, 2, 3)}
"""The routing key of each level."""

_READINGS = 10

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def environment(database_url: str, sandbox: SandboxServer, rules: Path = RULES) -> dict[str, str]:
    """What a process needs to know, with the sandbox as PagerDuty and Slack and one routing key for each level."""
    return {
        "INCIDENTD_PAGERDUTY_WEBHOOK_SECRET": canary.of("INCIDENTD_PAGERDUTY_WEBHOOK_SECRET"),
        "INCIDENTD_DATABASE_URL": database_url,
        "INCIDENTD_RULES": str(rules),
        "INCIDENTD_PUBLIC_URL": "https://incidentd.example",
        "INCIDENTD_WEBHOOK_TOKEN": canary.of("INCIDENTD_WEBHOOK_TOKEN"),
        "INCIDENTD_API_TOKEN": canary.of("INCIDENTD_API_TOKEN"),
        "INCIDENTD_PAGERDUTY_EVENTS_URL": sandbox.pagerduty_url,
        "INCIDENTD_SLACK_API_URL": sandbox.slack_url,
        "INCIDENTD_SLACK_SIGNING_SECRET": sandbox.signing_secret,
        "INCIDENTD_SLACK_BOT_TOKEN": canary.of("INCIDENTD_SLACK_BOT_TOKEN"),
        "INCIDENTD_PAGERDUTY_ROUTING_KEY": KEYS[1],
        "INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER": KEYS[2],
        "INCIDENTD_PAGERDUTY_ROUTING_KEY_CTO": KEYS[3],
    }


def alert(place: str = "", region: str = "eu", **changes: Any) -> Alert:
    """A firing alert that the rules of avalo make a P0, of an incident of its own for each ``place``.

    ``labels`` and ``annotations`` are added to its own.
    """
    labels = {"alertname": "Outage", "system": "avalo", "slo": "core-api", "sli": "outage", "region": region}
    labels |= {"environment": place} if place else {}
    labels |= changes.pop("labels", {})
    annotations = {"value": "99.4", "summary": "Too many requests fail"} | changes.pop("annotations", {})
    firing = changes.pop("firing", True)
    starts_at = changes.pop("starts_at", BEGIN)
    ends_at = None if firing else starts_at + MINUTE
    return Alert(fingerprint(labels), labels, annotations, starts_at, ends_at, firing)


def lesser(name: str, severity: str, **changes: Any) -> Alert:
    """A firing alert that no row takes: its severity decides (critical P1, warning P2, info P3)."""
    return alert(labels={"system": "other", "slo": name, "sli": "none", "severity": severity}, **changes)


class Bench:
    """One runtime, and what tests ask of it."""

    def __init__(self, database_url: str, sandbox: SandboxServer, clock: ManualClock, environ: Mapping[str, str]):
        self.clock = clock
        self.sandbox = sandbox
        self.database_url = database_url
        self.environ = environ
        self.runtime = Runtime(load_settings(environ, None), environ, clock=clock)
        self.store = self.runtime.store

    @property
    def now(self) -> datetime:
        """The instant at which the clock stands."""
        return self.clock.now()

    def hear(self, *alerts: Alert, complaints: tuple[Complaint, ...] = ()) -> None:
        """One notification, stored."""
        self.runtime.submit_webhook(Webhook(alerts, "10.0.0.1", complaints)).result(120)

    def act(self, command: Command, incident_id: str | None = None, signature: str | None = None) -> ActionResult:
        """One command, stored; for the only incident, unless another is named."""
        action = Action(incident_id or self.incident().id, command, signature)
        return self.runtime.submit_action(action).result(120)

    def settle(self) -> None:
        """Do all that is to be done at this instant, as workers and timekeepers would."""
        while True:
            due = self.runtime.due().get(ESCALATE, ())
            self.runtime.tick(due)
            waiting = self._waiting()
            if not due and not waiting:
                return
            self.deliver(waiting)

    def deliver(self, waiting: Mapping[str, list[str]]) -> None:
        """Run the delivery jobs of these incidents, by queue, to their end."""
        others = self.leases()
        self.runtime.deliver_pages(waiting.get(PAGE, ()))
        self.runtime.deliver_tells(waiting.get(TELL, ()))
        wait_until(lambda: self.leases() <= others, "deliveries to end")

    def leases(self) -> set[str]:
        """The tokens of the deliveries that are under way."""
        return {row.token for row in self.all_cursors()} - {ENQUEUED, FREE, HELD, GRANTED}

    def forward(self, by: timedelta) -> None:
        """Let time pass, stopping at each instant at which something is due on the way."""
        end = self.now + by
        self.settle()
        while (due := self._next_instant()) is not None and due <= end:
            assert due > self.now, ("something stays due whatever is done", self.all_cursors(), self.incident_ids())
            self.clock.advance(due - self.now)
            self.settle()
        self.clock.advance(end - self.now)
        self.settle()

    def incident(self, incident_id: str | None = None) -> Incident:
        """An incident as stored; the only one there is, unless another is named."""
        ids = [incident_id] if incident_id else self.incident_ids()
        assert len(ids) == 1, ids
        return self.store.read(lambda tx: incidents.load(tx, ids))[ids[0]][1]

    def incident_ids(self) -> list[str]:
        """All incidents, oldest first."""
        return self.store.read(lambda tx: list(tx.scalars(sa.select(INCIDENTS.c.id).order_by(INCIDENTS.c.number))))

    def with_key(self, part: str) -> list[Incident]:
        """The incidents whose key contains ``part``."""
        return [found for found in map(self.incident, self.incident_ids()) if part in found.key]

    def timeline(self, incident_id: str | None = None) -> list[Entry]:
        """Its entries, which fold to its stored state. Some thread may be about to write the next."""
        for _ in range(_READINGS):
            found = self.incident(incident_id)
            timeline = self.store.read(partial(entries.load, incident_id=found.id))
            if timeline[-1].number == found.last:
                break
        assert fold(timeline) == found
        return timeline

    def kinds(self, incident_id: str | None = None) -> list[str]:
        """The kinds of its entries."""
        return [entry.kind for entry in self.timeline(incident_id)]

    def cursors(self, **where: str) -> list[Any]:
        """The rows of cursors whose columns are so; those of destinations that nobody has set up only by their name."""
        found = self.all_cursors(**where)
        if "destination" in where:
            return found
        specs = self.runtime.rules.destinations.values()
        unset = {spec.name for spec in specs if spec.optional and self.runtime.destination(spec) is None}
        return [row for row in found if row.destination not in unset]

    def all_cursors(self, **where: str) -> list[Any]:
        """The rows of cursors whose columns are so."""
        wanted = [CURSORS.c[name] == value for name, value in where.items()]
        statement = sa.select(CURSORS).where(*wanted).order_by(CURSORS.c.destination, CURSORS.c.slot)
        return self.store.read(lambda tx: list(tx.execute(statement)))

    def cursor(self, **where: str) -> Any:
        """The one such cursor."""
        (found,) = self.cursors(**where)
        return found

    def events(self, action: str | None = None, level: int | None = None) -> list[Event]:
        """What PagerDuty accepted."""
        return [
            event
            for event in self.sandbox.pagerduty.events
            if action in (None, event.action) and level in (None, _level(event.routing_key))
        ]

    def restart(self, after: timedelta) -> None:
        """The process ends; when it starts again so much time has passed. What was made with it knows it no more."""
        self.runtime.close()
        self.clock.advance(after)
        self.runtime = Runtime(load_settings(self.environ, None), self.environ, clock=self.clock)
        self.store = self.runtime.store

    def close(self) -> None:
        """End the runtime."""
        self.runtime.close()

    def _waiting(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.all_cursors():
            if row.due_at is not None and (row.token in (ENQUEUED, GRANTED) or row.due_at <= self.now):
                found.setdefault(row.queue, []).append(row.incident_id)
        return found

    def _next_instant(self) -> datetime | None:
        rows = self.store.read(lambda tx: list(tx.scalars(sa.select(INCIDENTS.c.wake_at))))
        called = self.store.read(lambda tx: list(tx.scalars(sa.select(BUCKETS.c.next_at))))
        instants = [*rows, *called, *(row.due_at for row in self.all_cursors())]
        return min((at for at in instants if at is not None), default=None)


def _level(routing_key: str) -> int:
    return next(level for level, key in KEYS.items() if key == routing_key)


@contextmanager
def open_bench(
    database_url: str,
    rules: Path = RULES,
    *,
    telling: bool = False,
    clock: ManualClock | None = None,
    **changes: str,
) -> Iterator[Bench]:
    """A bench with a sandbox of its own; ``changes`` are further settings.

    ``telling``: its PagerDuty says what becomes of pages, and answers questions.
    """
    clock = clock or ManualClock(BEGIN)
    secret = canary.of("INCIDENTD_PAGERDUTY_WEBHOOK_SECRET") if telling else ""
    with SandboxServer(clock=clock.now, keep=None, pagerduty_webhook_secret=secret) as sandbox:
        if telling:
            changes["INCIDENTD_PAGERDUTY_API_URL"] = sandbox.pagerduty_api_url
        bench = Bench(database_url, sandbox, clock, environment(database_url, sandbox, rules) | changes)
        try:
            yield bench
            # A test may have left the database away.
            with suppress(StoreError):
                assert not canary.leaks(bench.store.read(_everything)), "a secret is in the database"
        finally:
            bench.close()


def _everything(tx: Connection) -> str:
    return "\n".join(str(row) for table in METADATA.sorted_tables for row in tx.execute(sa.select(table)))
