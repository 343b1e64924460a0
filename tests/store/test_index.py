"""What is looked up several times a second, or for each webhook, is found by an index in a full table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from incidentd.incident.slot import PAGE
from incidentd.reaction import Did, Reaction
from incidentd.store import (
    alerts,
    cursors,
    entries,
    hearings,
    heartbeats,
    incidents,
    intake,
    line,
    overdue,
    reactions,
    reception,
    sightings,
)
from incidentd.store.engine import Store
from incidentd.store.heartbeats import Heartbeat
from incidentd.store.tables import ALERTS, CURSORS, ENTRIES, HEARTBEATS, INCIDENTS, REACTIONS
from incidentd.tier import Tier
from tests.store.row import NOW, SECOND, alert, episode, incident, minutes, opening, slot

MANY = 3_000
LATER = minutes(600)
# What a statement says itself, and what it has found before.
_NO_TABLES = ("CONSTANT ROW", "SCAN due")
KEYS = [f"avalo/i{number}" for number in range(20)]
IDS = [f"i{number}" for number in range(20)]
FINGERPRINTS = [f"{number:016x}" for number in range(20)]
TABLES = (INCIDENTS, CURSORS, ALERTS, ENTRIES, HEARTBEATS, REACTIONS)

LOOKUPS: dict[str, Callable[[Connection], object]] = {
    "whether any incident is due": lambda tx: incidents.any_due(tx, NOW, SECOND),
    "due incidents": lambda tx: incidents.mark_due(tx, NOW, SECOND, 100),
    "whether any cursor is due": lambda tx: cursors.any_due(tx, NOW),
    "due cursors": lambda tx: cursors.mark_due(tx, NOW, SECOND, 100),
    "cursors due later than any can be": lambda tx: cursors.bring_back(tx, LATER, NOW),
    "whether there are such": lambda tx: cursors.any_beyond(tx, LATER),
    "what is overdue": lambda tx: overdue.read(tx, NOW),
    "whether destinations have an incident": lambda tx: incidents.holding(tx, KEYS),
    "incidents by key": lambda tx: incidents.lock(tx, keys=KEYS),
    "incidents by key and id": lambda tx: incidents.lock(tx, ids=IDS, keys=KEYS),
    "latest alerts": lambda tx: alerts.latest(tx, FINGERPRINTS),
    "alerts of incidents": lambda tx: alerts.of_incidents(tx, IDS, 20),
    "cursors of a job": lambda tx: cursors.claimable(tx, IDS, PAGE, NOW, 32),
    "news of incidents": lambda tx: cursors.wake(tx, dict.fromkeys(IDS, Tier.P0), NOW),
    "cursors of incidents whose tier changed": lambda tx: cursors.retier(tx, dict.fromkeys(IDS, Tier.P0)),
    "who leases": lambda tx: cursors.tokens(tx, cursors.look(tx, IDS, PAGE, LATER, 32)),
    "references": lambda tx: cursors.references(tx, [(id_, "incidents", "e1") for id_ in IDS]),
    "cards of earlier episodes": lambda tx: cursors.wake_older(tx, [(id_, "incidents", "e2") for id_ in IDS], NOW),
    "pages of earlier rounds": lambda tx: cursors.wake_pages(tx, [(id_, "e1.r2.l1") for id_ in IDS], NOW),
    "versions": lambda tx: incidents.versions(tx, IDS),
    "whom nobody has answered": lambda tx: incidents.triggered(tx, IDS),
    "who is called out of a line": lambda tx: line.call(tx, "pagerduty:one", 5, NOW),
    "whether a line is empty": lambda tx: line.is_empty(tx, "pagerduty:one"),
    "all who stand in a line": lambda tx: line.dissolve(tx, NOW),
    "entries after a number": lambda tx: entries.load_after(tx, dict.fromkeys(IDS, 0)),
    "whether any heartbeat is due": lambda tx: heartbeats.any_due(tx, NOW),
    "due heartbeats": lambda tx: heartbeats.due(tx, NOW),
    "heartbeats that are heard": lambda tx: heartbeats.lock(tx, KEYS),
    "incidents by their pages' keys": lambda tx: cursors.carrying(tx, KEYS),
    "reactions that nobody tells any more": lambda tx: reactions.keep(tx, reaction(MANY), LATER),
    "signatures that are not valid any more": lambda tx: intake.remember(tx, "v0=abc", LATER),
    "whether any reaction is due": lambda tx: reactions.any_due(tx, NOW),
    "due reactions": lambda tx: reactions.take(tx, NOW, LATER, 50),
    "whether a reaction is late": lambda tx: reactions.is_late(tx, reaction(1)),
    "the keys of a page": lambda tx: reactions.keys_of(tx, "Q1"),
    "entries after a number each": lambda tx: entries.load_after(tx, {id_: n for n, id_ in enumerate(IDS)}),
}


def reaction(number: int) -> Reaction:
    return Reaction(f"E{number}", Did.ACKNOWLEDGED, NOW, f"Q{number}", (f"incidentd:{number}",), "P1", "Ann")


LISTS: dict[str, Callable[[Connection], object]] = {
    "alerts that fire, as others told": sightings.firing,
    "incidents that nothing is heard of": lambda tx: hearings.silent(tx, NOW),
}
"""What reads all that is open, and of what is over nothing."""


def test_what_lists_all_that_is_open_does_not_read_all_alerts_there_ever_were(full_store: Store) -> None:
    scanned = {
        name: [scan for scan in _scans(full_store, look_up) if "alerts" in scan] for name, look_up in LISTS.items()
    }
    assert not any("SCAN alerts" in scan or "Seq Scan" in scan for scans in scanned.values() for scan in scans)


def test_no_look_up_reads_a_table_from_end_to_end(full_store: Store) -> None:
    scanned = {name: list(_scans(full_store, look_up)) for name, look_up in LOOKUPS.items()}
    assert {name: found for name, found in scanned.items() if found} == {}


def test_a_look_up_without_an_index_would_be_noticed(full_store: Store) -> None:
    assert list(_scans(full_store, lambda tx: tx.execute(sa.select(INCIDENTS).where(INCIDENTS.c.title == "x"))))


def test_what_waits_after_failed_attempts_is_found_among_what_is_behind(full_store: Store) -> None:
    with _statements(full_store.engine) as statements:
        full_store.read(reception.untold)
    begin = "EXPLAIN QUERY PLAN" if full_store.engine.dialect.name == "sqlite" else "EXPLAIN"
    for statement, parameters in statements:
        with full_store.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"{begin} {statement}", parameters).all()
        assert "ix_cursors_behind" in str(plan)


@pytest.mark.parametrize("systems", [[], ["avalo"], ["avalo", "other"]])
def test_for_whom_observing_has_ended_is_found_among_what_is_observed(full_store: Store, systems: list[str]) -> None:
    with _statements(full_store.engine) as statements:
        full_store.read(lambda tx: incidents.any_no_longer_observed(tx, systems, NOW, SECOND))
        full_store.write(lambda tx: incidents.mark_no_longer_observed(tx, systems, NOW, SECOND, 100))
    begin = "EXPLAIN QUERY PLAN" if full_store.engine.dialect.name == "sqlite" else "EXPLAIN"
    assert len(statements) == 2
    for statement, parameters in statements:
        with full_store.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"{begin} {statement}", parameters).all()
        assert "ix_incidents_observed" in str(plan)


def _scans(store: Store, look_up: Callable[[Connection], object]) -> Iterator[str]:
    with _statements(store.engine) as statements:
        store.write(look_up)
    assert statements
    for statement, parameters in statements:
        yield from _scanned(store, statement, parameters)


@pytest.fixture
def full_store(store: Store) -> Store:
    store.write(_fill)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return store


def _fill(tx: Connection) -> None:
    numbers = range(MANY)
    incidents.insert(tx, [incident(f"i{n}", next_at=LATER + n * SECOND, respond_by=None) for n in numbers])
    entries.insert(tx, [(f"i{n}", opening(f"i{n}")) for n in numbers])
    heartbeats.insert(tx, [Heartbeat.expected(f"h{n}", 3600 * SECOND, LATER + n * SECOND) for n in numbers])
    alerts.write(tx, [episode(alert(f"{n:016x}"), f"i{n}") for n in numbers], NOW)
    for number in numbers:
        reactions.keep(tx, reaction(number), LATER)
    for where in (slot(), slot("page-oncall", "e1.r1.l1", paging=True)):
        cursors.open_slots(tx, [(f"i{n}", Tier.P1, where) for n in numbers], LATER)
    tx.execute(sa.update(CURSORS).where(CURSORS.c.queue == PAGE).values(page_key=CURSORS.c.incident_id))


@contextmanager
def _statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent to the database, with one set of their parameters each."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if any(table.name in statement for table in TABLES):
            sent.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _scanned(store: Store, statement: str, parameters: Any) -> list[str]:
    """The tables that the statement reads as a whole."""
    if store.engine.dialect.name == "sqlite":
        plan = store.read(lambda tx: tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
        return [row[3] for row in plan if row[3].startswith("SCAN") and not any(name in row[3] for name in _NO_TABLES)]
    # A plan for a table of this size may prefer to read it all; what counts is whether it must.
    explain = f"EXPLAIN (FORMAT JSON) {statement}"

    def ask(tx: Connection) -> Any:
        tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return tx.exec_driver_sql(explain, parameters).scalar_one()

    return list(_whole(store.read(ask)))


def _whole(plan: Any) -> Iterator[str]:
    if isinstance(plan, list):
        for each in plan:
            yield from _whole(each)
    elif isinstance(plan, dict):
        kind = plan.get("Node Type", "")
        if "Scan" in kind and kind != "CTE Scan" and not plan.keys() & {"Index Cond", "Recheck Cond"}:
            yield f"{kind} {plan.get('Relation Name', '')}"
        for each in plan.values():
            yield from _whole(each)
