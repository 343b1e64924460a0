"""The proof: each alert has a row, a tier, a runbook and somebody at every level; and what nothing uses is named."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.coverage.alert_rule import AlertRule, RuleFiles
from incidentd.coverage.case import Case, Outcome, cases_of, outcome
from incidentd.coverage.disuse import disused
from incidentd.coverage.finding import Finding, Kind
from incidentd.coverage.promql import Others
from incidentd.coverage.reach import unreached
from incidentd.coverage.row_index import RowIndex
from incidentd.errors import Fault
from incidentd.objective import Objective
from incidentd.tier import Tier

RUNBOOK = "runbook_url"
_WEB = ("https://", "http://")
_MANY = 3


@dataclass(frozen=True)
class Covered:
    """An alert, the kinds of series it may fire on, and what becomes of each.

    ``plain``: where a series has no labels but those that the rules name; ``further``: where it may have others.
    """

    rule: AlertRule
    cases: tuple[Case, ...]
    plain: tuple[Outcome, ...]
    further: tuple[Outcome, ...]
    heartbeats: tuple[str, ...] = ()

    @cached_property
    def taken(self) -> tuple[Row, ...]:
        """The rows that may take it: also by labels that the rule doesn't name, where some row does so for certain."""
        both = zip(self.plain, self.further, strict=True)
        found = [row for plain, further in both for row in (further if further.certain else plain).rows]
        return tuple({row.name: row for row in found}.values())

    @property
    def rows(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(row.name for row in self.taken)

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that it may have by them."""
        return tuple(sorted({row.tier for row in self.taken}))


@dataclass(frozen=True, slots=True)
class Proof:
    """Every alert with its rows, and all that was found."""

    alerts: tuple[Covered, ...]
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether there is no fault."""
        return not any(each.is_fault for each in self.findings)


def prove(
    rules: Rules, files: RuleFiles, objectives: Iterable[Objective] = (), external: Mapping[str, str] | None = None
) -> Proof:
    """What there is to say of these alerts under these rules.

    ``external`` are labels that Prometheus adds to each alert. A label that a rule doesn't name counts as absent, and
    is pointed out where the row would change with it; what a template makes is not known, and nothing is taken of it.
    """
    rows = RowIndex(rules.rows)
    alerts = tuple(_covered(rule, rules, rows, files, external or {}) for rule in files.alerts)
    findings = (
        *(finding for each in alerts for finding in _about(each, rules)),
        *unreached(((each.rule.name, row) for each in alerts for row in each.taken), rules),
        *disused(rules, [out for each in alerts for out in each.further], _served(alerts), objectives),
    )
    return Proof(alerts, findings)


def _covered(rule: AlertRule, rules: Rules, rows: RowIndex, files: RuleFiles, external: Mapping[str, str]) -> Covered:
    cases = cases_of(rule, files.recorded, external)
    plain, further = (
        tuple(outcome(each, rows.candidates(each, further=named), further=named) for each in cases)
        for named in (False, True)
    )
    return Covered(rule, cases, plain, further, tuple(_lives(cases, rules)))


def _lives(cases: tuple[Case, ...], rules: Rules) -> Iterator[str]:
    """The heartbeats of which every case is a sign of life."""
    for name, spec in rules.heartbeats.items():
        if spec.matchers and all(each.answer(m, further=False) is True for each in cases for m in spec.matchers):
            yield name


def _about(alert: Covered, rules: Rules) -> Iterator[Finding]:
    if alert.heartbeats:
        return
    rule = alert.rule
    if not alert.cases:
        yield _found(Kind.UNCOVERED, rule, "no series satisfies its selector: it never fires")
    for kind, cause in dict.fromkeys(_of_cases(alert, rules)):
        yield _found(kind, rule, cause)
    always = any(each.always for each in alert.cases)
    if not always and (cause := _no_runbook(alert)):
        yield _found(Kind.NO_RUNBOOK, rule, cause)


def _of_cases(alert: Covered, rules: Rules) -> Iterator[tuple[Kind, str]]:
    for case, plain, further in zip(alert.cases, alert.plain, alert.further, strict=True):
        if plain.unread:
            row = plain.unread[0]
            yield Kind.UNREADABLE, f"row {row.name} asks for a number, and {case.reading.why}"
        elif not plain.certain:
            yield _uncertain(case, plain, rules)
        elif not further.certain:
            rest = _several(list(further.undecided), "and")
            yield Kind.UNPROVEN, f"its series may have labels that the rule doesn't name, and then no row: {rest}"


def _uncertain(case: Case, plain: Outcome, rules: Rules) -> tuple[Kind, str]:
    fallback = _fallback(case, rules)
    if case.always and not plain.rows:
        return Kind.UNPROVEN, f"always fires, and nothing expects it in heartbeats.yaml: an incident {fallback}"
    if not plain.rows:
        return Kind.UNCOVERED, f"no row takes it{_on(case)}: its severity alone decides, {fallback}"
    missing = (
        "nothing here says; name the files of its recording rules as well"
        if case.others is Others.UNREAD
        else ("nothing here says")
    )
    rows, labels = _several([row.name for row in plain.rows]), _several(list(plain.undecided), "and")
    return (
        Kind.UNPROVEN,
        f"{rows}{_on(case)} may take it, or its severity alone, {fallback}: that depends on {labels}; {missing}",
    )


def _fallback(case: Case, rules: Rules) -> str:
    values = case.domain("severity", further=False).values
    if values is None or len(values) != 1:
        return "which is a template"
    labels = {"severity": next(iter(values))}
    return f"{rules.grading.severities.tier(labels)} by {rules.grading.severities.reason(labels)}"


def _on(case: Case) -> str:
    """The series, where the rule alone doesn't say which it is."""
    known = {name: case.labels[name].values for name in ("slo", "window") if name in case.labels}
    said = [f"{name} {next(iter(values))}" for name, values in known.items() if values and len(values) == 1]
    return f" for {', '.join(said)}" if said else ""


def _no_runbook(alert: Covered) -> str:
    text = alert.rule.annotations.get(RUNBOOK, "")
    if text:
        return (
            "" if text.startswith((*_WEB, "{{")) else f"{RUNBOOK} {text[:60]!r} is no address that begins with https://"
        )
    bare = [row.name for row in alert.taken if not row.runbook]
    if alert.rows and not bare:
        return ""
    return f"has no annotation {RUNBOOK}" + (f", nor has row {bare[0]} a runbook" if bare else "")


def _served(alerts: Iterable[Covered]) -> list[tuple[Case, str]]:
    return [(case, each.rule.name) for each in alerts for case in each.cases]


def _several(names: list[str], word: str = "or") -> str:
    return ", ".join(names[:_MANY]) + (f" {word} {len(names) - _MANY} more" if len(names) > _MANY else "")


def _found(kind: Kind, rule: AlertRule, cause: str) -> Finding:
    return Finding(kind, Fault(rule.file, rule.line, rule.name, cause))
