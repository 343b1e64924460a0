"""Incidents and news for the channels' tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from incidentd.channels.channel import AlertDetail, Destination, News, Person
from incidentd.incident.state import Acknowledgement, Incident
from incidentd.tier import Tier
from incidentd.timeline import Data, Entry, LevelReached, Member, Noted, Opened

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "c4n4rysecretc4n4rysecretc4n4ryab"
INCIDENT_URL = "https://incidentd.example/incidents/0193"


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def member(**changes: Any) -> Member:
    plain = Member(
        fingerprint="a1b2c3d4e5f60718",
        starts_at=NOW,
        firing=True,
        tier=Tier.P0,
        row="avalo/core-api-below-99.5",
        reason="availability 99.4 < 99.5",
        title="Core API availability",
        region="eu-west-1",
    )
    return replace(plain, **changes)


def incident(**changes: Any) -> Incident:
    plain = Incident(
        id="0193-incident",
        key="avalo/core-api",
        title="Core API availability",
        system="avalo",
        slo="core-api-availability",
        tier=Tier.P0,
        row="avalo/core-api-below-99.5",
        reason="availability 99.4 < 99.5",
        policy="default",
        version="abc",
        opened_at=NOW,
        episode=1,
        episode_at=NOW,
        origin=NOW,
        last=1,
        news=1,
        round=1,
        round_at=NOW,
        level=1,
        told_level=1,
        next_at=minutes(5),
        respond_by=minutes(5),
        members={"a1b2c3d4e5f60718": member()},
        seen_regions=frozenset({"eu-west-1"}),
    )
    return replace(plain, **changes)


def acknowledged(by: str = "Ann", **changes: Any) -> Incident:
    answer = Acknowledgement(by, minutes(1), minutes(31), Tier.P0, frozenset({"eu-west-1"}))
    return incident(acknowledgement=answer, responded_in_time=True, next_at=None, **changes)


def recovering(**changes: Any) -> Incident:
    return incident(recovering_at=minutes(2), hold_until=minutes(7), **changes)


def resolved(**changes: Any) -> Incident:
    return incident(resolved_at=minutes(9), **changes)


def detail(**changes: Any) -> AlertDetail:
    plain = AlertDetail(
        fingerprint="a1b2c3d4e5f60718",
        starts_at=NOW,
        firing=True,
        labels={"alertname": "CoreApi", "region": "eu-west-1"},
        annotations={
            "summary": "Too many requests fail",
            "value": "99.4",
            "dashboard_url": "https://grafana.example/d/1",
        },
        generator_url="https://prometheus.example/graph?g0.expr=up&g0.tab=1",
    )
    return replace(plain, **changes)


def entry(number: int, data: Data, actor: str = "incidentd") -> Entry:
    return Entry(number, minutes(number), actor, data)


def opened(number: int = 1, **changes: Any) -> Entry:
    plain = Opened(
        incident="0193-incident",
        key="avalo/core-api",
        title="Core API availability",
        system="avalo",
        slo="core-api-availability",
        tier=Tier.P0,
        row="avalo/core-api-below-99.5",
        reason="availability 99.4 < 99.5",
        policy="default",
        version="abc",
        episode=1,
        round=1,
        origin=NOW,
        alerts=(member(),),
        level=1,
    )
    return entry(number, replace(plain, **changes), "alertmanager")


def noted(number: int, text: str = "looking") -> Entry:
    return entry(number, Noted(text), "Ann")


def level_reached(number: int, level: int = 2) -> Entry:
    return entry(number, LevelReached(level, "engineering manager", 1, minutes(15)))


def news(slot: str, state: Incident | None = None, **changes: Any) -> News:
    entries = changes.pop("entries", (opened(),))
    plain = News(
        incident=state or incident(),
        number=42,
        slot=slot,
        entries=entries,
        sentences=changes.pop("sentences", tuple(f"Sentence {each.number}." for each in entries)),
        alerts=(detail(),),
        people={
            1: Person("on-call engineer", {"slack": "U0ENGINEER"}),
            2: Person("engineering manager", {"slack": "S0BOSSES"}),
        },
        next_level=Person("engineering manager"),
        url=INCIDENT_URL,
        objective="99.5",
        runbook="https://runbook.example/core",
    )
    return replace(plain, **changes)


def pager(**changes: Any) -> Destination:
    return replace(Destination("page-engineer", "pagerduty", SECRET), **changes)


def board(**changes: Any) -> Destination:
    return replace(Destination("incidents", "slack", SECRET, {"channel": "C0INCIDENTS"}), **changes)


def hook(**changes: Any) -> Destination:
    return replace(Destination("ticket-queue", "webhook", SECRET), **changes)


def mailbox(server: str, **changes: Any) -> Destination:
    options = {"from": "incidents@example.com", "to": "ann@example.com\nben@example.com"}
    return replace(Destination("management-mail", "email", server, options), **changes)
