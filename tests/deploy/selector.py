"""What an expression of PromQL selects, read as far as ours go.

https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_METRIC = re.compile(r"(?<![\w:$])([A-Za-z_:][\w:]*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring) ?\(([^)]*)\)")
_TEXT = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Matcher:
    label: str
    operator: str
    value: str

    def values(self) -> list[str]:
        """The values that it names: those of a regular expression's alternatives by themselves."""
        return self.value.split("|") if "~" in self.operator else [self.value]


@dataclass(frozen=True, slots=True)
class Selector:
    metric: str
    matchers: tuple[Matcher, ...]


def selectors(expression: str, prefix: str = "incidentd_") -> Iterator[Selector]:
    """Every selector of a metric with this prefix."""
    for name, braces in _METRIC.findall(_GROUPING.sub("", expression)):
        if name.startswith(prefix) and name not in _TEXT.sub("", braces):
            yield Selector(name, tuple(Matcher(*found) for found in _MATCHER.findall(braces)))


def grouping(expression: str) -> set[str]:
    """Every label that the expression groups or joins by."""
    lists = _GROUPING.findall(expression)
    return {label.strip() for each in lists for label in each.split(",") if label.strip()}
