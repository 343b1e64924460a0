"""A table file: the rows of one system, or of alerts in general, with examples that must hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from incidentd.classify.condition import Condition, ConditionError, parse_condition
from incidentd.classify.destination import DestinationSpec
from incidentd.classify.matcher import Matcher, MatcherError, equality, parse_matcher
from incidentd.classify.naming import Naming
from incidentd.classify.observing import Observing, read_observing
from incidentd.classify.row import Row
from incidentd.classify.section import Section, as_section, closest
from incidentd.policy import Policy
from incidentd.tier import Tier
from incidentd.timeline import Scope

DEFAULT_POLICY = "default"
SYSTEM = "system"
SLO = "slo"


@dataclass(frozen=True, slots=True)
class Example:
    """Labels and annotations, and the row and tier that they must give. ``row`` is a full name."""

    file: str
    line: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    row: str
    tier: Tier


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """Which objectives a scope rule is for."""

    slos: tuple[str, ...]
    scope: Scope


@dataclass(frozen=True, slots=True)
class Table:
    """One table file. ``system`` empty: its rows are for any alert. ``regions`` empty: every region counts.

    ``observing`` None: people are told.
    """

    name: str
    system: str
    naming: Naming
    policy: str
    objectives: Mapping[str, str] = field(default_factory=dict)
    destinations: tuple[str, ...] = ()
    scopes: tuple[ScopeRule, ...] = ()
    regions: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    examples: tuple[Example, ...] = ()
    observing: Observing | None = None

    def scope_of(self, labels: Mapping[str, str]) -> Scope | None:
        """The scope rule of the table that these labels fall under."""
        slo = labels.get(SLO, "")
        return next((rule.scope for rule in self.scopes if slo in rule.slos), None)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the other files gave: everything that a row may name."""

    policies: Mapping[str, Policy]
    destinations: Mapping[str, DestinationSpec]
    known: Naming
    generic: Naming


_TABLE_FIELDS = (
    "system", "observe", "observe_until", "key", "policy", "destinations", "objectives", "scopes", "regions", "rows",
    "examples",
)  # fmt: skip
_ROW_FIELDS = ("name", "match", "when", "any_objective", "tier", "key", "scope", "policy", "destinations")


def read_table(name: str, file: Section, shelf: Shelf) -> Table:
    """The file; with faults noted, whatever could be understood of it."""
    return _TableReader(name, file.only(*_TABLE_FIELDS), shelf).table()


def followers(section: Section, shelf: Shelf, default: tuple[str, ...]) -> tuple[str, ...]:
    """The field ``destinations``: who follows as well, where people read."""
    names = section.texts("destinations")
    for name in names:
        spec = shelf.destinations.get(name)
        if spec is None:
            known = closest(name, shelf.destinations)
            section.complain(f"destinations names {name!r}, which is no destination{known}", "destinations")
        elif spec.pages:
            section.complain(f"destinations names {name!r}, which pages: pages belong to levels", "destinations")
    return names if section.has("destinations") else default


