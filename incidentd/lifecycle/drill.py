"""How a drill goes on: which steps can be seen by now, and what is to be done next. Pure: the incident is its evidence.

Steps are timed by the incident's own instants, never by when somebody looked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from incidentd.incident.slot import PAGE, TELL
from incidentd.incident.state import Incident
from incidentd.lifecycle.heartbeat import words
from incidentd.store.deliveries import Delivery
from incidentd.store.deliveries import Outcome as Attempt
from incidentd.store.drills import Drill, Outcome, Step, Taken
from incidentd.store.query import Following
from incidentd.timeline import Acknowledged, Entry, Resolved

BY_ALERTMANAGER, BY_WEBHOOK = "Alertmanager", "webhook"
"""The ways that a drill's alert can take: the note of the first step."""

GROUP_INTERVAL = timedelta(minutes=6)
"""Alertmanager tells of an end with its group's next flush: by default after 5 minutes (``group_interval``)."""

_FIRST_PAGE, _FIRST_CARD = "e1.r1.l1", "e1"
_MIDDLE = (Step.OPENED, Step.PAGE, Step.MESSAGE, Step.ANSWER)
_LAST = (Step.ENDED, Step.CLOSED, Step.PAGE_CLOSED)

HINTS: Mapping[Step, str] = {
    Step.SENT: "is the address of Alertmanager (INCIDENTD_ALERTMANAGER_URL) or of incidentd (INCIDENTD_PUBLIC_URL) "
    "right, can the worker group reach it, and is the token the same everywhere",
    Step.OPENED: "does a route of Alertmanager lead alerts with the label incidentd_drill to incidentd, and what does "
    "the web part's log say of webhooks",
    Step.PAGE: "what the incident's page says under “Every attempt”, and `incidentd doctor` of PagerDuty",
    Step.MESSAGE: "what the incident's page says under “Every attempt”, and `incidentd doctor` of Slack",
    Step.ANSWER: "who was on call, did the page reach a phone, and do Slack's buttons work",
    Step.ENDED: "the same as for the first step: the alert was taken and its end was not",
    Step.CLOSED: "did Alertmanager send the alert's end (its group_interval is how long that may take)",
    Step.PAGE_CLOSED: "what the incident's page says under “Every attempt”; resolve the alert in PagerDuty by hand",
}
"""What to look at where a drill failed, by step."""


_COME_TO = {Outcome.FAILED: "failed", Outcome.MISSED: "was missed", Outcome.ACCEPTED: "was accepted", None: "goes on"}


class Deed(Enum):
    """What is to be done now."""

    SEND = "send"
    WAIT = "wait"
    END = "end"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a drill's incident."""

    incident: Incident
    entries: Sequence[Entry]
    following: Sequence[Following]
    deliveries: Sequence[Delivery]


def observed(drill: Drill, seen: Seen | None) -> Drill:
    """The drill with every step that can be seen by now."""
    if seen is None:
        return drill
    found = {each.step: each for each in drill.steps}
    for step, look in _LOOKS.items():
        if step not in found and (taken := look(replace(drill, steps=tuple(found.values())), seen)):
            found[step] = taken
    steps = tuple(found[step] for step in Step if step in found)
    return replace(drill, incident_id=seen.incident.id, steps=steps)


def judged(drill: Drill, seen: Seen | None, now: datetime) -> tuple[Drill, Deed]:
    """The drill with its outcome, as far as it is known by now, and what is to be done."""
    if drill.outcome is None:
        drill = _failed(drill, seen, now) or drill
    if drill.outcome is None and drill.step(Step.SENT) is None:
        return drill, Deed.SEND
    if drill.outcome is None and waits_for(drill, seen) in _MIDDLE:
        return drill, Deed.WAIT
    if drill.step(Step.ENDED) is None and now < _latest(drill):
        return drill, Deed.END
    if drill.step(Step.ENDED) and _is_closing(drill, seen) and now < _closing(drill):
        return drill, Deed.WAIT
    return replace(drill, outcome=drill.outcome or Outcome.ACCEPTED, ended_at=now), Deed.REST


def not_accepted(last: Mapping[str, Drill]) -> str:
    """Which of the rules' drills was not accepted the last time; empty where each was, or none has run yet."""
    bad = (name for name, each in sorted(last.items()) if each.outcome is not Outcome.ACCEPTED)
    return next((f"the last drill {name} {_COME_TO[last[name].outcome]}" for name in bad), "")


