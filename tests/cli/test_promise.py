"""The demo's claims are measured: each one fails when what was seen does not bear it out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentd.classify import load
from incidentd.cli import demo
from incidentd.cli.demo.evidence import Course, Evidence, Page
from incidentd.cli.demo.promise import CHAT, CORE, MONEY, WALLET, promises
from incidentd.incident.state import State
from incidentd.sandbox.pagerduty import AlertState
from incidentd.tier import Tier
from incidentd.web.schema import AlertJson, EntryJson, IncidentJson, RuleJson

RULES = load(Path(demo.__file__).parent / "rules")
START = datetime(2026, 11, 2, 10, tzinfo=UTC)
AT_ONCE, IN_SLACK, MANAGER, CTO, JOINED, FLAPPED, HELD_DOWN, EACH_ONCE = range(8)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def entry(number: int, seconds: float, kind: str, actor: str = "incidentd", **data: Any) -> EntryJson:
    return EntryJson(number=number, at=at(seconds), due_at=None, kind=kind, actor=actor, data=data, sentence=kind)


def course(slo: str, number: int, *entries: tuple[float, str, dict[str, Any]], regions: tuple[str, ...] = ()) -> Course:
    told = [(0.0, "opened", {"level": 1}), *entries, (30.0, "recovering", {}), (38.01, "resolved", {})]
    alerts = [
        AlertJson(
            fingerprint="0" * 16,
            status="resolved",
            tier=Tier.P1,
            row="",
            starts_at=START,
            ends_at=None,
            labels={"region": region},
            annotations={},
            generator_url="",
        )
        for region in regions
    ]
    incident = IncidentJson(
        id=slo,
        number=number,
        key=f"avalo/{slo}",
        title=slo,
        system="avalo",
        drill=False,
        slo=slo,
        tier=Tier.P1,
        state=State.RESOLVED,
        level=1,
        scope=[],
        opened_at=START,
        respond_by=None,
        acknowledged_at=None,
        acknowledged_by=None,
        responded_in_time=None,
        resolved_at=None,
        wake_at=None,
        rule=RuleJson(row="", version="", reason=""),
        alerts=alerts,
    )
    return Course(incident, tuple(entry(n, when, kind, **data) for n, (when, kind, data) in enumerate(told, 1)))


def page(slo: str, level: int = 1, seconds: float = 0.05, **more: Any) -> Page:
    whole: dict[str, Any] = {
        "who": "",
        "summary": "",
        "service": f"key-{level}",
        "state": AlertState.RESOLVED,
        "acknowledged_at": None,
        "triggers": 1,
        **more,
    }
    return Page(slo=slo, level=level, at=at(seconds), **whole)


GOOD = Evidence(
    courses=(
        course(CHAT, 1, (2.0, "acknowledged", {"via": "slack", "in_time": True})),
        course(MONEY, 2, (8.0, "level", {"level": 2}), (16.0, "level", {"level": 3})),
        course(CORE, 3, (2.0, "tier_rose", {"before": "P1", "tier": "P0"}), regions=("eu", "us")),
        course(WALLET, 4, (2.0, "recovering", {}), (4.0, "firing_again", {})),
    ),
    pages=(
        page(CHAT, acknowledged_at=at(2.1)),
        page(MONEY),
        page(MONEY, 2, 8.02),
        page(MONEY, 3, 16.03),
        page(CORE, triggers=2),
        page(WALLET),
    ),
)


def test_what_went_well_holds_and_tells_the_measured_times() -> None:
    found = promises(GOOD, RULES)
    assert [each.held for each in found] == [True] * 8
    assert found[MANAGER].measured == "level 2 was paged 8.02 s after the alert, asked for: 8 s"
    assert found[CTO].measured == "level 3 was paged 16.03 s after the alert, asked for: 16 s"
    assert found[JOINED].measured == "1 incident (eu, us), 1 page, P1 to P0"
    assert found[FLAPPED].measured == "fired again 2 s into a hold-down of 8 s: 1 page in all"


def test_nothing_seen_proves_nothing() -> None:
    assert not any(each.held for each in promises(Evidence(), RULES))


def but(slo: str, level: int, **change: Any) -> Evidence:
    """The good evidence with one page changed."""
    return replace(
        GOOD,
        pages=tuple(replace(each, **change) if (each.slo, each.level) == (slo, level) else each for each in GOOD.pages),
    )


def without(slo: str, kind: str) -> Evidence:
    """The good evidence without the entries of a kind."""
    return replace(
        GOOD,
        courses=tuple(
            replace(each, entries=tuple(e for e in each.entries if each.incident.slo != slo or e.kind != kind))
            for each in GOOD.courses
        ),
    )


@pytest.mark.parametrize(
    ("evidence", "broken"),
    [
        (but(CHAT, 1, at=at(5.1)), {AT_ONCE}),
        (but(CHAT, 1, at=at(-0.1)), {AT_ONCE}),
        (but(CHAT, 1, acknowledged_at=None), {IN_SLACK}),
        (but(CHAT, 1, acknowledged_at=at(8)), {IN_SLACK}),
        (without(CHAT, "acknowledged"), {IN_SLACK}),
        (but(MONEY, 2, at=at(7.999)), {MANAGER}),
        (but(MONEY, 2, at=at(13.1)), {MANAGER}),
        (but(MONEY, 2, service="key-1"), {MANAGER}),
        (but(MONEY, 3, at=at(15.999)), {CTO}),
        (replace(GOOD, pages=tuple(each for each in GOOD.pages if each.level != 3)), {CTO, EACH_ONCE}),
        (without(CORE, "tier_rose"), {JOINED}),
        (replace(GOOD, courses=(*GOOD.courses, course(CORE, 5))), {JOINED, EACH_ONCE}),
        (without(WALLET, "firing_again"), {FLAPPED}),
        (but(WALLET, 1, triggers=2), {FLAPPED}),
        (without(MONEY, "resolved"), {HELD_DOWN}),
        (replace(GOOD, pages=(*GOOD.pages, page(CHAT))), {AT_ONCE, IN_SLACK, EACH_ONCE}),
    ],
)
def test_each_claim_fails_when_it_is_not_so(evidence: Evidence, broken: set[int]) -> None:
    found = promises(evidence, RULES)
    assert {number for number, each in enumerate(found) if not each.held} == broken


def test_resolved_a_moment_early_is_early() -> None:
    def hasten(each: Course) -> Course:
        return replace(each, entries=tuple(_hastened(e) for e in each.entries))

    found = promises(replace(GOOD, courses=tuple(map(hasten, GOOD.courses))), RULES)
    assert [number for number, each in enumerate(found) if not each.held] == [HELD_DOWN]


def _hastened(each: EntryJson) -> EntryJson:
    return each.model_copy(update={"at": at(37.999)}) if each.kind == "resolved" else each
