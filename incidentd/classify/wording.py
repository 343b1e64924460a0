"""What a row asks for, and whom a verdict tells, in words that need no knowledge of the rules' language."""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

from incidentd.calendars import ALWAYS
from incidentd.classify.condition import VALUE, Condition
from incidentd.classify.matcher import Matcher
from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.classify.table import DEFAULT_POLICY, SLO, SYSTEM, Table
from incidentd.tier import Tier

_PLAIN = re.compile(r"[\w ./:-]+(\|[\w ./:-]+)*")
_COMPARED = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "=": "exactly"}
_MANY = 6


def conditions_in_words(row: Row, table: Table) -> list[str]:
    """Each thing that must hold; the table's own ``system`` is left out. ``every alert`` where nothing must."""
    any_objective = "|".join(table.objectives)
    said = []
    for matcher in row.matchers:
        if (matcher.label, matcher.value) == (SLO, any_objective) and matcher.operator == "=~":
            said.append(f"slo is one of its {len(table.objectives)} objectives")
        elif not (table.system and matcher.label == SYSTEM and matcher.operator == "="):
            said.append(matcher_in_words(matcher))
    return [*said, *map(condition_in_words, row.conditions)] or ["every alert"]


def matcher_in_words(matcher: Matcher) -> str:
    """``sli is outage``, ``region is not empty``, ``endpoint is suggest or results``."""
    name, value = matcher.label, matcher.value
    if not value:
        return f"{name} is {'empty' if matcher.operator in ('=', '=~') else 'not empty'}"
    if matcher.operator in ("=", "!="):
        return f"{name} is {'' if matcher.operator == '=' else 'not '}{value}"
    negated = matcher.operator == "!~"
    # A dot would stand for any character: it is plain enough for people only where it is escaped.
    if _PLAIN.fullmatch(value) and "." not in value:
        options = value.split("|")
        if len(options) > _MANY:
            return f"{name} is {'none' if negated else 'one'} of {len(options)}: {', '.join(options)}"
        return f"{name} is {'not ' if negated else ''}{' or '.join(options)}"
    return f"{name} {'does not match' if negated else 'matches'} {value}"


def condition_in_words(condition: Condition) -> str:
    """``value below 99.5``; of a label ``label error_rate above 5``."""
    operand = VALUE if condition.operand == VALUE else f"label {condition.operand}"
    return f"{operand} {_COMPARED[condition.operator]} {condition.written}"


def told_in_words(
    rules: Rules, policy: str, tier: Tier, followers: Iterable[str] = (), in_doubt: Collection[str] = ()
) -> list[str]:
    """Who is told when: at once, and after which time those that were not told before. Empty: nobody is.

    Those ``in_doubt`` are marked: they are told only if they are set up.
    """
    tiers = (rules.policies.get(policy) or rules.policies[DEFAULT_POLICY]).tiers
    found = tiers[tier]
    hours = "" if found.calendar == ALWAYS else f" ({found.calendar.name})"
    steps = [(timedelta(0), (*found.opening, *followers))]
    passed = timedelta(0)
    for level in found.levels:
        steps.append((passed, level.tell))
        passed += level.duration
    told = [
        f"{when}: {', '.join(named(name, in_doubt) for name in names)}{hours}" for when, names in _first_times(steps)
    ]
    if told and found.updates:
        told.append(f"every {span_in_words(found.updates)} while it is open: what holds, in Slack's threads")
    return told


def named(destination: str, in_doubt: Collection[str]) -> str:
    """A destination; one of those in doubt with a mark, as it is told only if it is set up."""
    return f"{destination} (if set up)" if destination in in_doubt else destination


def span_in_words(span: timedelta) -> str:
    """``5 min``, ``1 h 30 min``, ``2 d``."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def _first_times(steps: Iterable[tuple[timedelta, Iterable[str]]]) -> Iterator[tuple[str, list[str]]]:
    by_time: dict[timedelta, list[str]] = {}
    seen: set[str] = set()
    for at, names in steps:
        for name in names:
            if name not in seen:
                seen.add(name)
                by_time.setdefault(at, []).append(name)
    for at, told in by_time.items():
        yield (f"after {span_in_words(at)}" if at else "at once", told)
