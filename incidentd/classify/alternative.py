"""What would have made an alert more urgent, or less: another number, another label, or more regions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from incidentd.alert import Alert
from incidentd.classify.classify import classify
from incidentd.classify.condition import VALUE, parse_number
from incidentd.classify.drilled import drilled
from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.classify.table import SLO, SYSTEM
from incidentd.classify.verdict import Verdict
from incidentd.tier import Tier

_NAMES = (SYSTEM, SLO, "alertname")
"""Labels that say what it is: with another one it would be another alert."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """The tier that it would have had, by which row, and what for."""

    tier: Tier
    row: str
    needed: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """All numbers between two limits; ``inside`` is one of them. None: without end."""

    least: float | None
    with_least: bool
    most: float | None
    with_most: bool
    inside: float

    def holds(self, number: float) -> bool:
        """Whether this number is one of them."""
        above = self.least is None or number > self.least or (self.with_least and number == self.least)
        below = self.most is None or number < self.most or (self.with_most and number == self.most)
        return above and below

    def distance(self, number: float) -> float:
        """How far the number is from it."""
        if self.holds(number):
            return 0.0
        return min(abs(number - limit) for limit in (self.least, self.most) if limit is not None)

    def words(self, name: str) -> str:
        """Such as ``80 <= value < 100``."""
        if self.least is not None and self.least == self.most:
            return f"{name} = {_plain(self.least)}"
        least = "" if self.least is None else f"{_plain(self.least)} {'<=' if self.with_least else '<'} "
        most = "" if self.most is None else f" {'<=' if self.with_most else '<'} {_plain(self.most)}"
        if self.least is not None and not most:
            return f"{name} {'>=' if self.with_least else '>'} {_plain(self.least)}"
        return f"{least}{name}{most}"


def readings(alert: Alert, rules: Rules) -> dict[str, str]:
    """The numbers that rows ask this alert for, as it gives them; empty where it gives none."""
    return {each.operand: each.reading(alert) for row in _fitting(alert, rules) for each in row.conditions}


def alternatives(alert: Alert, rules: Rules) -> tuple[Alternative, ...]:
    """What the next more urgent tier would have needed, and the next less urgent one, each way there is.

    Of an alert whose number can't be read: what every number would have made of it.
    """
    if drilled(alert, rules):
        return ()
    verdict = classify(alert, rules)
    found = [each for operand in readings(alert, rules) for each in _by_number(alert, rules, operand, verdict)]
    found += _by_regions(verdict)
    for each in _next(list(_by_label(alert, rules)), verdict.tier):
        if not any((other.tier < verdict.tier) == (each.tier < verdict.tier) for other in found):
            found.append(each)
    return tuple(dict.fromkeys(found))


def _fitting(alert: Alert, rules: Rules) -> tuple[Row, ...]:
    return tuple(
        each.row
        for each in rules.candidates(alert.labels)
        if all(matcher.matches(alert.labels) for matcher in each.left)
    )


def _by_number(alert: Alert, rules: Rules, operand: str, verdict: Verdict) -> Iterator[Alternative]:
    """The number alone is varied: one probe in each stretch between the limits that rows name."""
    limits = sorted({c.limit for row in _fitting(alert, rules) for c in row.conditions if c.operand == operand})
    probed = [(each, classify(_with(alert, operand, each.inside), rules)) for each in _stretches(limits)]
    merged = [_merged(list(group)) for _, group in groupby(probed, key=lambda each: (each[1].tier, each[1].row))]
    number = parse_number(alert.annotations.get(VALUE, "") if operand == VALUE else alert.labels.get(operand, ""))
    if len(merged) < 2:
        return
    if number is None:
        yield from (Alternative(each.tier, each.row, stretch.words(operand)) for stretch, each in merged)
        return
    nearest = sorted(merged, key=lambda each: each[0].distance(number))
    yield from _next(
        [Alternative(each.tier, each.row, stretch.words(operand)) for stretch, each in nearest], verdict.tier
    )


def _next(found: list[Alternative], tier: Tier) -> list[Alternative]:
    """The first one of the next tier up, and of the next one down."""
    up = max((each.tier for each in found if each.tier < tier), default=None)
    down = min((each.tier for each in found if each.tier > tier), default=None)
    return [next(each for each in found if each.tier == wanted) for wanted in (up, down) if wanted is not None]


def _by_label(alert: Alert, rules: Rules) -> Iterator[Alternative]:
    """Rows that one other value of one label would have led to."""
    for row in rules.rows_for(alert.labels):
        missed = [matcher for matcher in row.matchers if not matcher.matches(alert.labels)]
        if len(missed) == 1 and missed[0].operator == "=" and missed[0].label not in _NAMES:
            label, value = missed[0].label, missed[0].value
            verdict = classify(replace(alert, labels={**alert.labels, label: value}), rules)
            if verdict.row == row.name:
                yield Alternative(verdict.tier, verdict.row, str(missed[0]))


def _by_regions(verdict: Verdict) -> Iterator[Alternative]:
    scope = verdict.scope
    if scope and scope.tier < verdict.tier <= scope.minimum:
        yield Alternative(scope.tier, verdict.row, f"{scope.minimum} or worse in {scope.regions} regions")


def _plain(number: float) -> str:
    """The number itself: six places of it would be another one."""
    return repr(number).removesuffix(".0")


def _stretches(limits: list[float]) -> Iterator[Stretch]:
    if not limits:
        return
    first, last = limits[0], limits[-1]
    yield Stretch(None, False, first, False, first - abs(first) - 1)
    for low, high in pairwise(limits):
        yield Stretch(low, True, low, True, low)
        yield Stretch(low, False, high, False, (low + high) / 2)
    yield Stretch(last, True, last, True, last)
    yield Stretch(last, False, None, False, last + abs(last) + 1)


def _merged(group: list[tuple[Stretch, Verdict]]) -> tuple[Stretch, Verdict]:
    first, last = group[0][0], group[-1][0]
    return replace(first, most=last.most, with_most=last.with_most), group[0][1]


def _with(alert: Alert, operand: str, number: float) -> Alert:
    if operand == VALUE:
        return replace(alert, annotations={**alert.annotations, VALUE: repr(number)})
    return replace(alert, labels={**alert.labels, operand: repr(number)})
