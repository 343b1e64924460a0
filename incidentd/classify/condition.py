"""Numeric conditions on an alert: ``value < 99.5``, on the annotation ``value`` or on a label."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incidentd.alert import Alert

VALUE = "value"
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_CONDITION = re.compile(r'\s*("(?:[^"\\])+"|[^\s<>=!"]+)\s*(<=|>=|<|>|=)\s*(\S+)\s*')
_LONGEST_NUMBER = 64
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


class ConditionError(ValueError):
    """A text that is no condition; says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. ``written`` is the limit as the table gives it."""

    operand: str
    operator: str
    limit: float
    written: str

    def holds(self, alert: Alert) -> bool | None:
        """Whether it holds; None where the alert gives no finite number."""
        number = parse_number(self.reading(alert))
        return None if number is None else self.compares(number)

    def compares(self, number: float) -> bool:
        """Whether it holds for this number."""
        return _OPERATORS[self.operator](number, self.limit)

    def reading(self, alert: Alert) -> str:
        """What the alert gives, as text; empty when it is absent."""
        return (alert.annotations if self.operand == VALUE else alert.labels).get(self.operand, "")

    def implies(self, other: "Condition") -> bool:
        """Whether every number that satisfies this one satisfies the other, too."""
        if self.operand != other.operand:
            return False
        if self.operator == "=":
            return _OPERATORS[other.operator](self.limit, other.limit)
        if other.operator == "=" or self.operator[0] != other.operator[0]:
            return False
        if self.limit == other.limit:
            return self.operator == other.operator or other.operator.endswith("=")
        return _OPERATORS[self.operator[0]](self.limit, other.limit)

    def excludes(self, other: "Condition") -> bool:
        """Whether no number satisfies both."""
        if self.operand != other.operand:
            return False
        if self.operator == "=":
            return not other.compares(self.limit)
        if other.operator == "=":
            return not self.compares(other.limit)
        if self.operator[0] == other.operator[0]:
            return False
        lower, upper = (self, other) if self.operator[0] == ">" else (other, self)
        return lower.limit > upper.limit or (
            lower.limit == upper.limit and not (lower.operator == ">=" and upper.operator == "<=")
        )

    def __str__(self) -> str:
        return f"{self.operand} {self.operator} {self.written}"


def parse_condition(text: str) -> Condition:
    """A condition from its text.

    Raises:
        ConditionError: it is none.
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise ConditionError(f"{text[:200]!r} is no condition: value or a label, one of < <= > >= =, a number")
    operand, comparison, written = found.groups()
    limit = parse_number(written)
    if limit is None:
        raise ConditionError(f"{written[:200]!r} in {text[:200]!r} is no number")
    return Condition(operand.strip('"'), comparison, limit, written)


def parse_number(text: str) -> float | None:
    """A finite plain decimal, spaces around it allowed; None for all else (``5%``, ``NaN``, ``+Inf``)."""
    stripped = text.strip()
    if len(stripped) > _LONGEST_NUMBER or not _NUMBER.fullmatch(stripped):
        return None
    number = float(stripped)
    return number if math.isfinite(number) else None
