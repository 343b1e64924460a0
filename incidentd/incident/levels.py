"""Rounds and levels: who is told next, and when (model 11, 12, 14, 16, 17)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from incidentd.incident.draft import Draft
from incidentd.incident.state import State
from incidentd.incident.update import next_update
from incidentd.policy import Level, Policy, TierPolicy
from incidentd.timeline import Ended, LevelReached, Reminded, RoundBegan, Unanswered

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Start:
    """How a round begins: at level 0 where its first page waits for the calendar, or nobody is there."""

    level: int
    skipped: tuple[int, ...]
    next_at: datetime | None


def start(tier: TierPolicy, policy: Policy, now: datetime, *, due: datetime | None = None, above: int = 0) -> Start:
    """The first level above ``above`` that anyone stands at; ``above`` itself while that one has to wait.

    ``due`` is when the round was due, where time was the cause.
    """
    if not tier.levels:
        return Start(above, (), None)
    first, skipped = next_level(tier, above)
    if first is None:
        unheard = sum((each.duration for each in tier.levels), timedelta(0))
        return Start(above, skipped, after_due(tier, policy, due or now, unheard, now))
    level = tier.levels[first - 1]
    if pages(level, policy) and not tier.calendar.is_open(now):
        return Start(above, (), tier.calendar.next_open(now))
    return Start(first, skipped, after_due(tier, policy, due or now, level.duration, now))


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


def step(tier: TierPolicy, level: int) -> timedelta:
    """How long a level has; one that the tier lacks has the last one's time."""
    return tier.levels[min(level, len(tier.levels)) - 1].duration


def after_due(tier: TierPolicy, policy: Policy, due: datetime, duration: timedelta, now: datetime) -> datetime:
    """Model 14: on time the timetable keeps without drift; late, the next step is at least a minute off."""
    closest = min(duration, policy.closest)
    return max(tier.calendar.add(due, duration), tier.calendar.add(now, closest))


def pages(level: Level, policy: Policy) -> bool:
    """Whether telling this level wakes people."""
    return any(name in policy.pages for name in level.tell)


def begin_round(draft: Draft, why: Ended, *, difference: str = "", due: datetime | None = None) -> None:
    """Start over at the first level, under the policy in force now (model 37).

    What is only observed still tells nobody then, until observing itself has ended.
    """
    incident = draft.incident
    unanswered, enforced = why is Ended.UNANSWERED, why is Ended.ENFORCED
    telling = draft.policy.for_next_round
    policy = draft.policy = telling.observing if incident.observed and not enforced else telling
    tier = policy.tiers[incident.tier]
    first = start(tier, policy, draft.now, due=due if unanswered else None)
    draft.add(
        RoundBegan(
            why=why,
            round=incident.round + 1,
            attempt=incident.attempt + 1 if unanswered else 1,
            policy=policy.name,
            version=policy.version,
            level=first.level,
            skipped=first.skipped,
            next_at=first.next_at,
            difference=difference,
            respond_by=tier.response.deadline(draft.now, tier.calendar) if enforced else None,
            update_at=next_update(draft, tier),
        ),
        due_at=due,
    )


def lapse(draft: Draft) -> None:
    """An acknowledgement whose time is over ends, and the levels start over (model 27)."""
    incident = draft.incident
    if incident.state is not State.ACKNOWLEDGED or incident.acknowledgement is None:
        return
    until = incident.acknowledgement.until
    if until is not None and until <= draft.now:
        begin_round(draft, Ended.LAPSED, difference=f"{incident.acknowledgement.by} was not heard of again", due=until)


def climb(draft: Draft) -> None:
    """At most one level, when its time has come and nobody has answered."""
    incident = draft.incident
    due = incident.next_at
    if incident.state is not State.TRIGGERED or due is None or due > draft.now:
        return
    if incident.exhausted:
        draft.add(Reminded(incident.reminders + 1, _next_reminder(draft, due)), due_at=due)
        return
    number, skipped = _due_level(draft)
    if number is None:
        _start_over(draft, due, skipped)
    else:
        _tell(draft, number, skipped, due)


def _due_level(draft: Draft) -> tuple[int | None, tuple[int, ...]]:
    """The next level; the one reached where its pages have waited, and as long as there is no other to tell."""
    incident = draft.incident
    if incident.held and draft.tier.calendar.is_open(draft.now):
        return incident.level, ()
    number, skipped = next_level(draft.tier, incident.level)
    return (incident.level, ()) if incident.held and number is None else (number, skipped)


def _tell(draft: Draft, number: int, skipped: tuple[int, ...], due: datetime) -> None:
    """A tick that comes late, after closing, tells readers at once; pages wait for the opening (model 16)."""
    tier = draft.tier
    level = tier.levels[min(number, len(tier.levels)) - 1]
    held = not tier.calendar.is_open(draft.now) and (draft.incident.held or _closed_to(draft, level, due))
    next_at = tier.calendar.next_open(draft.now) if held else _next(draft, due, level.duration)
    draft.add(LevelReached(number, level.name, draft.incident.round, next_at, skipped, held=held), due_at=due)


def _closed_to(draft: Draft, level: Level, due: datetime) -> bool:
    """Whether a page must wait: the hours were over when it was due, or it comes too late for them."""
    if not pages(level, draft.policy):
        return False
    on_time = draft.now <= due + draft.policy.closest
    return not (on_time and draft.tier.calendar.is_open(due - _MOMENT))


def _start_over(draft: Draft, due: datetime, skipped: tuple[int, ...]) -> None:
    incident = draft.incident
    last = incident.attempt >= draft.policy.rounds
    next_at = _next_reminder(draft, due) if last else None
    draft.add(Unanswered(incident.round, last, next_at, skipped), due_at=due)
    if not last:
        begin_round(draft, Ended.UNANSWERED, due=due)


def _next(draft: Draft, due: datetime, duration: timedelta) -> datetime:
    return after_due(draft.tier, draft.policy, due, duration, draft.now)


def _next_reminder(draft: Draft, due: datetime) -> datetime:
    """On time they keep the timetable; late, none is made up for."""
    every = draft.policy.reminder
    on_time = draft.now < due + min(every, draft.policy.closest)
    return draft.tier.calendar.add(due if on_time else draft.now, every)
