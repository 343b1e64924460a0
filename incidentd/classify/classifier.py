"""``classify`` with a memory: alerts of one group differ in nothing that the rules ask for, or in little."""

from collections.abc import Iterable
from dataclasses import dataclass

from incidentd import drill
from incidentd.alert import Alert
from incidentd.classify.classify import REGION, SLI, classify
from incidentd.classify.condition import VALUE
from incidentd.classify.naming import Naming
from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.classify.severity import LABEL as SEVERITY
from incidentd.classify.table import SLO, SYSTEM
from incidentd.classify.verdict import Verdict

REMEMBERED = 1024
"""Verdicts that are kept; when there are more, all are forgotten."""

_ALWAYS_ASKED = frozenset((SYSTEM, SLO, SLI, REGION, SEVERITY, drill.MARK, drill.TIER, drill.SYSTEM))


@dataclass(frozen=True, slots=True)
class _Question:
    """All that a verdict can depend on: these labels, and the annotation ``value`` where ``value`` says so."""

    labels: tuple[str, ...]
    value: bool

    def answers(self, alert: Alert) -> tuple[str | None, ...]:
        value = alert.annotations.get(VALUE) if self.value else None
        return (value, *map(alert.labels.get, self.labels))


class Classifier:
    """The verdicts of one table. Safe to be called by several threads."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._by_system = {system: _question(rules, rows) for system, rows in rules.index.by_system.items()}
        self._other = _question(rules, rules.index.other)
        self._known: dict[tuple[str | None, ...], Verdict] = {}

    def __call__(self, alert: Alert) -> Verdict:
        """The verdict, as ``classify`` gives it. Never fails."""
        answers = self._by_system.get(alert.labels.get(SYSTEM, ""), self._other).answers(alert)
        verdict = self._known.get(answers)
        if verdict is None:
            verdict = classify(alert, self._rules)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[answers] = verdict
        return verdict


def _question(rules: Rules, rows: Iterable[Row]) -> _Question:
    rows = tuple(rows)
    tables = rules.tables.values()
    namings = (rules.grading.known, rules.grading.generic, *(table.naming for table in tables))
    conditions = {condition.operand for row in rows for condition in row.conditions}
    asked = {
        *_ALWAYS_ASKED,
        *(name for naming in namings for name in _names(naming)),
        *(matcher.label for row in rows for matcher in row.matchers),
        *(name for row in rows for name in row.key),
        *conditions,
    }
    return _Question((SYSTEM, *sorted(asked - {SYSTEM})), VALUE in conditions)


def _names(naming: Naming) -> tuple[str, ...]:
    return (*naming.system, *naming.slo, *naming.also)
