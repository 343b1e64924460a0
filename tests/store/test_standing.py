"""How things stand, and the lists of incidents: right, and by an index however many incidents there ever were."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from incidentd.incident.state import Incident, State
from incidentd.store import cursors, cycles, incidents, query, rules, standing
from incidentd.store.engine import Store
from incidentd.store.query import Filter, Position
from incidentd.tier import Tier
from tests.store.row import MARK, NOW, SECOND, incident, minutes, slot

MANY = 4000
PAGED = slot("page-oncall", "e1.r1.l1", paging=True)
OPEN, RESOLVED, BEHIND, WAKE = (
    "ix_incidents_open", "ix_incidents_resolved", "ix_cursors_behind", "ix_incidents_wake_at",
)  # fmt: skip


def over(name: str) -> Incident:
    return replace(incident(name), resolved_at=NOW, next_at=None)


def keep(store: Store, *kept: Incident) -> None:
    store.write(lambda tx: incidents.insert(tx, kept))


def stands(store: Store) -> standing.Standing:
    return store.read(lambda tx: standing.read(tx, NOW))


def test_open_incidents_count_by_tier_and_state_and_resolved_ones_do_not(store: Store) -> None:
    acknowledged = replace(incident("c"), recovering_at=NOW, hold_until=minutes(5))
    keep(store, incident("a"), incident("b", tier=Tier.P2), acknowledged, over("d"))
    counted = stands(store).open
    assert {pair: count for pair, count in counted.items() if count} == {
        (Tier.P0, State.TRIGGERED): 1,
        (Tier.P2, State.TRIGGERED): 1,
        (Tier.P0, State.RECOVERING): 1,
    }
    assert len(counted) == len(Tier) * 3


def test_an_empty_database_has_nothing_overdue_and_no_cycle(store: Store) -> None:
    found = stands(store)
    assert (found.page_waits, found.overdue, found.cycle_age, found.rules_version) == (timedelta(0), 0, None, None)


def test_the_oldest_page_that_is_still_needed_waits(store: Store) -> None:
    keep(store, incident("needed"), incident("newer"), over("over"), incident("told"))

    def write(tx: Connection) -> None:
        for name, behind in (("needed", 40), ("newer", 10), ("over", 90)):
            cursors.open_slots(tx, [(name, Tier.P0, PAGED)], NOW - behind * SECOND)
        cursors.open_slots(tx, [("told", Tier.P0, slot())], NOW - 99 * SECOND)

    store.write(write)
    assert stands(store).page_waits == 40 * SECOND


def test_a_page_on_its_way_waits_for_no_time_yet(store: Store) -> None:
    keep(store, incident("fresh"))
    store.write(lambda tx: cursors.open_slots(tx, [("fresh", Tier.P0, PAGED)], NOW + MARK))
    assert stands(store).page_waits == timedelta(0)


def test_what_was_due_a_minute_ago_is_overdue(store: Store) -> None:
    keep(
        store, *(incident(name, next_at=NOW - late * SECOND, respond_by=None) for name, late in (("a", 61), ("b", 59)))
    )
    assert stands(store).overdue == 1


def test_the_newest_cycle_and_the_table_in_force_are_told(store: Store) -> None:
    store.write(lambda tx: cycles.beat(tx, "one", NOW - 7 * SECOND))
    store.write(lambda tx: cycles.beat(tx, "other", NOW - 3 * SECOND))
    store.write(lambda tx: cycles.touch(tx, NOW))
    for version in ("old", "new"):
        store.write(partial(rules.put_in_force, version=version, texts={}, now=NOW))
    found = stands(store)
    assert (found.cycle_age, found.rules_version) == (3 * SECOND, "new")


LOOKUPS: dict[str, tuple[Callable[[Connection], object], set[str]]] = {
    "how things stand": (lambda tx: standing.read(tx, NOW), {OPEN, BEHIND, WAKE}),
    "open by tier": (query.open_by_tier, {OPEN}),
    "the list": (lambda tx: query.by_urgency(tx, Filter(), 20), {OPEN}),
    "a later page": (lambda tx: query.by_urgency(tx, Filter(), 20, Position(False, Tier.P0, 1)), {OPEN}),
    "acknowledged ones": (lambda tx: query.by_urgency(tx, Filter(frozenset({State.ACKNOWLEDGED})), 20), {OPEN}),
    "P0 of one day": (
        lambda tx: query.by_urgency(tx, Filter(tiers=frozenset({Tier.P0}), since=NOW, until=minutes(9)), 20),
        {OPEN},
    ),
    "one system's": (lambda tx: query.by_urgency(tx, Filter(system="rare"), 2000), {OPEN, RESOLVED}),
    "one system's resolved": (
        lambda tx: query.by_urgency(tx, Filter(frozenset({State.RESOLVED}), system="rare"), 20),
        {RESOLVED},
    ),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_look_up_reads_by_its_index_and_sorts_nothing(full_store: Store, name: str) -> None:
    look_up, expected = LOOKUPS[name]
    plan = _plan(full_store, look_up)
    assert (plan.indexes & {OPEN, RESOLVED, BEHIND, WAKE}, plan.whole, plan.sorts) == (expected, set(), False)


def test_resolved_ones_come_newest_first_without_sorting(full_store: Store) -> None:
    for after in (None, Position(True, Tier.P1, 300)):
        assert not _plan(full_store, partial(query.by_urgency, wanted=_OVER, limit=20, after=after)).sorts


def test_a_look_up_without_an_index_would_be_noticed(full_store: Store) -> None:
    plan = _plan(full_store, lambda tx: tx.exec_driver_sql("SELECT id FROM incidents ORDER BY title").all())
    assert (plan.whole, plan.sorts) == ({"incidents"}, True)


_OVER = Filter(frozenset({State.RESOLVED}))


def _nth(number: int) -> Incident:
    """One in ten is open, one in fifty of a rare system."""
    tiers = list(Tier)
    changes = {"tier": tiers[number % len(tiers)], "system": "rare" if number // 10 % 50 == 0 else "avalo"}
    kept = incident("core", **changes)
    return kept if number % 10 == 0 else replace(kept, resolved_at=NOW, next_at=None)


@pytest.fixture
def full_store(store: Store) -> Store:
    def fill(tx: Connection) -> None:
        incidents.insert(tx, [replace(_nth(n), id=f"r{n}", key=f"avalo/r{n}") for n in range(MANY)])
        cursors.open_slots(tx, [(f"r{n}", Tier.P0, PAGED if n % 2 else slot()) for n in range(MANY)], minutes(5))

    store.write(fill)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return store


@dataclass(slots=True)
class Plan:
    """What the database would do: indexes read, tables read from end to end, and whether it would sort rows."""

    indexes: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    sorts: bool = False

    def add_sqlite(self, step: str) -> None:
        """``SEARCH incidents USING INDEX ix_incidents_open (tier=?)``, ``SCAN incidents``, ``USE TEMP B-TREE …``."""
        words = step.split()
        self.sorts |= "TEMP B-TREE" in step
        if "INDEX" in words:
            self.indexes.add(words[words.index("INDEX") + 1])
        elif words[0] == "SCAN" and "CONSTANT" not in words:
            self.whole.add(words[1])

    def add_postgres(self, node: Mapping[str, Any]) -> None:
        """A reading of the whole primary key is one of the whole table."""
        index = node.get("Index Name", "")
        self.sorts |= "Sort" in node["Node Type"]
        if index and not (index.endswith("_pkey") and "Index Cond" not in node):
            self.indexes.add(index)
        elif "Relation Name" in node:
            self.whole.add(node["Relation Name"])
        for below in node.get("Plans", ()):
            self.add_postgres(below)


def _plan(store: Store, look_up: Callable[[Connection], object]) -> Plan:
    with _sent(store.engine) as statements:
        store.read(look_up)
    assert statements
    plan = Plan()
    for statement, values in statements:
        store.read(partial(_explain, plan=plan, statement=statement, values=values))
    return plan


def _explain(tx: Connection, plan: Plan, statement: str, values: Any) -> None:
    if tx.dialect.name == "sqlite":
        for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
            plan.add_sqlite(row[3])
        return
    # A table of this size may better be read as a whole; what counts is whether it must.
    for way in ("seqscan", "bitmapscan"):
        tx.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    plan.add_postgres(tx.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()[0]["Plan"])


@contextmanager
def _sent(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if "FROM incidents" in statement or "FROM cursors" in statement:
            sent.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
