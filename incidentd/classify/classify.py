"""Which row takes an alert, and what that means for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from incidentd.alert import Alert
from incidentd.classify.condition import VALUE, Condition
from incidentd.classify.drilled import drilled
from incidentd.classify.index import Candidate
from incidentd.classify.line import one_line
from incidentd.classify.row import Fit, Row
from incidentd.classify.rules import Rules
from incidentd.classify.table import DEFAULT_POLICY, SYSTEM, Table
from incidentd.classify.verdict import Verdict
from incidentd.timeline import Scope

NO_ROW = "severity"
REGION = "region"
SLI = "sli"
_LONGEST_READING = 40


@dataclass(frozen=True, slots=True)
class Taker:
    """The row that takes an alert. ``unreadable`` is the condition that the alert gives no number for."""

    row: Row
    unreadable: Condition | None = None


def classify(alert: Alert, rules: Rules) -> Verdict:
    """The verdict of the first row that takes the alert, or of its severity. Never fails, whatever the labels.

    A drill's alert has no row: it is what it says it is.
    """
    if verdict := drilled(alert, rules):
        return verdict
    taker = find(alert, rules.candidates(alert.labels))
    return _by_severity(alert, rules) if taker is None else _by_row(alert, rules, taker)


def find(alert: Alert, candidates: Iterable[Candidate]) -> Taker | None:
    """The first row that fits.

    Where an earlier one would but for a number that can't be read: the least urgent of those and of that one (model 8).
    """
    doubtful: list[Row] = []
    for _, row, left in candidates:
        fit = row.fit(alert, left)
        if fit is Fit.YES:
            if not doubtful:
                return Taker(row)
            doubtful.append(row)
            break
        if fit is Fit.UNREADABLE:
            doubtful.append(row)
    if not doubtful:
        return None
    unread = next(each for each in doubtful[0].conditions if each.holds(alert) is None)
    return Taker(max(doubtful, key=lambda row: row.tier), unread)


def _by_row(alert: Alert, rules: Rules, taker: Taker) -> Verdict:
    row = taker.row
    tier, reason = row.tier, _numbers(alert, row)
    if taker.unreadable:
        floor = rules.grading.severities.tier(alert.labels)
        tier = min(row.tier, floor)
        reason = f"{_unread(alert, taker.unreadable)}: least urgent row that fits"
        if floor < row.tier:
            reason += f", raised to {floor} by {rules.grading.severities.reason(alert.labels)}"
    table = rules.table_of(row)
    system, slo = row.naming.system_of(alert.labels), row.naming.slo_of(alert.labels)
    return Verdict(
        tier=tier,
        key=row.incident_key(system, slo, alert.labels),
        system=system,
        slo=slo,
        row=row.name,
        reason=reason,
        title=row.title,
        policy=row.policy,
        version=rules.version,
        region=alert.labels.get(REGION) or None,
        scope=_counted(row.scope or table.scope_of(alert.labels), table, alert),
        destinations=row.destinations,
        runbook=row.runbook,
        observing=rules.observing.get(alert.labels.get(SYSTEM, "")),
    )


def _by_severity(alert: Alert, rules: Rules) -> Verdict:
    table = rules.table_for(alert.labels)
    naming = table.naming if table else rules.grading.generic
    system, slo = naming.system_of(alert.labels), naming.slo_of(alert.labels)
    return Verdict(
        tier=rules.grading.severities.tier(alert.labels),
        key=naming.key(system, slo, alert.labels),
        system=system,
        slo=slo,
        row=NO_ROW,
        reason=f"no row matched: {rules.grading.severities.reason(alert.labels)}",
        title="",
        policy=table.policy if table else DEFAULT_POLICY,
        version=rules.version,
        region=alert.labels.get(REGION) or None,
        scope=_counted(table.scope_of(alert.labels), table, alert) if table else None,
        destinations=table.destinations if table else (),
        observing=table.observing if table else None,
    )


def _counted(scope: Scope | None, table: Table, alert: Alert) -> Scope | None:
    """A region that the table doesn't list counts for no scope rule."""
    return None if table.regions and alert.labels.get(REGION) not in table.regions else scope


def _numbers(alert: Alert, row: Row) -> str:
    if row.conditions:
        return ", ".join(_number(alert, condition) for condition in row.conditions)
    return ", ".join(str(matcher) for matcher in row.matchers if matcher.label != "system") or "every alert"


def _number(alert: Alert, condition: Condition) -> str:
    return f"{_name(alert, condition)} {_short(condition.reading(alert))} {condition.operator} {condition.written}"


def _unread(alert: Alert, condition: Condition) -> str:
    reading = _short(condition.reading(alert))
    if not reading:
        return f"no {condition.operand} given"
    return f"{_name(alert, condition)} {reading!r} is no number"


def _name(alert: Alert, condition: Condition) -> str:
    return _short(alert.labels.get(SLI, "")) or VALUE if condition.operand == VALUE else condition.operand


def _short(text: str) -> str:
    return one_line(text, _LONGEST_READING)
