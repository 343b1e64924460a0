"""How two tables differ on one alert: by what matters most to people first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from pydantic_core import to_json

from incidentd.alert import Alert
from incidentd.calendars import ALWAYS, Calendar
from incidentd.classify import DEFAULT_POLICY, DestinationSpec, Rules, Verdict
from incidentd.policy import TierPolicy
from incidentd.tier import Tier

LONGEST_EXAMPLE = 4000
_LONGEST_TEXT = 200
_WHERE = ("channel", "to")
AHEAD = timedelta(days=30)
"""Opening hours and holidays are compared for so long from the day on which an alert comes."""


class Kind(StrEnum):
    """In what a shadow's verdict differs; the first of these that holds counts."""

    SAME = "same"
    MORE_URGENT = "more_urgent"
    LESS_URGENT = "less_urgent"
    TOLD = "told"
    INCIDENT = "incident"
    ROW = "row"


MEANING: Mapping[str, str] = {
    Kind.SAME: "the same",
    Kind.MORE_URGENT: "more urgent",
    Kind.LESS_URGENT: "less urgent",
    Kind.TOLD: "other people are told, or at other times",
    Kind.INCIDENT: "another incident",
    Kind.ROW: "only another row",
}
"""Each kind in words."""


@dataclass(frozen=True, slots=True)
class Pair:
    """From which row and tier to which, and what is different thereby."""

    from_row: str
    to_row: str
    from_tier: Tier
    to_tier: Tier
    kind: Kind


def compared(first: Verdict, in_force: Rules, second: Verdict, shadow: Rules, now: datetime) -> Pair:
    """What the shadow would have made of the alert that ``first`` is the verdict on, which came ``now``."""
    return Pair(first.row, second.row, first.tier, second.tier, _kind(first, in_force, second, shadow, now))


def example_of(alert: Alert, first: Verdict, second: Verdict) -> str:
    """The alert as JSON, with both reasons: labels are cut, and left out beyond what is kept."""
    shown: dict[str, object] = {"from": _cut(first.reason), "to": _cut(second.reason), "labels": {}}
    if "value" in alert.annotations:
        shown["value"] = _cut(alert.annotations["value"])
    labels: dict[str, str] = {}
    for name, value in sorted(alert.labels.items(), key=_first_what_decides):
        labels[name] = _cut(value)
        text = to_json(shown | {"labels": labels}).decode()
        if len(text) > LONGEST_EXAMPLE:
            del labels[name]
            break
    return to_json(shown | {"labels": labels}).decode()


def _kind(first: Verdict, in_force: Rules, second: Verdict, shadow: Rules, now: datetime) -> Kind:
    if first.tier != second.tier:
        return Kind.MORE_URGENT if second.tier < first.tier else Kind.LESS_URGENT
    if _told(first, in_force, now) != _told(second, shadow, now):
        return Kind.TOLD
    if first.key != second.key:
        return Kind.INCIDENT
    return Kind.SAME if first.row == second.row else Kind.ROW


def _told(verdict: Verdict, rules: Rules, now: datetime) -> object:
    """Who is told and when, by everything but the version."""
    if verdict.observing:
        return None
    policy = rules.policies.get(verdict.policy) or rules.policies[DEFAULT_POLICY]
    tier = policy.tiers[verdict.tier]
    followers = frozenset(verdict.destinations)
    places = frozenset(_place(rules.destinations[name]) for name in followers.union(tier.opening, *_tell(tier)))
    mentions = [_mentions(rules, number) for number, level in enumerate(tier.levels, 1) if level.tell]
    paged = policy.pages.intersection(followers, tier.opening, *_tell(tier))
    course = replace(policy, name="", version="", tiers={}, pages=paged)
    scope = verdict.scope if verdict.scope and verdict.scope.tier < verdict.tier <= verdict.scope.minimum else None
    hours = _hours(tier.calendar, datetime.combine(now.date(), time(0), UTC))
    return course, replace(tier, calendar=ALWAYS), hours, followers, places, mentions, scope


def _tell(tier: TierPolicy) -> Iterable[tuple[str, ...]]:
    return (level.tell for level in tier.levels)


def _place(spec: DestinationSpec) -> tuple[object, ...]:
    """Where a destination leads. How it is worded, its limits and its fallback change neither who nor when."""
    return (spec.name, spec.kind, spec.secret_names, spec.address, *(spec.options.get(each) for each in _WHERE))


def _mentions(rules: Rules, level: int) -> Mapping[str, str]:
    person = rules.people.get(level)
    return person.mention if person else {}


@lru_cache(maxsize=64)
def _hours(calendar: Calendar, day: datetime) -> object:
    """When its clocks run, as far as it matters to an alert of this day: two readings of one calendar are not equal."""
    return calendar.always or (calendar.zone, calendar.openings(day, day + AHEAD))


def _first_what_decides(label: tuple[str, str]) -> tuple[int, str]:
    order: Mapping[str, int] = {name: place for place, name in enumerate(("system", "slo", "sli", "alertname"))}
    return (order.get(label[0], len(order)), label[0])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
