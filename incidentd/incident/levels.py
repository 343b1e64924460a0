"""Rounds and levels: who is told next, and when (model 11 to 18)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from incidentd.incident.draft import Draft, after_due, earlier
from incidentd.incident.state import State
from incidentd.policy import Level, Policy, TierPolicy
from incidentd.tier import Tier
from incidentd.timeline import Ended, LevelReached, Reminded, RoundBegan, TierRose, Unanswered


@dataclass(frozen=True, slots=True)
class Start:
    """How a round begins: level 0 where its first page waits for the calendar, or nobody is there."""

    level: int
    skipped: tuple[int, ...]
    next_at: datetime | None


def start(tier: TierPolicy, policy: Policy, now: datetime, due: datetime | None = None) -> Start:
    """The first level that anyone stands at. ``due`` is when the round was due, where time was the cause."""
    if not tier.levels:
        return Start(0, (), None)
    first, skipped = next_level(tier, 0)
    if first is None:
        return Start(0, skipped, tier.calendar.add(now, sum((each.duration for each in tier.levels), timedelta(0))))
    level = tier.levels[first - 1]
    if pages(level, policy) and not tier.calendar.is_open(now):
        return Start(0, (), tier.calendar.next_open(now))
    on_time = tier.calendar.add(due or now, level.duration)
    return Start(first, skipped, max(on_time, tier.calendar.add(now, min(level.duration, policy.closest))))


def next_level(tier: TierPolicy, reached: int) -> tuple[int | None, tuple[int, ...]]:
    """The next level at which anyone stands, and those skipped because nobody does (model 17)."""
    skipped: list[int] = []
    for number in range(reached + 1, len(tier.levels) + 1):
        if tier.levels[number - 1].tell:
            return number, tuple(skipped)
        skipped.append(number)
    return None, tuple(skipped)


def last_level(tier: TierPolicy) -> int | None:
    """The highest level at which anyone stands."""
    return max((number for number, level in enumerate(tier.levels, 1) if level.tell), default=None)


def pages(level: Level, policy: Policy) -> bool:
    """Whether telling this level wakes people."""
    return any(name in policy.pages for name in level.tell)


def begin_round(draft: Draft, why: Ended, *, difference: str = "", due: datetime | None = None) -> None:
    """Start over at the first level, under the policy in force now (model 37)."""
    policy = draft.policy = draft.policy.for_next_round
    incident = draft.incident
    begin = start(policy.tiers[incident.tier], policy, draft.now, due if why is Ended.UNANSWERED else None)
    draft.add(
        RoundBegan(
            why=why,
            round=incident.round + 1,
            attempt=incident.attempt + 1 if why is Ended.UNANSWERED else 1,
            policy=policy.name,
            version=policy.version,
            level=begin.level,
            skipped=begin.skipped,
            next_at=begin.next_at,
            difference=difference,
        ),
        due_at=due,
    )


def rise(draft: Draft, target: Tier, row: str, reason: str) -> None:
    """The tier rises by itself: the level stays, the clocks come closer (model 13)."""
    level, next_at, respond_by = closer(draft, draft.policy.tiers[target])
    draft.add(TierRose(draft.incident.tier, target, row, reason, level, next_at, respond_by))


def closer(draft: Draft, tier: TierPolicy) -> tuple[int, datetime | None, datetime | None]:
    """Level, next step and response deadline once ``tier`` applies: never later than they stand."""
    incident = draft.incident
    respond_by = earlier(incident.respond_by, tier.response.deadline(draft.now, tier.calendar))
    if incident.level == 0:
        begin = start(tier, draft.policy, draft.now)
        return begin.level, earlier(incident.next_at, begin.next_at) if not begin.level else begin.next_at, respond_by
    step = tier.levels[min(incident.level, len(tier.levels)) - 1].duration if tier.levels else None
    next_at = tier.calendar.add(draft.now, step) if step is not None else None
    return incident.level, earlier(incident.next_at, next_at), respond_by


def climb(draft: Draft) -> None:
    """At most one level, when its time has come and nobody has answered."""
    incident = draft.incident
    due = incident.next_at
    if incident.state is not State.TRIGGERED or due is None or due > draft.now:
        return
    if incident.exhausted:
        draft.add(Reminded(incident.reminders + 1, after_due(draft, due, draft.policy.reminder)), due_at=due)
        return
    number, skipped = next_level(draft.tier, incident.level)
    if number is None:
        _start_over(draft, due, skipped)
        return
    level = draft.tier.levels[number - 1]
    next_at = after_due(draft, due, level.duration)
    draft.add(LevelReached(number, level.name, incident.round, next_at, skipped), due_at=due)


def _start_over(draft: Draft, due: datetime, skipped: tuple[int, ...]) -> None:
    incident = draft.incident
    last = incident.attempt >= draft.policy.rounds
    next_at = after_due(draft, due, draft.policy.reminder) if last else None
    draft.add(Unanswered(incident.round, last, next_at, skipped), due_at=due)
    if not last:
        begin_round(draft, Ended.UNANSWERED, due=due)
