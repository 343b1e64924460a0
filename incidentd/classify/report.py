"""What ``incidentd rules check``, ``test`` and ``explain`` print."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

from incidentd.calendars import ALWAYS
from incidentd.classify.alternative import Alternative
from incidentd.classify.check import Check
from incidentd.classify.condition import parse_number
from incidentd.classify.course import Course, Telling
from incidentd.classify.example import ExampleResult
from incidentd.classify.explanation import Answer, Asked, Explanation
from incidentd.classify.line import printable
from incidentd.classify.row import Fit
from incidentd.classify.wording import named, span_in_words
from incidentd.errors import Fault
from incidentd.policy import ResponseTime

_MARKS = {True: "yes", False: "no", None: "no number"}
_LONGEST_GIVEN = 60


def show_check(check: Check) -> str:
    """A sound table at a glance, and what should be looked at."""
    rows = ", ".join(f"{name} {count}" for name, count in check.rows.items())
    lines = [
        f"The rules are sound. Version {check.version}.",
        f"Rows: {rows}. Policies: {', '.join(check.policies)}. Destinations: {', '.join(check.destinations)}.",
    ]
    if check.heartbeats:
        lines.append(f"Heartbeats: {', '.join(check.heartbeats)}.")
    if check.drills:
        lines.append(f"Drills: {'; '.join(check.drills)}.")
    if check.missing:
        lines.append(f"No secret is set for: {', '.join(check.missing)}.")
    return "\n".join([*lines, *(f"warning: {printable(str(fault))}" for fault in check.warnings)])


def show_faults(faults: Iterable[Fault], what: str = "rules") -> str:
    """One line for each fault, and how many there are."""
    lines = [printable(str(fault)) for fault in faults]
    return "\n".join([*lines, f"{_count(len(lines), 'fault')}. The {what} can't be used."])


def show_examples(results: Iterable[ExampleResult]) -> str:
    """Each example that does not hold, and how many do."""
    results = list(results)
    failed = [result for result in results if not result.holds]
    lines = [str(each.difference) for each in failed]
    return "\n".join([*lines, f"{len(results) - len(failed)} of {_count(len(results), 'example')} hold."])


def show_explanation(explanation: Explanation, in_doubt: Collection[str] = ()) -> str:
    """Each row that was asked with its answers, then the verdict; of a heartbeat's sign of life only that it is one.

    Destinations ``in_doubt`` are told only if they are set up.
    """
    if explanation.heartbeats:
        return (
            f"A sign of life of {', '.join(explanation.heartbeats)} in heartbeats.yaml: never an incident of its own."
        )
    lines = [line for asked in explanation.asked for line in _asked(asked, explanation.taker)]
    shown = (*lines, "" if lines else "No row was asked.", *_verdict(explanation, in_doubt), *_others(explanation))
    version = f"version:      {explanation.verdict.version}"
    return "\n".join(
        printable(line) for line in (*shown, *_observing(explanation), *_course(explanation.course, in_doubt), version)
    )


def _verdict(explanation: Explanation, in_doubt: Collection[str]) -> Iterator[str]:
    verdict = explanation.verdict
    scope = verdict.scope
    given = [f"{name} {_short(text)}" for name, text in explanation.readings.items()]
    yield f"{verdict.tier} by {verdict.row}: {verdict.reason}"
    yield f"title:        {explanation.title}"
    yield f"key:          {verdict.key}"
    yield f"numbers:      {', '.join(given) or '-'}"
    yield f"region:       {verdict.region or '-'}"
    yield (
        f"scope:        {scope.minimum} or worse in {scope.regions} regions is {scope.tier}"
        if scope
        else "scope:        -"
    )
    yield f"also to:      {', '.join(named(name, in_doubt) for name in verdict.destinations) or '-'}"


def _others(explanation: Explanation) -> Iterator[str]:
    """What would have made another tier of it."""
    tier = explanation.verdict.tier
    if any(parse_number(text) is None for text in explanation.readings.values()):
        yield from _lines("by a number", [_other(each) for each in explanation.alternatives])
        return
    yield from _lines("more urgent", [_other(each) for each in explanation.alternatives if each.tier < tier])
    yield from _lines("less urgent", [_other(each) for each in explanation.alternatives if each.tier > tier])


def _other(other: Alternative) -> str:
    return f"{other.tier} with {other.needed} ({other.row})"


def _observing(explanation: Explanation) -> Iterator[str]:
    observing = explanation.verdict.observing
    if observing:
        end = (
            f"before {observing.until:%Y-%m-%d %H:%M} UTC" if observing.until else "while the table says observe: true"
        )
        yield f"observed:     nobody is told {end}; otherwise as follows"


def _course(course: Course | None, in_doubt: Collection[str]) -> Iterator[str]:
    if course is None:
        return
    stands = (
        "" if course.calendar == ALWAYS.name else f"; outside {course.calendar} the clocks stand still, and pages wait"
    )
    yield f"policy:       {course.policy}; {_response(course.response)}{stands}"
    told = [f"{_after(each.after):<14}{_whom(each, in_doubt)}" for each in course.tellings]
    if course.whole:
        rounds = f"{course.rounds} rounds in all" if course.rounds > 1 else "one round in all"
        again = f"again from the first level: {rounds}, then a reminder every {span_in_words(course.reminder)}"
        told.append(f"{_after(course.whole):<14}{again}")
    if course.updates:
        every = f"every {span_in_words(course.updates)}"
        told.append(f"{every + ' ':<14}what holds, in the threads of Slack, while it is open")
    yield from _lines("is told", told or ["nobody"])


def _whom(telling: Telling, in_doubt: Collection[str]) -> str:
    level = f"level {telling.level} ({telling.name}): " if telling.level else ""
    return level + ", ".join(named(name, in_doubt) for name in telling.destinations)


def _lines(head: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines or ["-"]):
        yield f"{head + ':' if number == 0 else '':<14}{line}"


def _response(response: ResponseTime) -> str:
    if response.days:
        return f"an answer within {_count(response.days, 'business day')}"
    return "no answer is asked for" if response.within is None else f"an answer within {span_in_words(response.within)}"


def _after(span: timedelta) -> str:
    return f"after {span_in_words(span)}" if span else "at once"


def _short(text: str) -> str:
    return repr(text[:_LONGEST_GIVEN]) if parse_number(text) is None else text.strip()


def _asked(asked: Asked, taker: str | None) -> Iterator[str]:
    result = {Fit.YES: "takes it", Fit.NO: "no", Fit.UNREADABLE: "would, but for a number that can't be read"}[
        asked.fit
    ]
    if asked.fit is Fit.UNREADABLE and asked.row == taker:
        result = "takes it: the least urgent that would, but for a number that can't be read"
    yield f"{asked.row} ({asked.tier}): {result}"
    yield from (f"    {_MARKS[answer.holds]:<9} {answer.asked}{_given(answer)}" for answer in asked.answers)


def _given(answer: Answer) -> str:
    if answer.holds:
        return ""
    given = answer.given
    return f"   (is {given[:_LONGEST_GIVEN]!r})" if given else "   (absent)"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
