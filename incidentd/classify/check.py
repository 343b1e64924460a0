"""What a table says that can't be meant: rows that nothing reaches, and what is sound yet hardly wanted."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from incidentd.classify.condition import VALUE
from incidentd.classify.destination import DestinationSpec
from incidentd.classify.matcher import Matcher
from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.classify.table import Table
from incidentd.drill import whose
from incidentd.errors import Fault
from incidentd.policy import Policy, TierPolicy

DESTINATIONS = "destinations.yaml"
_ALERTNAME = "alertname"
_MOST_MATCHERS = 8


@dataclass(frozen=True, slots=True)
class Check:
    """A sound table at a glance. ``warnings`` include those that depend on which variables are set."""

    version: str
    rows: Mapping[str, int]
    policies: tuple[str, ...]
    destinations: tuple[str, ...]
    missing: tuple[str, ...]
    warnings: tuple[Fault, ...]
    heartbeats: tuple[str, ...] = ()
    drills: tuple[str, ...] = ()


def check(rules: Rules, variables: Collection[str] = ()) -> Check:
    """What there is, and what should be looked at. ``variables`` are the names that are set in the environment."""
    resolved = shared_keys(rules.policies, rules.destinations, variables)
    further = [fault for fault in resolved if fault not in rules.warnings]
    further += differing_limits(rules.destinations, variables)
    return Check(
        version=rules.version,
        rows={name: len(table.rows) for name, table in rules.tables.items()},
        policies=tuple(rules.policies),
        destinations=tuple(rules.destinations),
        missing=tuple(name for name, spec in rules.destinations.items() if spec.lacks(variables)),
        warnings=(*rules.warnings, *further),
        heartbeats=tuple(rules.heartbeats),
        drills=tuple(f"{name} ({whose(each.tier, each.system)}, {each.shown})" for name, each in rules.drills.items()),
    )


def unreachable(rows: Iterable[Row]) -> Iterator[Fault]:
    """Rows whose every alert an earlier row takes."""
    earlier: dict[frozenset[Matcher], list[Row]] = defaultdict(list)
    for row in rows:
        taker = next((each for subset in _subsets(row) for each in earlier[subset] if _takes_all(each, row)), None)
        if taker:
            table, _, name = row.name.partition("/")
            yield Fault(f"{table}.yaml", row.line, name, f"is never reached: row {taker.name} takes all that it would")
        earlier[frozenset(row.matchers)].append(row)


def warnings(
    tables: Iterable[Table], policies: Mapping[str, Policy], destinations: Mapping[str, DestinationSpec]
) -> Iterator[Fault]:
    """What is sound, yet hardly meant."""
    for table in tables:
        yield from _changing_values(table)
        yield from _without_example(table)
    yield from shared_keys(policies, destinations, ())


def shared_keys(
    policies: Mapping[str, Policy], destinations: Mapping[str, DestinationSpec], variables: Collection[str]
) -> Iterator[Fault]:
    """Levels that page with one routing key: PagerDuty would group them, or stay silent at the higher one (model 34).

    The key of a destination is its first variable that is set, else its first one.
    """
    pairs = {
        pair
        for policy in policies.values()
        for tier in policy.tiers.values()
        for pair in _pages_of_levels(tier, policy)
    }
    for first, second in sorted(pairs):
        key = _variable(destinations[second], variables)
        if first != second and _variable(destinations[first], variables) == key:
            cause = f"{first} and {second} page at different levels with one routing key, {key}: give each its own"
            yield Fault(DESTINATIONS, destinations[second].line, second, cause)
        elif first == second:
            cause = f"pages at two levels with one routing key, {key}: give each level a destination of its own"
            yield Fault(DESTINATIONS, destinations[second].line, second, cause)


def differing_limits(destinations: Mapping[str, DestinationSpec], variables: Collection[str]) -> Iterator[Fault]:
    """Pages of one routing key share one limit: where two destinations differ in it, whoever sends last counts."""
    pages = [spec for spec in destinations.values() if spec.pages]
    for first, second in combinations(pages, 2):
        key = _variable(second, variables)
        limits = [(spec.per_minute, spec.burst) for spec in (first, second)]
        if key and key == _variable(first, variables) and limits[0] != limits[1]:
            cause = (
                f"{first.name} and {second.name} have one routing key, {key}, and different limits: give them the same"
            )
            yield Fault(DESTINATIONS, second.line, second.name, cause)


def _subsets(row: Row) -> Iterator[frozenset[Matcher]]:
    if len(row.matchers) > _MOST_MATCHERS:
        yield frozenset(row.matchers)
        return
    for size in range(len(row.matchers) + 1):
        for chosen in combinations(row.matchers, size):
            yield frozenset(chosen)


def _takes_all(earlier: Row, later: Row) -> bool:
    return all(any(mine.implies(theirs) for mine in later.conditions) for theirs in earlier.conditions)


def _changing_values(table: Table) -> Iterator[Fault]:
    """Pairs of rows that one alert could move between by its value, of which Alertmanager would not tell (model 10)."""
    groups: dict[frozenset[Matcher], list[Row]] = defaultdict(list)
    for row in table.rows:
        if any(condition.operand == VALUE for condition in row.conditions):
            groups[frozenset(row.matchers)].append(row)
    names = _alertnames(table)
    for group in groups.values():
        for first, second in combinations(group, 2):
            if not (names[first.name] and names[second.name]) or names[first.name] & names[second.name]:
                short = first.name.partition("/")[2]
                cause = (
                    f"differs from row {short} by the value alone: Alertmanager does not tell when a value changes; "
                    "let each threshold be an alert rule with an alertname of its own, and show both in the examples"
                )
                yield Fault(f"{table.name}.yaml", second.line, second.name.partition("/")[2], cause)


def _alertnames(table: Table) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for example in table.examples:
        if name := example.labels.get(_ALERTNAME):
            found[example.row].add(name)
    return found


def _without_example(table: Table) -> Iterator[Fault]:
    shown = {example.row for example in table.examples}
    for row in table.rows:
        if row.name not in shown:
            yield Fault(f"{table.name}.yaml", row.line, row.name.partition("/")[2], "has no example")


def _pages_of_levels(tier: TierPolicy, policy: Policy) -> Iterator[tuple[str, str]]:
    pages = [[name for name in level.tell if name in policy.pages] for level in tier.levels]
    for lower, higher in combinations(pages, 2):
        yield from ((first, second) for first in lower for second in higher)


def _variable(spec: DestinationSpec, variables: Collection[str]) -> str:
    return next((name for name in spec.secret_names if name in variables), "") or next(iter(spec.secret_names), "")