def waits_for(drill: Drill, seen: Seen | None) -> Step | None:
    """The first step that is still to be seen; None where all were."""
    return next((step for step in Step if drill.step(step) is None and _is_asked(step, drill, seen)), None)


def awaited(drill: Drill, seen: Seen | None) -> Step | None:
    """The step that is to be seen next, whatever the drill came to; None where nothing is left to be done."""
    if drill.ended_at is not None:
        return None
    if drill.outcome is None:
        return waits_for(drill, seen)
    return next((step for step in _LAST if drill.step(step) is None and _is_asked(step, drill, seen)), None)


def failed(drill: Drill, step: Step, why: str) -> Drill:
    """The drill that failed at a step."""
    return replace(drill, outcome=Outcome.FAILED, failed=step, why=why)


def _is_closing(drill: Drill, seen: Seen | None) -> bool:
    """Whether the end of its incident is still to be seen, whatever the drill came to."""
    ends = (Step.CLOSED, Step.PAGE_CLOSED)
    return seen is not None and any(drill.step(each) is None and _is_asked(each, drill, seen) for each in ends)


def _is_asked(step: Step, drill: Drill, seen: Seen | None) -> bool:
    if step is Step.ANSWER:
        return drill.answer is not None
    if step is Step.PAGE_CLOSED:
        return drill.step(Step.PAGE) is not None
    if seen is not None and step is Step.PAGE:
        return bool(_pages(seen)) or seen.incident.held
    if seen is not None and step is Step.MESSAGE:
        return bool(_cards(seen))
    return True


def _failed(drill: Drill, seen: Seen | None, now: datetime) -> Drill | None:
    step = waits_for(drill, seen)
    if step is None:
        return None
    refused = _given_up(step, seen)
    if refused:
        return failed(drill, step, refused)
    if now < _deadline(step, drill):
        return None
    return failed(drill, step, _why(step, drill, seen))


def _deadline(step: Step, drill: Drill) -> datetime:
    if step is Step.ANSWER:
        return _asked_at(drill) + (drill.answer or timedelta(0))
    if step is Step.ENDED:
        return _latest(drill)
    if step in (Step.CLOSED, Step.PAGE_CLOSED):
        return _closing(drill)
    return _begun(drill) + drill.within


def _begun(drill: Drill) -> datetime:
    sent = drill.step(Step.SENT)
    return sent.at - sent.took if sent else drill.started_at or drill.due_at


def _asked_at(drill: Drill) -> datetime:
    """Since when somebody could answer."""
    return max(
        (each.at for step in (Step.OPENED, Step.PAGE, Step.MESSAGE) if (each := drill.step(step))),
        default=_begun(drill),
    )


def _latest(drill: Drill) -> datetime:
    """Until when its alert may be ended at all."""
    return (drill.started_at or drill.due_at) + 3 * drill.within + (drill.answer or timedelta(0))


def _closing(drill: Drill) -> datetime:
    ended, sent = drill.step(Step.ENDED), drill.step(Step.SENT)
    way = sent.note if sent else ""
    patience = max(drill.within, GROUP_INTERVAL) if way == BY_ALERTMANAGER else drill.within
    return (ended.at if ended else _latest(drill)) + patience


def _why(step: Step, drill: Drill, seen: Seen | None) -> str:
    within = words(drill.within)
    match step:
        case Step.SENT:
            return drill.why or f"the alert was not taken within {within}"
        case Step.OPENED:
            return f"the alert was taken, and no incident was opened within {within}"
        case Step.PAGE:
            return _last_failure(_pages(seen), seen) or _no_page(drill, within)
        case Step.MESSAGE:
            return _last_failure(_cards(seen), seen) or f"a message was not accepted within {within}"
        case Step.ANSWER:
            return f"nobody acknowledged within {words(drill.answer or timedelta(0))}"
        case Step.ENDED:
            return drill.why or "the alert's end was not taken"
        case Step.CLOSED:
            return "the alert's end was taken, and the incident was not closed"
        case Step.PAGE_CLOSED:
            return _last_failure(_pages(seen), seen) or "the page was not resolved"


