"""Who would be told what and when: one alert that goes on firing, and somebody who answers, or nobody."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from incidentd.alert import Alert
from incidentd.classify import Rules, Verdict
from incidentd.incident.wake import wake_at
from incidentd.replay.book import Step
from incidentd.replay.judge import Judged
from incidentd.replay.play import Player
from incidentd.replay.recording import Answer, Did, Hearing, RecordedAlert, Recording
from incidentd.replay.telling import Teller, Telling
from incidentd.sentence import sentence
from incidentd.timeline import Ended, Entry, Reminded, RoundBegan, Updated

WHO = "Somebody"
FARTHEST = timedelta(days=60)
"""A plan ends at the latest after this time."""

WITH_THREADS = "slack"
"""The kind of destination that hears of updates; others are told what changed."""

_INCIDENT = "simulated"


@dataclass(frozen=True, slots=True)
class Moment:
    """What happens at one instant. ``sentences`` are those of its entries; ``told`` is who is told, and how."""

    at: datetime
    kinds: tuple[str, ...]
    sentences: tuple[str, ...]
    told: tuple[Telling, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """``respond_by`` is until when an answer is in time. ``next_at``: when it would go on after the last moment.

    ``calendar`` names the hours in which its clocks run; ``opens_at`` is set where they are closed at the beginning.
    ``updates`` is how often what holds is said again; a moment of nothing else is there only in a story with an end.
    """

    verdict: Verdict
    calendar: str
    opens_at: datetime | None
    respond_by: datetime | None
    moments: tuple[Moment, ...]
    next_at: datetime | None
    updates: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One alert that fires from ``at`` on. ``answer_after`` None: nobody answers.

    ``lasts`` None: the plan ends where it begins to repeat itself.
    """

    alert: Alert
    verdict: Verdict
    at: datetime
    answer_after: timedelta | None = None
    lasts: timedelta | None = None


def plan(story: Story, rules: Rules) -> Plan:
    """What the table and the clock make of a story. Every receiver accepts at once."""
    teller = Teller()
    threads = {name for name, spec in rules.destinations.items() if spec.kind == WITH_THREADS}
    people = {number: person.name for number, person in rules.people.items()}
    moments: list[Moment] = []
    first = last = None
    for step in _steps(story, rules):
        first, last = first or step, step
        if story.lasts is None and _is_update(step):
            if wake_at(replace(step.after, update_at=None)) is None:
                break
            continue
        told = tuple(each for each in teller.after(step) if not _is_update(step) or each.destination in threads)
        sentences = tuple(sentence(entry, people) for entry in step.entries)
        moments.append(Moment(step.at, tuple(e.kind for e in step.entries), sentences, told))
        if story.lasts is None and any(_repeats(entry) for entry in step.entries):
            break
    if first is None or last is None:
        raise ValueError("an alert that fires is an incident")
    tier = first.policy.tiers[first.after.tier]
    calendar = tier.calendar
    return Plan(
        verdict=story.verdict,
        calendar=calendar.name,
        opens_at=None if calendar.is_open(story.at) else calendar.next_open(story.at),
        respond_by=first.after.respond_by,
        moments=tuple(moments),
        next_at=last.after.next_at if last.after.acknowledgement is None else last.after.acknowledgement.until,
        updates=tier.updates,
    )


def _steps(story: Story, rules: Rules) -> Iterator[Step]:
    until = story.at + (FARTHEST if story.lasts is None else story.lasts)
    alert = story.alert
    heard = Hearing(story.at, True, alert.annotations.get("value"))
    recorded = RecordedAlert(alert.fingerprint, story.at, alert.labels, _INCIDENT, (heard,))
    answers: tuple[Answer, ...] = ()
    if story.answer_after is not None:
        answers = (Answer(story.at + story.answer_after, _INCIDENT, Did.ACKNOWLEDGED, WHO),)
    recording = Recording(story.at, until, (recorded,), answers)
    yield from Player(recording, rules, [Judged({heard.value: story.verdict}, is_sign=False)], updates=True).steps()


def _is_update(step: Step) -> bool:
    return all(isinstance(entry.data, Updated) for entry in step.entries)


def _repeats(entry: Entry) -> bool:
    """From here on nothing new would come: reminders go on, or the levels begin anew as they did."""
    if isinstance(entry.data, RoundBegan):
        return entry.data.why is Ended.LAPSED
    return isinstance(entry.data, Reminded)
