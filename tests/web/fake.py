"""A runtime whose heart and database are real, and whose outside is recorded."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.engine import Connection

from incidentd.admission import Admission
from incidentd.alert import Alert
from incidentd.channels.channel import Destination
from incidentd.classify import DestinationSpec, Rules, parse
from incidentd.classify.verdict import Verdict
from incidentd.clock import ManualClock
from incidentd.errors import NotFoundError
from incidentd.incident.apply import apply
from incidentd.incident.decide import decide
from incidentd.incident.state import Incident
from incidentd.intake import fingerprint
from incidentd.keyring import Keyring
from incidentd.lifecycle.degraded import Degraded
from incidentd.lifecycle.drillmaster import Order, begun
from incidentd.lifecycle.shadow import Loaded, Reloaded
from incidentd.lifecycle.socket_standing import SocketStanding
from incidentd.lifecycle.work import Action, ActionResult, Webhook
from incidentd.meter import Meter
from incidentd.reaction import Reaction
from incidentd.sentence import sentence
from incidentd.settings import load_settings
from incidentd.store import alerts, drills, entries, incidents
from incidentd.store.drills import Drill
from incidentd.store.engine import Store, open_engine
from incidentd.store.tables import METADATA
from incidentd.timeline import Entry
from tests import canary
from tests.incident.build import Story, member, policy

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WEBHOOK_TOKEN = canary.of("INCIDENTD_WEBHOOK_TOKEN")
API_TOKEN = canary.of("INCIDENTD_API_TOKEN")
SLACK_SECRET = canary.of("INCIDENTD_SLACK_SIGNING_SECRET")
PAGERDUTY_SECRET = canary.of("INCIDENTD_PAGERDUTY_WEBHOOK_SECRET")
HEARTBEAT_TOKEN = canary.of("INCIDENTD_HEARTBEAT_TOKEN")
PUBLIC_URL = "http://testserver"
NAMES = {1: "On-call engineer", 2: "Engineering manager", 3: "CTO"}

Result = TypeVar("Result")


@cache
def shipped(**files: str) -> Rules:
    """The shipped rules, with these files besides."""
    folder = Path(__file__).parents[2] / "rules"
    found = [*folder.glob("*.yaml"), *folder.glob("templates/*.j2")]
    texts = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}
    return parse(texts | {f"{stem}.yaml": text for stem, text in files.items()})


def opened_store(url: str) -> Store:
    engine = open_engine(url)
    METADATA.create_all(engine)
    return Store(engine)


@dataclass
class FakeRuntime:
    """What the web needs. ``failure`` is what storing comes to; ``stuck`` futures are never done."""

    store: Store
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    webhooks: list[Webhook] = field(default_factory=list)
    paged_directly: list[Webhook] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    whispers: list[tuple[str, str, str]] = field(default_factory=list)
    futures: "list[Future[Any]]" = field(default_factory=list)
    failure: Exception | None = None
    stuck: bool = False
    storing: bool = True
    delivering: tuple[bool, str] = (True, "")
    missing: tuple[Degraded, ...] = ()
    reload_failure: Exception | None = None
    shadow_load: Loaded | None = None
    shadow_rules: Rules | None = None
    session_secret: bytes = b"a session secret of the tests"
    meter: Meter = field(default_factory=Meter)
    jobs: tuple[str, ...] = ("backup",)
    rules: Rules = field(default_factory=shipped)

    def __post_init__(self) -> None:
        self.settings = load_settings(
            {
                "INCIDENTD_WEBHOOK_TOKEN": WEBHOOK_TOKEN,
                "INCIDENTD_API_TOKEN": API_TOKEN,
                "INCIDENTD_HEARTBEAT_TOKEN": HEARTBEAT_TOKEN,
                "INCIDENTD_SLACK_SIGNING_SECRET": SLACK_SECRET,
                "INCIDENTD_PAGERDUTY_WEBHOOK_SECRET": PAGERDUTY_SECRET,
                "INCIDENTD_PUBLIC_URL": PUBLIC_URL,
            }
        )
        self.admission = Admission(self.settings, {})
        self.meter.know_sources(self.admission.names)
        self.slack_socket = SocketStanding(self.clock.now)
        self._policy = policy()
        self._seen: set[str] = set()

    def page_directly(self, webhook: Webhook) -> None:
        self.paged_directly.append(webhook)

    def submit_webhook(self, webhook: Webhook) -> "Future[bool]":
        self.webhooks.append(webhook)
        return self._done(lambda: True)

    def submit_heartbeat(self, name: str, source: str) -> "Future[bool]":
        if name not in self.jobs:
            raise NotFoundError("there is no such heartbeat")
        return self.submit_webhook(Webhook((), source, signs=(name,)))

    def submit_action(self, action: Action) -> "Future[ActionResult]":
        self.actions.append(action)
        return self._done(lambda: self.store.write(lambda tx: self._act(tx, action)))

    def submit_reaction(self, reaction: Reaction) -> "Future[bool]":
        self.reactions.append(reaction)
        return self._done(lambda: reaction not in self.reactions[:-1])

    def destination(self, spec: DestinationSpec) -> Destination | None:
        return Keyring(self.settings, {}).destination(spec)

    def begin_drill(self, order: Order) -> Drill:
        if self.failure:
            raise self.failure
        drill = begun(order, new_id(next(_numbers)), self.clock.now())
        self.store.write(lambda tx: drills.insert(tx, drill))
        return drill

    def reload(self) -> Reloaded:
        if self.reload_failure:
            raise self.reload_failure
        return Reloaded("v2", ("levels 1 and 2 share a routing key",), self.shadow_load)

    def sentences(self, incident: Incident, told: Sequence[Entry]) -> list[str]:
        return [sentence(entry, NAMES) for entry in told]

    def level_names(self, incident: Incident) -> Mapping[int, str]:
        return NAMES

    def is_storing(self) -> bool:
        return self.storing

    def is_delivering(self) -> tuple[bool, str]:
        return self.delivering

    def degraded(self) -> tuple[Degraded, ...]:
        return self.missing

    def whisper(self, channel: str, user: str, text: str) -> None:
        self.whispers.append((channel, user, text))

    def _done(self, work: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self.futures.append(future)
        if self.stuck:
            return future
        try:
            if self.failure:
                raise self.failure  # noqa: TRY301
            future.set_result(work())
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future

    def _act(self, tx: Connection, action: Action) -> ActionResult:
        held = incidents.lock(tx, ids=[action.incident_id])
        if not held:
            raise NotFoundError("there is no such incident")
        before = after = held[0].incident
        if action.signature in self._seen:
            return ActionResult(before, changed=False)
        decided = decide(before, action.command, self._policy, self.clock.now())
        if action.signature:
            self._seen.add(action.signature)
        for entry in decided:
            after = apply(after, entry)
        entries.insert(tx, [(before.id, entry) for entry in decided])
        incidents.update(tx, [(before.last, after)])
        return ActionResult(after, bool(decided))


_numbers = count(1)


def new_id(number: int) -> str:
    return str(UUID(int=(0x0193 << 112) | (7 << 76) | (2 << 62) | number))


def keep(store: Store, story: Story, **changes: Any) -> str:
    """Store a story under an id and, unless given, a key of its own. Returns the id."""
    number = next(_numbers)
    incident = replace(story.incident, id=new_id(number), **{"key": f"avalo/core-api/{number}", **changes})

    def write(tx: Connection) -> str:
        incidents.insert(tx, [incident])
        entries.insert(tx, [(incident.id, entry) for entry in story.entries])
        return incident.id

    return store.write(write)


def keep_alert(store: Store, incident_id: str, labels: Mapping[str, str], **more: Any) -> str:
    """Store one alert of an incident. Returns its fingerprint."""
    alert = Alert(
        fingerprint=fingerprint(labels),
        labels=labels,
        annotations=more.get("annotations", {}),
        starts_at=more.get("starts_at", NOW),
        ends_at=None if more.get("firing", True) else more.get("starts_at", NOW) + timedelta(minutes=3),
        firing=more.get("firing", True),
        generator_url=more.get("generator_url", ""),
    )
    told = member()
    verdict = Verdict(
        tier=more.get("tier", told.tier),
        key="k",
        system="avalo",
        slo="core-api",
        row=more.get("row", "avalo/core-api-below-99.5"),
        reason=told.reason,
        title=told.title,
        policy="default",
        version="v1",
        runbook=more.get("runbook", ""),
    )
    store.write(lambda tx: alerts.write(tx, [alerts.Episode(alert, verdict, 1, incident_id, "[]")], NOW))
    return alert.fingerprint