def _pages(seen: Seen | None) -> list[Following]:
    return [each for each in seen.following if each.queue == PAGE and each.slot == _FIRST_PAGE] if seen else []


def _cards(seen: Seen | None) -> list[Following]:
    """Those that are asked: an optional one that nobody has set up is level at once, without."""
    found = (each for each in seen.following if each.queue == TELL and each.slot == _FIRST_CARD) if seen else ()
    return [each for each in found if each.accepted_at or each.due_at or each.given_up or not each.told]


def _given_up(step: Step, seen: Seen | None) -> str:
    followers = {Step.PAGE: _pages, Step.MESSAGE: _cards}.get(step, lambda _: [])(seen)
    return next((f"{each.destination}: {each.given_up}" for each in followers if each.given_up), "")


def _last_failure(followers: Iterable[Following], seen: Seen | None) -> str:
    """What the last failed attempt at one that did not accept came to."""
    names = {each.destination for each in followers if each.accepted_at is None or each.due_at is not None}
    attempts = [each for each in seen.deliveries if each.destination in names and each.detail] if seen else []
    last = next((each for each in reversed(attempts) if each.outcome in (Attempt.FAILED, Attempt.GAVE_UP)), None)
    return f"{last.destination}: {last.detail}" if last else ""


def _no_page(drill: Drill, within: str) -> str:
    early = drill.step(Step.ANSWER)
    return f"{early.note} answered before a page was accepted" if early else f"no page was accepted within {within}"


def _opened(drill: Drill, seen: Seen) -> Taken:
    at = seen.incident.opened_at
    return _taken(Step.OPENED, at, _begun(drill))


def _page(_drill: Drill, seen: Seen) -> Taken | None:
    return _accepted(Step.PAGE, _pages(seen), seen)


def _message(_drill: Drill, seen: Seen) -> Taken | None:
    return _accepted(Step.MESSAGE, _cards(seen), seen)


def _accepted(step: Step, followers: Sequence[Following], seen: Seen) -> Taken | None:
    """Once each of them has accepted: the last one counts."""
    instants = [each.accepted_at for each in followers if each.accepted_at]
    if not followers or len(instants) < len(followers):
        return None
    names = ", ".join(sorted(each.destination for each in followers))
    return _taken(step, max(instants), seen.incident.opened_at, names)


def _answer(drill: Drill, seen: Seen) -> Taken | None:
    """The first person, or machine, who did something about it."""
    answers = (each for each in seen.entries if isinstance(each.data, Acknowledged) or _by_person(each))
    first = next(answers, None)
    return _taken(Step.ANSWER, first.at, _asked_at(drill), first.actor) if first else None


def _by_person(entry: Entry) -> bool:
    return isinstance(entry.data, Resolved) and entry.data.by_person


def _closed(drill: Drill, seen: Seen) -> Taken | None:
    at, ended = seen.incident.resolved_at, drill.step(Step.ENDED)
    return _taken(Step.CLOSED, at, ended.at - ended.took) if at and ended else None


def _page_closed(drill: Drill, seen: Seen) -> Taken | None:
    """Once each page was told of the end: PagerDuty has accepted the resolve."""
    at, pages = seen.incident.resolved_at, _pages(seen)
    over = max((each.number for each in seen.entries if isinstance(each.data, Resolved)), default=0)
    if not at or not over or not pages or drill.step(Step.ENDED) is None or any(each.told < over for each in pages):
        return None
    names = {each.destination for each in pages}
    told = [
        each.ended_at
        for each in seen.deliveries
        if each.destination in names
        and each.slot == _FIRST_PAGE
        and each.upto >= over
        and each.outcome in (Attempt.ACCEPTED, Attempt.SILENT)
    ]
    return _taken(Step.PAGE_CLOSED, max(told), at, ", ".join(sorted(names))) if told else None


def _taken(step: Step, at: datetime, since: datetime, note: str = "") -> Taken:
    """Clocks of machines are a little apart."""
    return Taken(step, at, max(timedelta(0), at - since), note)


_LOOKS = {
    Step.OPENED: _opened,
    Step.PAGE: _page,
    Step.MESSAGE: _message,
    Step.ANSWER: _answer,
    Step.CLOSED: _closed,
    Step.PAGE_CLOSED: _page_closed,
}