class _TableReader:
    def __init__(self, name: str, file: Section, shelf: Shelf) -> None:
        self._file = file
        self._shelf = shelf
        system = file.text("system", "")
        self._table = Table(
            name=name,
            system=system,
            naming=self._naming(shelf.known if system else shelf.generic),
            policy=self._policy(file, DEFAULT_POLICY),
            objectives=MappingProxyType(file.names("objectives")),
            destinations=self._destinations(file, ()),
            scopes=self._scopes(),
            regions=file.texts("regions"),
            observing=read_observing(file),
        )

    def table(self) -> Table:
        rows: dict[str, Row] = {}
        for node in self._file.nodes("rows"):
            section = as_section(node, "a row", self._file.ledger)
            if section and (row := self._row(section, rows)):
                rows[row.name] = row
        if not rows and not self._file.ledger.faults:
            self._file.complain("has no rows", "rows")
        nodes = self._file.nodes("examples")
        found = [as_section(node, "an example", self._file.ledger) for node in nodes]
        examples = [example for section in found if section and (example := self._example(section, rows))]
        return replace(self._table, rows=tuple(rows.values()), examples=tuple(examples))

    def _row(self, section: Section, rows: Mapping[str, Row]) -> Row | None:
        short = section.row = section.text("name")
        section.only(*_ROW_FIELDS, "title", "runbook")
        tier = section.tier("tier")
        name = f"{self._table.name}/{short}"
        if short and name in rows:
            section.complain(f"another row has this name, in line {rows[name].line}", "name")
        # Read whole before anything is given up: one fault must not hide another.
        row = Row(
            name=name,
            line=section.line,
            matchers=self._matchers(section),
            conditions=self._conditions(section),
            tier=tier or Tier.P3,
            policy=self._policy(section, self._table.policy),
            naming=self._table.naming,
            key=section.texts("key"),
            scope=self._scope(section.section("scope")),
            destinations=self._destinations(section, self._table.destinations),
            title=section.text("title", ""),
            runbook=section.text("runbook", ""),
        )
        return row if short and tier is not None else None

    def _matchers(self, section: Section) -> tuple[Matcher, ...]:
        found = [equality(SYSTEM, self._table.system)] if self._table.system else []
        for line, text in section.lines("match"):
            try:
                found.append(parse_matcher(text))
            except MatcherError as error:
                section.ledger.add(line, f"match: {error}", section.row)
        if section.choice("any_objective", ("true", "false"), "false") == "true":
            found.append(self._any_objective(section))
        return tuple(found)

    def _any_objective(self, section: Section) -> Matcher:
        names = tuple(self._table.objectives)
        if not names:
            section.complain("any_objective: the file lists no objectives", "any_objective")
        known = frozenset(names)
        return Matcher(SLO, "=~", "|".join(names), known.__contains__)

    def _conditions(self, section: Section) -> tuple[Condition, ...]:
        found = []
        for line, text in section.lines("when"):
            try:
                found.append(parse_condition(text))
            except ConditionError as error:
                section.ledger.add(line, f"when: {error}", section.row)
        return tuple(found)

    def _naming(self, default: Naming) -> Naming:
        key = self._file.section("key")
        if key is None:
            return default
        key.only("system", "slo", "also")
        return Naming(
            key.texts("system") or default.system,
            key.texts("slo") or default.slo,
            key.texts("also") if key.has("also") else default.also,
        )

    def _policy(self, section: Section, default: str) -> str:
        return section.choice("policy", self._shelf.policies, default) or default

    def _destinations(self, section: Section, default: tuple[str, ...]) -> tuple[str, ...]:
        return followers(section, self._shelf, default)

    def _scopes(self) -> tuple[ScopeRule, ...]:
        found = []
        for node in self._file.nodes("scopes"):
            section = as_section(node, "a scope rule", self._file.ledger)
            if section is None:
                continue
            scope = self._scope(section, "slos")
            if not section.texts("slos"):
                section.complain("slos must name the objectives that the rule is for", "slos")
            if scope:
                found.append(ScopeRule(section.texts("slos"), scope))
        return tuple(found)

    def _scope(self, section: Section | None, *further: str) -> Scope | None:
        if section is None:
            return None
        section.only("minimum", "regions", "tier", *further)
        minimum, tier = section.tier("minimum"), section.tier("tier")
        regions = section.number("regions", 2, least=2, most=1000)
        if not section.has("regions"):
            section.complain("regions is missing: from how many on")
        if minimum is None or tier is None:
            return None
        if tier >= minimum:
            section.complain(f"the scope's tier {tier} is no more urgent than its minimum {minimum}", "tier")
        return Scope(minimum, regions, tier)

    def _example(self, section: Section, rows: Mapping[str, Row]) -> Example | None:
        section.only("labels", "annotations", "row", "tier")
        row, tier = section.text("row"), section.tier("tier")
        section.row = f"example of {row}"
        name = row if row == "severity" else f"{self._table.name}/{row}"
        labels = section.names("labels")
        if row and row != "severity" and name not in rows:
            short = [each.partition("/")[2] for each in rows]
            section.complain(f"row {row!r} is not in this file{closest(row, short)}", "row")
        if tier is None:
            return None
        system = {SYSTEM: self._table.system} if self._table.system else {}
        annotations = section.names("annotations")
        return Example(self._file.ledger.file, section.line, {**system, **labels}, annotations, name, tier)
