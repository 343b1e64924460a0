"""Alerts as Prometheus would send them for an objective, made from what the rules table says of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from types import MappingProxyType

from incidentd.alert import Alert
from incidentd.classify import Rules, Verdict, classify
from incidentd.classify.classify import NO_ROW
from incidentd.classify.condition import VALUE, Condition
from incidentd.classify.row import Fit, Row
from incidentd.classify.table import Table
from incidentd.errors import UsageError
from incidentd.intake import fingerprint
from incidentd.tier import Tier

REGION, SLI = "region", "sli"
_SEVERITIES = {Tier.P0: "critical", Tier.P1: "critical", Tier.P2: "warning", Tier.P3: "info"}
# What nothing breaches must not page by its severity.
_BREACHES_NOTHING = "warning"
_UNITS = {
    "availability": " %",
    "error_rate": " %",
    "latency_p95": " ms",
    "latency_p99": " ms",
    "budget_consumed": " %",
    "daily_budget_consumed": " %",
    "pass_rate": " %",
    "breach_eta": " h",
    "review_time": " min",
    "age_days": " days",
}
_SHOWN = 40
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class UnknownObjectiveError(UsageError):
    """The table knows no such system, or no such objective of it. Names those that it knows, nearest first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to fire. ``value`` None: the one of the table's example. ``regions`` empty: that of the example."""

    system: str
    slo: str
    value: str | None = None
    regions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Specimen:
    """One alert's labels and annotations, and what the table says of them."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    verdict: Verdict

    @property
    def fingerprint(self) -> str:
        """As Alertmanager makes it: the same labels, the same fingerprint."""
        return fingerprint(self.labels)

    @property
    def breaches(self) -> bool:
        """Whether a row took it."""
        return self.verdict.row != NO_ROW

    def alert(self, starts_at: datetime, ends_at: datetime | None = None) -> Alert:
        """The alert in an episode; over where it has an end."""
        firing = ends_at is None
        return Alert(self.fingerprint, self.labels, self.annotations, starts_at, ends_at, firing, _source(self))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row that could take the objective's alerts, with labels that it fits but for numbers."""

    row: Row
    labels: Mapping[str, str]
    value: str

    @property
    def is_own(self) -> bool:
        """Whether the row is for this objective, and not for any one."""
        return any(each.label == "slo" and each.operator == "=" for each in self.row.matchers)

    @property
    def measures(self) -> bool:
        """Whether the number decides."""
        return any(each.operand == VALUE for each in self.row.conditions)


def specimens(rules: Rules, wanted: Wanted) -> list[Specimen]:
    """One alert for each region, of the most urgent row that the value breaches.

    Where it breaches none, they are of the objective's own measure all the same: the verdict is then by severity.

    Raises:
        UnknownObjectiveError: the table knows no such objective.
    """
    table = _table(rules, wanted.system)
    known = objectives(table)
    if wanted.slo not in known:
        raise UnknownObjectiveError(_unknown(f"{wanted.system} has no objective {wanted.slo!r}", wanted.slo, known))
    regions = wanted.regions or (wanted.labels.get(REGION, ""),)
    return [_specimen(rules, table, wanted, region) for region in regions]


def systems(rules: Rules) -> list[str]:
    """The systems that have a table of their own."""
    return [table.system for table in rules.tables.values() if table.system]


def objectives(table: Table) -> list[str]:
    """Every objective that the table names: in its list, its rows, or the examples of its rows."""
    rows = (each.value for row in table.rows for each in row.matchers if each.label == "slo" and each.operator == "=")
    examples = (each.labels.get("slo", "") for each in table.examples if each.row != NO_ROW)
    return [name for name in dict.fromkeys((*table.objectives, *rows, *examples)) if name]


def apart(specimen: Specimen, rules: Rules, count: int) -> list[Specimen]:
    """So many alerts like this one, each of its own instance and, where the key allows it, of its own incident.

    The same ones each time. The key's further labels, such as ``environment``, tell the incidents apart.
    """
    row = next((each for each in rules.rows if each.name == specimen.verdict.row), None)
    table = rules.table_for(specimen.labels)
    names = (row.key or row.naming.also) if row else (table.naming.also if table else ())
    name = next((each for each in names if each not in specimen.labels), "")
    return [_varied(specimen, rules, name, number) for number in range(1, count + 1)]


def _varied(specimen: Specimen, rules: Rules, name: str, number: int) -> Specimen:
    own = {"instance": f"storm-{number:05}:9090", **({name: f"storm-{number:05}"} if name else {})}
    labels = {**specimen.labels, **own}
    return Specimen(labels, specimen.annotations, classify(_any_time(labels, specimen.annotations), rules))


