"""What the story proves, measured from what was seen, never assumed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from incidentd.classify import DEFAULT_POLICY, Rules
from incidentd.cli.demo.evidence import Course, Evidence
from incidentd.policy import Policy
from incidentd.tier import Tier

CHAT, MONEY, CORE, WALLET = "chat-delivery", "money-flow-latency", "core-api", "wallet-success"
PLAYED = (CHAT, MONEY, CORE, WALLET)
"""The story's objectives: an incident of incidentd's own troubles is no part of it."""

LATENESS = timedelta(seconds=5)
"""How late a page may be before the demo says that a promise failed: generous, as a laptop may be busy."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, and what was measured."""

    text: str
    measured: str
    held: bool


def promises(evidence: Evidence, rules: Rules) -> list[Promise]:
    """Every promise of the story, in its order."""
    policy = rules.policies[DEFAULT_POLICY]
    return [
        _paged_at_once(evidence),
        _answered_in_slack(evidence),
        *_climbed(evidence, policy),
        _joined(evidence),
        _flapped(evidence, policy),
        _held_down(evidence, policy),
        _each_once(evidence),
    ]


def _paged_at_once(evidence: Evidence) -> Promise:
    played = _played(evidence)
    waits = [
        page.at - course.incident.opened_at for course in played for page in evidence.pages_of(course.incident.slo, 1)
    ]
    text = "Level 1 is paged at once"
    if not waits:
        return Promise(text, "nobody was paged", held=False)
    held = len(waits) == len(played) and all(timedelta(0) <= each <= LATENESS for each in waits)
    return Promise(text, f"{len(waits)} pages, the slowest accepted {_seconds(max(waits))} after its alert", held)


def _answered_in_slack(evidence: Evidence) -> Promise:
    text = "An answer in Slack reaches PagerDuty"
    course = evidence.course(CHAT)
    answer = course.first("acknowledged") if course else None
    page = next(iter(evidence.pages_of(CHAT)), None)
    if answer is None or page is None or page.acknowledged_at is None:
        return Promise(text, "no answer arrived" if answer is None else "PagerDuty didn't hear of it", held=False)
    took = page.acknowledged_at - answer.at
    by_button = answer.data.get("via") == "slack" and answer.data.get("in_time") is True
    alone = len(evidence.pages_of(CHAT)) == 1
    waited = _seconds(answer.at - page.at)
    told = f"{answer.actor} answered {waited} after the page, told on in {_seconds(took)}"
    return Promise(text, told, by_button and alone and took <= LATENESS)


def _climbed(evidence: Evidence, policy: Policy) -> Iterator[Promise]:
    """A level's time counts from the opening: a page that came late at one level shortens no other."""
    levels = policy.tiers[Tier.P0].levels
    course = evidence.course(MONEY)
    asked = timedelta(0)
    for number, level in enumerate(levels[1:], 2):
        asked += levels[number - 2].duration
        yield _reached(evidence, course, number, level.name, asked)


def _reached(evidence: Evidence, course: Course | None, number: int, who: str, asked: timedelta) -> Promise:
    text = f"Unanswered for {_seconds(asked)}, it pages the {who}"
    page = next(iter(evidence.pages_of(MONEY, number)), None)
    if course is None or page is None:
        return Promise(text, f"level {number} was never paged", held=False)
    waited = page.at - course.incident.opened_at
    lower = {each.service for each in evidence.pages_of(MONEY) if each.level < number}
    told = f"level {number} was paged {_seconds(waited)} after the alert, asked for: {_seconds(asked)}"
    return Promise(text, told, asked <= waited <= asked + LATENESS and page.service not in lower)


def _joined(evidence: Evidence) -> Promise:
    text = "A second region joins the open incident"
    found = evidence.of(CORE)
    rise = found[0].first("tier_rose") if found else None
    pages = evidence.pages_of(CORE, 1)
    if rise is None:
        return Promise(text, f"{len(found)} incidents, and no tier rose", held=False)
    course = found[0]
    regions = ", ".join(sorted({each.labels.get("region", "") for each in course.incident.alerts} - {""}))
    told = f"{_count(len(found), 'incident')} ({regions}), {_count(len(pages), 'page')}, {rise.data['before']} to P0"
    return Promise(text, told, len(found) == 1 and len(pages) == 1 and rise.data.get("tier") == "P0")


def _flapped(evidence: Evidence, policy: Policy) -> Promise:
    text = "A flap wakes nobody a second time"
    course = evidence.course(WALLET)
    calm = course.first("recovering") if course else None
    again = course.first("firing_again") if course else None
    pages = evidence.pages_of(WALLET)
    sent = sum(page.triggers for page in pages)
    if calm is None or again is None:
        return Promise(text, f"it was not seen to fire again; {_count(sent, 'page')}", held=False)
    within = again.at - calm.at
    hold_down = _seconds(policy.hold_down)
    told = f"fired again {_seconds(within)} into a hold-down of {hold_down}: {_count(sent, 'page')} in all"
    return Promise(text, told, sent == 1 and within < policy.hold_down and again.number > calm.number)


def _held_down(evidence: Evidence, policy: Policy) -> Promise:
    text = f"Resolved after {_seconds(policy.hold_down)} of calm"
    played = _played(evidence)
    waits = [
        over.at - calm.at
        for course in played
        if (over := course.last("resolved")) and (calm := course.last("recovering"))
    ]
    if len(waits) < len(played) or not waits:
        return Promise(text, f"{len(waits)} of {_count(len(played), 'incident')} resolved", held=False)
    told = f"{len(waits)} incidents, after {_seconds(min(waits))} to {_seconds(max(waits))}"
    return Promise(text, told, all(policy.hold_down <= each <= policy.hold_down + LATENESS for each in waits))


def _each_once(evidence: Evidence) -> Promise:
    told = Counter((course.incident.slo, level) for course in evidence.courses for level in _levels(course))
    paged = Counter((page.slo, page.level) for page in evidence.pages)
    text = "No page is lost, none is sent twice"
    return Promise(
        text, f"{sum(paged.values())} pages for {sum(told.values())} levels told", bool(told) and told == paged
    )


def _played(evidence: Evidence) -> list[Course]:
    return [each for each in evidence.courses if each.incident.slo in PLAYED]


def _levels(course: Course) -> Iterator[int]:
    """Every level that the timeline says was told."""
    for entry in course.entries:
        if entry.kind in ("opened", "round", "level") and entry.data.get("level"):
            yield int(entry.data["level"])


def _seconds(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:.0f} s" if seconds == int(seconds) else f"{seconds:.2f} s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
