"""Incident rows and their entries: one for each key, one writer for each version, due ones marked once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.errors import ConflictError
from incidentd.incident.apply import fold
from incidentd.incident.state import Incident
from incidentd.lifecycle.ticker import LET_ALONE
from incidentd.store import entries, incidents
from incidentd.store.engine import Store
from incidentd.store.tables import INCIDENTS
from incidentd.tier import Tier
from incidentd.timeline import Acknowledged, Entry, Resolved
from tests.store.row import NOW, incident, minutes, note, open_incident, then

MARK = timedelta(seconds=1)


def test_what_was_stored_comes_back_as_it_was(store: Store) -> None:
    before = open_incident(store, origin=NOW - timedelta(microseconds=1))
    after, entry = then(before, Acknowledged("slack", minutes(30), True), "anna 🚒 \u202e")
    store.write(lambda tx: _save(tx, before.last, after, entry))
    number, found = store.read(lambda tx: incidents.load(tx, ["core"]))["core"]
    assert (number, found) == (1, after)
    assert fold(store.read(lambda tx: entries.load(tx, "core"))) == after


def test_numbers_are_given_in_the_order_of_opening(store: Store) -> None:
    for name in ("zulu", "alfa"):
        open_incident(store, name)
    found = store.read(lambda tx: incidents.load(tx, ["alfa", "zulu", "nobody"]))
    assert {name: number for name, (number, _) in found.items()} == {"zulu": 1, "alfa": 2}


def test_a_write_on_an_outdated_version_conflicts_and_leaves_nothing(store: Store) -> None:
    before = open_incident(store)
    after, entry = note(before)
    store.write(lambda tx: _save(tx, before.last, after, entry))
    with pytest.raises(ConflictError):
        store.write(lambda tx: incidents.update(tx, [(before.last, after)]))
    assert [each.number for each in store.read(lambda tx: entries.load(tx, "core"))] == [1, 2]


def test_one_outdated_incident_among_many_conflicts(store: Store) -> None:
    before = {name: open_incident(store, name) for name in ("one", "two")}
    store.write(lambda tx: incidents.update(tx, [(1, note(before["two"])[0])]))
    with pytest.raises(ConflictError):
        store.write(lambda tx: incidents.update(tx, [(1, note(each)[0]) for each in before.values()]))
    assert store.read(lambda tx: incidents.load(tx, ["one"]))["one"][1].last == 1


def test_a_number_of_a_timeline_is_given_once(store: Store) -> None:
    before = open_incident(store)
    _, entry = note(before)
    store.write(lambda tx: entries.insert(tx, [("core", entry)]))
    with pytest.raises(ConflictError):
        store.write(lambda tx: entries.insert(tx, [("core", entry)]))


def test_two_writers_on_one_key_open_one_incident(store: Store, open_store: Callable[[], Store]) -> None:
    start = Barrier(2)

    def open_it(mine: Store, name: str) -> str:
        start.wait()

        def work(tx: Connection) -> str:
            held = incidents.lock(tx, keys=["avalo/core"])
            if not held:
                incidents.insert(tx, [incident(name, key="avalo/core")])
            return held[0].incident.id if held else name

        return mine.write(work)

    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(open_it, [store, open_store()], ["first", "second"]))
    assert len(set(opened)) == 1
    assert store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(INCIDENTS))) == 1


def test_a_released_key_can_be_held_by_another_while_both_incidents_stay(store: Store) -> None:
    open_incident(store, "old", key="avalo/core")

    def supersede(tx: Connection) -> None:
        incidents.release(tx, ["old"])
        incidents.insert(tx, [incident("new", key="avalo/core")])

    store.write(supersede)
    held = store.read(lambda tx: incidents.lock(tx, ids=["old"], keys=["avalo/core"]))
    assert [(each.incident.id, each.holds) for each in held] == [("new", True), ("old", False)]


def test_due_incidents_come_most_urgent_first_then_the_oldest(store: Store) -> None:
    for name, tier, due in (("p3", Tier.P3, 1), ("late", Tier.P0, 2), ("p1", Tier.P1, 1), ("early", Tier.P0, 1)):
        open_incident(store, name, tier=tier, next_at=minutes(due), respond_by=None)
    assert store.write(lambda tx: incidents.mark_due(tx, minutes(2), MARK, 3)) == ["early", "late", "p1"]
    assert store.write(lambda tx: incidents.mark_due(tx, minutes(2), MARK, 3)) == ["p3"]


def test_what_is_not_due_is_not_marked(store: Store) -> None:
    open_incident(store, next_at=minutes(5), respond_by=None)
    just_before = minutes(5) - timedelta(microseconds=1)
    assert not store.read(lambda tx: incidents.any_due(tx, just_before, MARK))
    assert store.write(lambda tx: incidents.mark_due(tx, just_before, MARK, 10)) == []
    assert store.read(lambda tx: incidents.any_due(tx, minutes(5), MARK))


def test_a_due_incident_is_marked_once_within_the_mark_and_again_after_it(store: Store) -> None:
    open_incident(store, respond_by=None)
    due = minutes(5)
    for at, found in ((due, ["core"]), (due + MARK - timedelta(microseconds=1), []), (due + MARK, ["core"])):
        assert store.read(partial(incidents.any_due, now=at, mark=MARK)) == bool(found)
        assert store.write(partial(incidents.mark_due, now=at, mark=MARK, limit=10)) == found


def test_a_mark_that_a_clock_set_before_it_went_back_holds_up_no_deadline(store: Store) -> None:
    open_incident(store, respond_by=None)
    store.write(partial(incidents.mark_due, now=minutes(65), mark=MARK, limit=10))
    assert store.read(partial(incidents.any_due, now=minutes(5), mark=MARK))
    assert store.write(partial(incidents.mark_due, now=minutes(5), mark=MARK, limit=10)) == ["core"]


def test_what_is_let_alone_is_not_due_until_then(store: Store) -> None:
    open_incident(store, respond_by=None)
    store.write(partial(incidents.let_alone, incident_id="core", until=minutes(5) + LET_ALONE))
    assert not store.read(partial(incidents.any_due, now=minutes(5), mark=MARK))


def test_many_timekeepers_at_once_mark_each_due_incident_once(store: Store, open_store: Callable[[], Store]) -> None:
    def fill(tx: Connection) -> None:
        incidents.insert(tx, [incident(f"i{number:03}", respond_by=None) for number in range(200)])

    store.write(fill)
    start = Barrier(4)

    def keep_time(mine: Store) -> list[str]:
        start.wait()
        return mine.write(lambda tx: incidents.mark_due(tx, minutes(6), MARK, 500))

    with ThreadPoolExecutor(4) as pool:
        marked = [name for names in pool.map(keep_time, [open_store() for _ in range(4)]) for name in names]
    assert sorted(marked) == [f"i{number:03}" for number in range(200)]


def test_a_change_takes_the_mark_away(store: Store) -> None:
    """Else what a late tick makes due again at once would wait for the mark's end."""
    before = open_incident(store, respond_by=None)
    store.write(lambda tx: incidents.mark_due(tx, minutes(5), MARK, 10))
    store.write(lambda tx: incidents.update(tx, [(1, note(before)[0])]))
    assert store.read(lambda tx: incidents.any_due(tx, minutes(5), MARK))


def test_a_resolved_incident_is_never_due(store: Store) -> None:
    before = open_incident(store)
    store.write(lambda tx: incidents.update(tx, [(1, then(before, Resolved(by_person=False))[0])]))
    assert not store.read(lambda tx: incidents.any_due(tx, minutes(9_999), MARK))


def test_entries_are_read_from_the_one_after_a_number_for_each_incident(store: Store) -> None:
    for name in ("one", "two"):
        state = open_incident(store, name)
        for _ in range(3):
            state, entry = note(state)
            store.write(partial(entries.insert, entries=[(name, entry)]))
    found = store.read(lambda tx: entries.load_after(tx, {"one": 1, "two": 3, "nobody": 0}))
    assert {name: [entry.number for entry in some] for name, some in found.items()} == {"one": [2, 3, 4], "two": [4]}


def _save(tx: Connection, read: int, after: Incident, entry: Entry) -> None:
    incidents.update(tx, [(read, after)])
    entries.insert(tx, [(after.id, entry)])
