"""An alert before it fires: what is known of its labels and of its number, and so which rows may take it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from incidentd.classify.condition import VALUE, Condition, parse_number
from incidentd.classify.matcher import Matcher
from incidentd.classify.row import Row
from incidentd.coverage.alert_rule import AlertRule
from incidentd.coverage.domain import ANYTHING, Domain, exactly
from incidentd.coverage.promql import Others, Recorded, Shape, shapes_of
from incidentd.coverage.rounding import rounding_of

_TEMPLATE = "{{"
_OF_SERIES = re.compile(r"\{\{-?\s*(?:\$labels|\.Labels)\.(\w+)\s*-?\}\}")
_OF_VALUE = re.compile(r"\$value|\.Value")
_UNREADABLE = re.compile(r"\bhumanize\w*|%%|%[^{}]*%|%[xXobcqUvds]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the annotation ``value`` gives: the number's ``bounds``, or no number, and ``why``."""

    bounds: tuple[Condition, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of series on which an alert may fire."""

    rule: AlertRule
    labels: Mapping[str, Domain]
    others: Others
    reading: Reading
    always: bool = False

    def domain(self, label: str, *, further: bool) -> Domain:
        """What is known of a label. ``further``: labels that the rule doesn't name may come with the series."""
        known = self.labels.get(label)
        if known is not None:
            return known
        absent = self.others is Others.ABSENT or (self.others is Others.SERIES and not further)
        return exactly("") if absent else ANYTHING

    def answer(self, matcher: Matcher, *, further: bool) -> bool | None:
        """What a matcher says; None where that depends on what is not known."""
        return self.domain(matcher.label, further=further).answer(matcher)

    def holds(self, condition: Condition, *, further: bool) -> bool | None:
        """Whether a condition holds; None where that is not known, or there is no number."""
        if condition.operand == VALUE:
            return None if self.reading.why else _follows(self.reading.bounds, condition)
        values = self.domain(condition.operand, further=further).values
        if values is None or len(values) != 1:
            return None
        number = parse_number(*values)
        return None if number is None else condition.compares(number)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows that may take a case, in their order. ``certain``: one of them does.

    ``undecided`` are the labels that it depends on; ``unread`` the rows that ask for a number that isn't given.
    """

    rows: tuple[Row, ...]
    certain: bool
    undecided: tuple[str, ...]
    unread: tuple[Row, ...]


def cases_of(rule: AlertRule, recorded: Recorded, external: Mapping[str, str]) -> tuple[Case, ...]:
    """The kinds of series on which a rule may fire. ``external`` are labels that Prometheus adds to every alert."""
    found = [_case(rule, shape, external) for shape in shapes_of(rule.expr, recorded)]
    return tuple(each for number, each in enumerate(found) if each not in found[:number])


def outcome(case: Case, rows: Iterable[Row], *, further: bool) -> Outcome:
    """What becomes of a case, row by row in their order."""
    may: list[Row] = []
    undecided: dict[str, None] = {}
    certain = False
    for row in rows:
        doubts = _doubts(case, row, further=further)
        if doubts is None:
            continue
        may.append(row)
        undecided.update(dict.fromkeys(doubts))
        if not doubts:
            certain = True
            break
    unread = tuple(row for row in may if case.reading.why and any(each.operand == VALUE for each in row.conditions))
    return Outcome(tuple(may), certain, tuple(undecided), unread)


def _doubts(case: Case, row: Row, *, further: bool) -> list[str] | None:
    """What it depends on whether a row takes a case; None where it never does."""
    doubts: list[str] = []
    for matcher in row.matchers:
        answer = case.answer(matcher, further=further)
        if answer is False:
            return None
        doubts += [] if answer else [matcher.label]
    for condition in row.conditions:
        answer = case.holds(condition, further=further)
        if answer is False:
            return None
        doubts += [] if answer else [condition.operand]
    return doubts


def _case(rule: AlertRule, shape: Shape, external: Mapping[str, str]) -> Case:
    labels = dict(shape.facts)
    for name, text in rule.labels.items():
        labels[name] = _labelled(text, shape)
    labels["alertname"] = exactly(rule.name)
    for name, text in external.items():
        if labels.get(name, exactly("")) == exactly(""):
            labels[name] = exactly(text)
    return Case(rule, labels, shape.others, _reading(rule.annotations.get(VALUE), shape), shape.always)


def _labelled(text: str, shape: Shape) -> Domain:
    """A label as the rule sets it; of a template no more is known than that of a label of the series."""
    if _TEMPLATE not in text:
        return exactly(text)
    copied = _OF_SERIES.fullmatch(text.strip())
    if not copied:
        return ANYTHING
    known = shape.facts.get(copied[1])
    if known is None:
        return exactly("") if shape.others is Others.ABSENT else ANYTHING
    # What is asked of the one label is not asked of the other, which has another name.
    return replace(known, asked=())


def _reading(text: str | None, shape: Shape) -> Reading:
    if text is None:
        return Reading(why="there is no annotation value")
    if _TEMPLATE not in text:
        number = parse_number(text)
        return Reading(_equal(number)) if number is not None else Reading(why=f"{text[:40]!r} is no plain number")
    if _UNREADABLE.search(text):
        return Reading(why="the annotation value is formatted for people: a plain number is needed")
    outside = re.sub(r"\{\{.*?\}\}", "", text).strip()
    if outside:
        return Reading(why=f"the annotation value has {outside[:40]!r} beside the number")
    if not _OF_VALUE.search(text):
        return Reading()
    rounding = rounding_of(text)
    if rounding is None:
        return Reading()
    return Reading(rounding.of_all(shape.bounds) if shape.number is None else _equal(rounding.of(shape.number)))


def _equal(number: float) -> tuple[Condition, ...]:
    return (Condition(VALUE, "=", number, f"{number:g}"),)


def _follows(bounds: tuple[Condition, ...], condition: Condition) -> bool | None:
    if any(bound.implies(condition) for bound in bounds):
        return True
    return False if any(bound.excludes(condition) for bound in bounds) else None
