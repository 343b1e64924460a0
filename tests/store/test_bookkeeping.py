"""Buckets, timekeepers' cycles, rules tables, signatures, what was set aside, and attempts to deliver."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE, Slot
from incidentd.store import buckets, cursors, cycles, deliveries, incidents, intake, overdue, query, rules
from incidentd.store.buckets import Bucket
from incidentd.store.deliveries import Delivery, Outcome
from incidentd.store.engine import Store
from incidentd.store.tables import CYCLES, RULES, SEEN, SET_ASIDE
from incidentd.timeline import Resolved
from tests.store.row import NOW, PAGE_SLOT, SECOND, minutes, open_cursors, open_incident, slot, then


def test_a_bucket_keeps_its_level(store: Store) -> None:
    full = Bucket("slack:#incidents", 9.5, NOW, per_minute=60, burst=10)
    used = replace(full, level=8.25, at=minutes(1), next_at=minutes(2))
    assert store.read(lambda tx: buckets.lock(tx, ["slack:#incidents"])) == {}
    store.write(lambda tx: buckets.write(tx, full, first=True))
    store.write(lambda tx: buckets.write(tx, used))
    assert store.read(lambda tx: buckets.lock(tx, ["slack:#incidents"])) == {"slack:#incidents": used}


def test_senders_at_once_share_one_bucket(store: Store, open_store: Callable[[], Store]) -> None:
    start = Barrier(4)

    def take(mine: Store) -> None:
        start.wait()

        def work(tx: Connection) -> None:
            before = buckets.lock(tx, ["shared"]).get("shared")
            level = before.level if before else 10.0
            buckets.write(tx, Bucket("shared", level - 1, NOW, 60, 10), first=before is None)

        mine.write(work)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, [store, *(open_store() for _ in range(3))]))
    assert store.read(lambda tx: buckets.lock(tx, ["shared"])) == {"shared": Bucket("shared", 6.0, NOW, 60, 10)}


def test_the_newest_full_cycle_of_any_timekeeper_counts(store: Store) -> None:
    assert _last_cycle(store) is None
    for name, at in (("first", 1), ("second", 3), ("first", 2)):
        store.write(partial(cycles.beat, name=name, now=minutes(at)))
    assert _last_cycle(store) == minutes(3)


def test_a_timekeeper_that_died_with_its_clock_ahead_hides_nothing(store: Store) -> None:
    store.write(lambda tx: cycles.beat(tx, "ahead", minutes(600)))
    assert _last_cycle(store) is None
    store.write(lambda tx: cycles.beat(tx, "right", minutes(4)))
    assert _last_cycle(store) == minutes(4)


def test_timekeepers_long_gone_are_dropped(store: Store) -> None:
    store.write(lambda tx: cycles.beat(tx, "gone", NOW))
    store.write(lambda tx: cycles.beat(tx, "new", NOW + cycles.KEPT + SECOND))
    assert store.read(lambda tx: list(tx.scalars(sa.select(CYCLES.c.name)))) == ["new"]


def test_looking_whether_the_database_can_be_written_writes_one_row_that_is_no_cycle(store: Store) -> None:
    for at in (0, 1):
        store.write(partial(cycles.touch, now=minutes(at)))
    assert store.read(lambda tx: list(tx.scalars(sa.select(CYCLES.c.at)))) == [minutes(1)]
    assert _last_cycle(store) is None


def test_what_was_due_and_still_is_counts_as_overdue(store: Store) -> None:
    open_incident(store, respond_by=None)
    open_cursors(store, ["core"], due_at=minutes(7))
    counted = [store.read(partial(overdue.read, now=minutes(at + 1))).count for at in (5, 6, 7, 8)]
    assert counted == [0, 1, 1, 2]


def test_a_page_that_is_tried_again_and_again_stays_overdue(store: Store) -> None:
    open_incident(store, next_at=None, respond_by=None)
    open_cursors(store, ["core"], due_at=NOW)
    store.write(lambda tx: cursors.mark_due(tx, minutes(1), 3 * SECOND, 9))
    store.write(lambda tx: cursors.postpone(tx, cursors.claimable(tx, ["core"], PAGE, minutes(1), 9), minutes(2)))
    found = store.read(partial(overdue.read, now=minutes(1) + SECOND))
    assert (found.count, found.untried) == (1, {PAGE_SLOT.destination: 1})


@pytest.mark.parametrize(
    ("queue_of", "over"), [(slot(), None), (PAGE_SLOT, NOW)], ids=["a post", "the page of an incident that is over"]
)
def test_no_page_is_overdue_where_only_this_is(store: Store, queue_of: Slot, over: datetime | None) -> None:
    made = open_incident(store, next_at=None, respond_by=None)
    if over:
        ended, _ = then(made, Resolved(by_person=False))
        store.write(lambda tx: incidents.update(tx, [(made.last, ended)]))
    open_cursors(store, ["core"], queue_of, due_at=NOW)
    assert store.read(partial(overdue.read, now=minutes(10))).count == 0


def test_a_table_is_kept_once_and_each_change_of_the_one_in_force_is_known(store: Store) -> None:
    for version in ("one", "two", "two", "one"):
        store.write(partial(rules.put_in_force, version=version, texts={"tiers.yaml": version}, now=NOW))
    assert store.read(rules.in_force) == "one"
    assert store.read(lambda tx: rules.files(tx, "two")) == {"tiers.yaml": "two"}
    assert store.read(lambda tx: rules.files(tx, "three")) is None
    assert store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(RULES))) == 2


def test_a_signed_request_is_known_again(store: Store) -> None:
    assert not store.read(lambda tx: intake.is_seen(tx, "v0=abc"))
    _remember(store, "v0=abc", 0)
    assert store.read(lambda tx: intake.is_seen(tx, "v0=abc"))


def test_signatures_are_forgotten_when_they_are_not_valid_any_more(store: Store) -> None:
    _remember(store, "v0=abc", 0)
    _remember(store, "v0=def", 16)
    assert store.read(lambda tx: list(tx.scalars(sa.select(SEEN.c.signature)))) == ["v0=def"]
    assert timedelta(minutes=5) < intake.SIGNATURES_KEPT


def test_what_can_not_be_understood_is_kept_byte_by_byte(store: Store) -> None:
    body = bytes(range(256))
    store.write(lambda tx: intake.set_aside(tx, [("10.0.0.1", "labels", body)], NOW))
    row = store.read(lambda tx: tx.execute(sa.select(SET_ASIDE)).one())
    assert (row.at, row.source, row.reason, row.body) == (NOW, "10.0.0.1", "labels", body)


def test_one_body_of_a_source_and_reason_is_kept_an_hour(store: Store) -> None:
    heard = [("a", "labels", b"1"), ("a", "labels", b"2"), ("a", "truncated", b"3"), ("b", "labels", b"4")]
    for minute in (0, 59, 60):
        store.write(partial(intake.set_aside, rows=heard, now=minutes(minute)))
    kept = store.read(lambda tx: tx.execute(sa.select(SET_ASIDE.c.at, SET_ASIDE.c.body)).all())
    bodies = (b"1", b"3", b"4")
    assert sorted(map(tuple, kept)) == [(minutes(at), body) for at in (0, 60) for body in bodies]


def test_what_was_set_aside_is_forgotten_after_thirty_days(store: Store) -> None:
    for day in (0, 29, 31):
        store.write(partial(intake.set_aside, rows=[("a", "labels", b"x")], now=NOW + timedelta(days=day)))
    kept = store.read(lambda tx: list(tx.scalars(sa.select(SET_ASIDE.c.at).order_by(SET_ASIDE.c.at))))
    assert kept == [NOW + timedelta(days=29), NOW + timedelta(days=31)]


def test_every_attempt_to_deliver_is_kept_in_its_order(store: Store) -> None:
    tried = [
        Delivery("core", "incidents", "e1", 3, attempt, NOW, minutes(attempt), outcome, f"try {attempt}")
        for attempt, outcome in ((1, Outcome.FAILED), (2, Outcome.ACCEPTED))
    ]
    store.write(lambda tx: deliveries.insert(tx, tried))
    assert store.read(lambda tx: query.deliveries(tx, "core", 10)) == tried
    assert store.read(lambda tx: query.deliveries(tx, "core", 1)) == tried[1:]


def _last_cycle(store: Store) -> datetime | None:
    return store.read(lambda tx: cycles.last(tx, minutes(5)))


def _remember(store: Store, signature: str, minute: float) -> None:
    store.write(lambda tx: intake.remember(tx, signature, minutes(minute)))
