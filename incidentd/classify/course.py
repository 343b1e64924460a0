"""The course that an incident takes while nobody answers: who is told, and when."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from incidentd.classify.rules import Rules
from incidentd.classify.table import DEFAULT_POLICY
from incidentd.classify.verdict import Verdict
from incidentd.policy import ResponseTime, TierPolicy


@dataclass(frozen=True, slots=True)
class Telling:
    """One step: so long ``after`` the beginning. ``level`` 0 is the opening, where people read."""

    after: timedelta
    level: int
    name: str
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """The first round, which lasts ``whole``, of so many ``rounds``; then a reminder each ``reminder``.

    Times are those of ``calendar``; ``always`` never stands still. ``updates``: how often what holds is said
    again while it is open, answered or not, by the wall clock; None: never.
    """

    policy: str
    calendar: str
    response: ResponseTime
    tellings: tuple[Telling, ...]
    whole: timedelta
    rounds: int
    reminder: timedelta
    updates: timedelta | None = None


def course_of(verdict: Verdict, rules: Rules) -> Course:
    """What follows from a verdict. A level at which nobody stands is passed over, and takes no time."""
    policy = rules.policies.get(verdict.policy) or rules.policies[DEFAULT_POLICY]
    tier = policy.tiers[verdict.tier]
    return Course(
        policy=policy.name,
        calendar=tier.calendar.name,
        response=tier.response,
        tellings=tuple(_tellings(tier, verdict)),
        whole=sum((level.duration for level in tier.levels if level.tell), timedelta(0)),
        rounds=policy.rounds,
        reminder=policy.reminder,
        updates=tier.updates,
    )


def _tellings(tier: TierPolicy, verdict: Verdict) -> Iterator[Telling]:
    opening = tuple(dict.fromkeys((*tier.opening, *verdict.destinations)))
    if opening:
        yield Telling(timedelta(0), 0, "", opening)
    after = timedelta(0)
    for number, level in enumerate(tier.levels, 1):
        if level.tell:
            yield Telling(after, number, level.name, level.tell)
            after += level.duration
