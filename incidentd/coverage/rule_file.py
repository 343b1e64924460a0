"""Prometheus's rule files, and the operator's PrometheusRule: read strictly, or every fault at once.

https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#configuring-rules
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from incidentd.classify.document import MAX_BYTES, Fields, Node, read
from incidentd.classify.section import Ledger, Section, as_section
from incidentd.coverage.alert_rule import AlertRule, RuleFiles
from incidentd.coverage.promql import ExpressionError, check_expression
from incidentd.errors import Fault, RulesError

GROUP_FIELDS = (
    "name", "interval", "query_offset", "limit", "labels", "rules",
    # Thanos and Mimir, which read the same files
    "partial_response_strategy", "source_tenants", "evaluation_delay", "align_evaluation_time_on_interval",
)  # fmt: skip
RULE_FIELDS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_SUFFIXES = (".yml", ".yaml", ".rules")
_LABEL = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_DURATION = re.compile(r"0|(?:[0-9]+y)?(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?")
_EXTERNAL = ("$labels", ".Labels", "$value", ".Value", "$externalLabels", ".ExternalLabels")
_ACTION = re.compile(r"\{\{|\}\}")


def load_rule_files(places: Iterable[str]) -> RuleFiles:
    """The rules in these files, patterns such as ``slo/*/*.rules.yml``, and folders.

    In a folder, and below it, what has no ``groups`` is none of Prometheus's rule files, and is left alone.

    Raises:
        RulesError: with each fault found.
    """
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    for place in places:
        try:
            found = list(_paths(place))
        except ValueError:
            faults.append(Fault(place, 0, "", "is no pattern for files: ** stands between two /"))
            continue
        if not found:
            faults.append(Fault(place, 0, "", "there is no such rule file, nor one in such a folder"))
        for path, named in found:
            text = _text(path)
            if isinstance(text, Fault):
                faults.append(text)
            elif named or _has_groups(text):
                texts[str(path)] = text
    if faults:
        raise RulesError(faults)
    return parse_rule_files(texts)


def parse_rule_files(texts: Mapping[str, str]) -> RuleFiles:
    """The rules in these texts, by file name.

    Raises:
        RulesError: with each fault found.
    """
    alerts: list[AlertRule] = []
    recorded: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    faults: list[Fault] = []
    for name, text in texts.items():
        reader = _Reader(Ledger(name), alerts, recorded)
        reader.file(text)
        faults += reader.ledger.faults
    if faults:
        raise RulesError(faults)
    return RuleFiles(tuple(texts), tuple(alerts), {name: tuple(each) for name, each in recorded.items()})


def _paths(place: str) -> Iterator[tuple[Path, bool]]:
    """The files of a place, and whether each was meant itself."""
    path = Path(place)
    if path.is_dir():
        yield from ((each, False) for each in sorted(path.rglob("*")) if each.suffix in _SUFFIXES and each.is_file())
    elif path.exists():
        yield path, True
    else:
        root = Path(path.anchor)
        yield from ((each, True) for each in sorted(root.glob(place[len(path.anchor) :])) if each.is_file())


def _text(path: Path) -> str | Fault:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1).decode()
    except UnicodeDecodeError:
        return Fault(str(path), 1, "", "is not UTF-8")
    except OSError as error:
        return Fault(str(path), 0, "", f"can't be read: {error.strerror}")


def _has_groups(text: str) -> bool:
    return re.search(r"^ {0,8}groups:", text, re.MULTILINE) is not None


class _Reader:
    """Reads one file."""

    def __init__(self, ledger: Ledger, alerts: list[AlertRule], recorded: dict[str, list[Mapping[str, str]]]) -> None:
        self.ledger = ledger
        self._alerts = alerts
        self._recorded = recorded

    def file(self, text: str) -> None:
        node = read(text, self.ledger.add, words=False)
        file = as_section(node, "the file", self.ledger) if node else None
        if file is None:
            return
        if file.has("kind"):
            file = file.section("spec", required=True)
            if file is None:
                return
        file.only("groups")
        if not file.has("groups"):
            file.complain("groups is missing: this is none of Prometheus's rule files")
        names: set[str] = set()
        for each in file.nodes("groups"):
            group = as_section(each, "a group", self.ledger)
            if group:
                self._group(group, names)

    def _group(self, group: Section, names: set[str]) -> None:
        group.row = group.text("name")
        group.only(*GROUP_FIELDS)
        if group.row in names:
            group.complain("another group of this file has this name", "name")
        names.add(group.row)
        self._duration(group, "interval")
        group.number("limit", 0, least=0)
        labels = self._texts(group, "labels")
        for each in group.nodes("rules"):
            rule = as_section(each, "a rule", self.ledger, group.row)
            if rule:
                self._rule(rule, labels)

    def _rule(self, rule: Section, inherited: Mapping[str, str]) -> None:
        rule.row = rule.text("alert", "") or rule.text("record", "") or rule.row
        rule.only(*RULE_FIELDS)
        if rule.has("alert") == rule.has("record"):
            rule.complain("a rule must have one of alert and record")
            return
        expr = rule.text("expr")
        if expr:
            self._check(expr, rule)
        labels = {**inherited, **self._texts(rule, "labels")}
        if rule.has("record"):
            for field in ("for", "keep_firing_for", "annotations"):
                if rule.has(field):
                    rule.complain(f"{field} belongs to alerts: this rule records", field)
            self._recorded[rule.row].append(labels)
            return
        for field in ("for", "keep_firing_for"):
            self._duration(rule, field)
        annotations = self._texts(rule, "annotations")
        self._alerts.append(AlertRule(self.ledger.file, rule.line, rule.row, expr, labels, annotations))

    def _check(self, expr: str, rule: Section) -> None:
        try:
            check_expression(expr)
        except ExpressionError as error:
            rule.complain(f"expr: {error}", "expr")

    def _duration(self, section: Section, field: str) -> None:
        value = section.text(field, "")
        if value and not _DURATION.fullmatch(value):
            section.complain(f"{field} {value!r} is no duration of Prometheus's, such as 30s, 5m or 1h30m", field)

    def _texts(self, section: Section, field: str) -> Mapping[str, str]:
        found = section.names(field)
        node = section.fields.get(field)
        for name, text in found.items():
            line = _line_of(node, name)
            if not _LABEL.fullmatch(name) or name == "__name__":
                section.ledger.add(line, f"{field}: {name[:60]!r} can't be the name of a label", section.row)
            if fault := _template_fault(text):
                section.ledger.add(line, f"{field}: {name}: {fault}", section.row)
        return found


def _line_of(node: Node | None, name: str) -> int:
    return node.fields[name].line if isinstance(node, Fields) else 1


def _template_fault(text: str) -> str:
    """Braces that don't close. What stands between them is Go's, and promtool's to check."""
    depth = 0
    for brace in _ACTION.findall(text):
        depth += 1 if brace == "{{" else -1
        if depth not in (0, 1):
            break
    return "" if depth == 0 else "a template must have }} for each {{"
