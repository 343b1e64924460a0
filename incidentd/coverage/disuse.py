"""What nothing uses: rows, destinations, policies, and objectives that no alert looks after."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from incidentd.classify.example import run_examples
from incidentd.classify.index import build_index
from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.classify.table import DEFAULT_POLICY, SLO, SYSTEM
from incidentd.coverage.case import Case, Outcome
from incidentd.coverage.domain import ANYTHING, all_of
from incidentd.coverage.finding import Finding, Kind
from incidentd.errors import Fault
from incidentd.objective import Objective
from incidentd.policy import Policy

_ALWAYS_USED = (DEFAULT_POLICY, "internal")


def disused(
    rules: Rules, outcomes: Iterable[Outcome], served: Iterable[tuple[Case, str]], objectives: Iterable[Objective]
) -> Iterator[Finding]:
    """All of it, in the order: rows, destinations, policies, objectives."""
    yield from hidden_rows(rules)
    yield from _dead_rows(rules, outcomes)
    yield from _destinations(rules)
    yield from _objectives(rules, list(served), list(objectives))


def hidden_rows(rules: Rules) -> Iterator[Finding]:
    """Rows of which an earlier one takes every alert, though it asks in other words (``=~"a|b"`` before ``="a"``)."""
    index = build_index(rules.rows, SYSTEM)
    for place, row in enumerate(rules.rows):
        known = all_of(row.matchers)
        labels = {
            name: next(iter(each.values)) for name, each in known.items() if each.values and len(each.values) == 1
        }
        for earlier in index.candidates(labels):
            if earlier.place < place and _takes_all(earlier.row, row):
                cause = f"is never reached: row {earlier.row.name} takes all that it would"
                yield Finding(Kind.HIDDEN_ROW, _place(row, cause))
                break


def _takes_all(earlier: Row, later: Row) -> bool:
    known = all_of(later.matchers)
    return all(known.get(each.label, ANYTHING).answer(each) is True for each in earlier.matchers) and all(
        any(mine.implies(theirs) for mine in later.conditions) for theirs in earlier.conditions
    )


def _dead_rows(rules: Rules, outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    reached = {row.name for each in outcomes for row in each.rows}
    reached |= {result.verdict.row for result in run_examples(rules)}
    for row in rules.rows:
        if row.name not in reached:
            yield Finding(Kind.DEAD_ROW, _place(row, "is dead: none of the alerts, and no example, comes to it"))


def _destinations(rules: Rules) -> Iterator[Finding]:
    policies = {
        *_ALWAYS_USED,
        *(row.policy for row in rules.rows),
        *(table.policy for table in rules.tables.values()),
        *(spec.policy for spec in rules.heartbeats.values()),
    }
    told = {name for each in policies for name in _told(rules.policies[each])}
    told |= {name for row in rules.rows for name in row.destinations}
    told |= {name for table in rules.tables.values() for name in table.destinations}
    told |= {name for spec in rules.heartbeats.values() for name in spec.destinations}
    # Only pages fall back.
    told |= {
        spec.fallback for name, spec in rules.destinations.items() if spec.pages and spec.fallback and name in told
    }
    for name, spec in rules.destinations.items():
        if name not in told:
            cause = "is told nothing: no policy in use, no row and no table names it"
            yield Finding(Kind.UNUSED_DESTINATION, Fault("destinations.yaml", spec.line, name, cause))
    for name in rules.policies:
        if name not in policies:
            cause = "is followed by nothing: no row, table or heartbeat names this policy"
            yield Finding(Kind.UNUSED_POLICY, Fault("escalation.yaml", 0, name, cause))


def _told(policy: Policy) -> Iterator[str]:
    for tier in policy.tiers.values():
        yield from tier.opening
        for level in tier.levels:
            yield from level.tell


def _objectives(rules: Rules, served: list[tuple[Case, str]], objectives: list[Objective]) -> Iterator[Finding]:
    places = {
        (table.system, slo): Fault(f"{table.name}.yaml", 0, slo, "")
        for table in rules.tables.values()
        for slo in table.objectives
        if table.system
    }
    places |= {(each.service, each.name): Fault(each.file, each.line, each.name, "") for each in objectives}
    silent: dict[str, list[Fault]] = defaultdict(list)
    for (system, slo), place in places.items():
        if not any(_is_for(case, system, slo) for case, _ in served):
            silent[system].append(place)
    for system, found in silent.items():
        for place in found:
            cause = f"no alert looks after this objective of {system}"
            yield Finding(Kind.SILENT_OBJECTIVE, Fault(place.file, place.line, place.row, cause))


def _is_for(case: Case, system: str, slo: str) -> bool:
    """Whether the alert fires for this objective; of an alert that names no system nothing is taken."""
    systems, slos = (case.domain(label, further=True).values for label in (SYSTEM, SLO))
    return systems is not None and system in systems and (slos is None or slo in slos)


def _place(row: Row, cause: str) -> Fault:
    table, _, name = row.name.partition("/")
    return Fault(f"{table}.yaml", row.line, name, cause)