def _specimen(rules: Rules, table: Table, wanted: Wanted, region: str) -> Specimen:
    asked = dict(wanted.labels) | ({REGION: region} if region else {})
    candidates = list(_candidates(table, wanted.slo, asked))
    if not candidates:
        labels = {"alertname": "Sample", "system": wanted.system, "slo": wanted.slo, **asked}
        return _judged(rules, wanted, labels, wanted.value or "", _BREACHES_NOTHING)
    ranked = sorted(candidates, key=_rank)
    first = [each for each in ranked if _rank(each) == _rank(ranked[0])]
    taker = next((each for each in first if _takes(rules, each, wanted)), None)
    chosen = taker or first[0]
    severity = _SEVERITIES[chosen.row.tier] if taker else _BREACHES_NOTHING
    return _judged(rules, wanted, chosen.labels, chosen.value if wanted.value is None else wanted.value, severity)


def _rank(candidate: _Candidate) -> tuple[bool, bool]:
    """The objective's own rows before those for any one; rows that go by a number before those that don't."""
    return not candidate.is_own, not candidate.measures


def _takes(rules: Rules, candidate: _Candidate, wanted: Wanted) -> bool:
    value = candidate.value if wanted.value is None else wanted.value
    annotations = {VALUE: value, **wanted.annotations}
    return classify(_any_time(candidate.labels, annotations), rules).row == candidate.row.name


def _candidates(table: Table, slo: str, asked: Mapping[str, str]) -> Iterator[_Candidate]:
    for row in table.rows:
        for given, value in _examples(table, row, slo):
            labels = {**given, "system": table.system, "slo": slo, **asked}
            if _fits(row, labels):
                yield _Candidate(row, MappingProxyType(labels), value)
                break


def _examples(table: Table, row: Row, slo: str) -> Iterator[tuple[Mapping[str, str], str]]:
    """Labels and values that the table gives for a row, those of this objective first; else its matchers' own."""
    found = [each for each in table.examples if each.row == row.name]
    for example in sorted(found, key=lambda each: each.labels.get("slo") != slo):
        yield example.labels, example.annotations.get(VALUE, "")
    name = row.name.rpartition("/")[2].title().replace("-", "").replace(".", "")
    pinned = {each.label: each.value for each in row.matchers if each.operator == "="}
    yield {"alertname": f"{table.system.title()}{name}", **pinned}, _beyond(row.conditions)


def _beyond(conditions: Iterable[Condition]) -> str:
    """A number on the wrong side of the row's limit."""
    for each in conditions:
        if each.operand == VALUE:
            step = {"<": -1, ">": 1}.get(each.operator, 0)
            return f"{each.limit + step:g}"
    return ""


def _fits(row: Row, labels: Mapping[str, str]) -> bool:
    return all(each.matches(labels) for each in row.matchers) and row.fit(_any_time(labels, {})) is not Fit.NO


def _judged(rules: Rules, wanted: Wanted, labels: Mapping[str, str], value: str, severity: str) -> Specimen:
    full = {"severity": severity, **labels}
    annotations = {**_annotations(rules, wanted, full, value), **wanted.annotations}
    return Specimen(full, annotations, classify(_any_time(full, annotations), rules))


def _annotations(rules: Rules, wanted: Wanted, labels: Mapping[str, str], value: str) -> dict[str, str]:
    path = f"{wanted.system}/{wanted.slo}"
    given = {
        "summary": _summary(labels, value),
        "description": "A sample alert, fired by hand.",
        VALUE: value,
        "objective": rules.objective(wanted.system, wanted.slo),
        "runbook_url": f"https://runbooks.example.com/{path}",
        "dashboard_url": f"https://grafana.example.com/d/{wanted.system}-{wanted.slo}",
    }
    return {name: text for name, text in given.items() if text}


def _summary(labels: Mapping[str, str], value: str) -> str:
    sli = labels.get(SLI, "")
    where = f" in {labels[REGION]}" if labels.get(REGION) else ""
    if sli == "outage":
        return f"{labels['slo']} is down{where}"
    if not value:
        return f"{labels['slo']}: {labels.get('alertname', 'an alert')}{where}"
    words = {"latency_p95": "p95 latency", "latency_p99": "p99 latency"}.get(sli, sli.replace("_", " "))
    window = f" over {labels['window']}" if labels.get("window") else ""
    return f"{labels['slo']} {words or VALUE} is {value}{_UNITS.get(sli, '')}{window}{where}"


def _source(specimen: Specimen) -> str:
    name = "_".join(specimen.labels.get(each, "") for each in ("system", "slo", SLI)).replace("-", "_").strip("_")
    return f"http://prometheus.example.com:9090/graph?g0.expr={name}&g0.tab=1"


def _any_time(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Alert:
    return Alert("0" * 16, labels, annotations, _ANY_TIME, None, firing=True)


def _table(rules: Rules, system: str) -> Table:
    found = rules.table_for({"system": system})
    if found is None:
        raise UnknownObjectiveError(_unknown(f"the rules know no system {system!r}", system, systems(rules)))
    return found


def _unknown(text: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=len(known) or 1, cutoff=0.4)
    ordered = [*near, *(each for each in known if each not in near)]
    more = "" if len(ordered) <= _SHOWN else f", and {len(ordered) - _SHOWN} more"
    return f"{text}; known: {', '.join(ordered[:_SHOWN]) or 'none'}{more}"
