"""What ``incidentd rules check``, ``test`` and ``explain`` print."""

from collections.abc import Iterable, Iterator

from incidentd.classify.check import Check
from incidentd.classify.example import ExampleResult
from incidentd.classify.explanation import Answer, Asked, Explanation
from incidentd.classify.row import Fit
from incidentd.errors import Fault

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
    return "\n".join([*lines, *(f"warning: {_line(str(fault))}" for fault in check.warnings)])


def show_faults(faults: Iterable[Fault], what: str = "rules") -> str:
    """One line for each fault, and how many there are."""
    lines = [_line(str(fault)) for fault in faults]
    return "\n".join([*lines, f"{_count(len(lines), 'fault')}. The {what} can't be used."])


def show_examples(results: Iterable[ExampleResult]) -> str:
    """Each example that does not hold, and how many do."""
    results = list(results)
    failed = [result for result in results if not result.holds]
    lines = [
        f"{each.example.file}:{each.example.line}: expected {each.example.row} {each.example.tier}, "
        f"got {each.verdict.row} {each.verdict.tier} ({_line(each.verdict.reason)})"
        for each in failed
    ]
    return "\n".join([*lines, f"{len(results) - len(failed)} of {_count(len(results), 'example')} hold."])


def show_explanation(explanation: Explanation) -> str:
    """Each row that was asked with its answers, then the verdict; of a heartbeat's sign of life only that it is one."""
    if explanation.heartbeats:
        return (
            f"A sign of life of {', '.join(explanation.heartbeats)} in heartbeats.yaml: never an incident of its own."
        )
    verdict = explanation.verdict
    lines = [line for asked in explanation.asked for line in _asked(asked, explanation.taker)]
    scope = verdict.scope
    return "\n".join(
        _line(line)
        for line in (
            *lines,
            "" if lines else "No row was asked.",
            f"{verdict.tier} by {verdict.row}: {verdict.reason}",
            f"title:    {explanation.title}",
            f"key:      {verdict.key}",
            f"policy:   {verdict.policy}",
            f"region:   {verdict.region or '-'}",
            f"scope:    {scope.minimum} or worse in {scope.regions} regions is {scope.tier}"
            if scope
            else "scope:    -",
            f"also to:  {', '.join(verdict.destinations) or '-'}",
            f"version:  {verdict.version}",
        )
    )


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


def _line(text: str) -> str:
    """Never more than one line, and no control characters: labels come from outside."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
