"""What can be seen from outside: incidents and timelines by the API, pages and cards by the sandbox's journal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from incidentd.cli.instance import Instance
from incidentd.sandbox.journal import Journal
from incidentd.sandbox.ledger import Ledger
from incidentd.sandbox.message import Message
from incidentd.sandbox.pagerduty import AlertState, PagerDuty, PagerDutyAlert
from incidentd.sandbox.slack import Slack
from incidentd.sandbox.socket import Sockets
from incidentd.web.schema import EntryJson, IncidentJson


@dataclass(frozen=True, slots=True)
class Page:
    """One page as PagerDuty's stand-in has it. ``triggers`` counts the requests that brought it."""

    slo: str
    level: int
    who: str
    summary: str
    service: str
    state: AlertState
    at: datetime
    acknowledged_at: datetime | None
    triggers: int


@dataclass(frozen=True, slots=True)
class Course:
    """One incident and everything that happened to it."""

    incident: IncidentJson
    entries: tuple[EntryJson, ...]

    def first(self, kind: str) -> EntryJson | None:
        """The first entry of a kind."""
        return next((each for each in self.entries if each.kind == kind), None)

    def last(self, kind: str) -> EntryJson | None:
        """The last entry of a kind."""
        return next((each for each in reversed(self.entries) if each.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at one moment."""

    courses: tuple[Course, ...] = ()
    pages: tuple[Page, ...] = ()
    cards: tuple[Message, ...] = ()

    def of(self, slo: str) -> tuple[Course, ...]:
        """Every incident of an objective."""
        return tuple(each for each in self.courses if each.incident.slo == slo)

    def course(self, slo: str) -> Course | None:
        """The first incident of an objective."""
        return next(iter(self.of(slo)), None)

    def pages_of(self, slo: str, level: int | None = None) -> tuple[Page, ...]:
        """The pages about an objective, of one level or of all."""
        return tuple(each for each in self.pages if each.slo == slo and level in (None, each.level))

    def card(self, slo: str) -> Message | None:
        """The newest card about an objective where people answer."""
        return next((each for each in reversed(self.cards) if f"*{slo}*" in str(each.blocks)), None)


def look(instance: Instance, journal: Path) -> Evidence:
    """What there is now.

    Raises:
        InstanceError: the API can't be reached.
    """
    found = sorted(instance.incidents(), key=lambda each: each.number)
    courses = tuple(Course(each, tuple(instance.timeline(each.id))) for each in found)
    pagerduty, slack = _received(journal)
    return Evidence(courses, tuple(map(_page, pagerduty.alerts)), tuple(slack.cards("#incidents")))


def _received(journal: Path) -> tuple[PagerDuty, Slack]:
    ledger = Ledger(Journal(journal), keep=1)
    pagerduty = PagerDuty(ledger, keep=None)
    slack = Slack(ledger, keep=None, token=None, sockets=Sockets(ledger, None, str))
    appliers = {pagerduty.name: pagerduty.apply, slack.name: slack.apply}
    ledger.replay(lambda service, effect: appliers[service](effect))
    return pagerduty, slack


def _page(alert: PagerDutyAlert) -> Page:
    payload = alert.latest.payload
    details = payload.get("custom_details", {})
    return Page(
        slo=str(payload.get("component", "")),
        level=int(details.get("level", 0)),
        who=str(details.get("who", "")),
        summary=str(payload.get("summary", "")),
        service=alert.routing_key,
        state=alert.state,
        at=alert.opened_at,
        acknowledged_at=next(_times(alert, "acknowledge"), None),
        triggers=sum(1 for _ in _times(alert, "trigger")),
    )


def _times(alert: PagerDutyAlert, action: str) -> Iterator[datetime]:
    return (each.at for each in alert.events if each.action == action)
