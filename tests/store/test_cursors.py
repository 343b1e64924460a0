"""Cursors: who may send, until when, and who may write what came of it (model 32, 36)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.errors import ConflictError
from incidentd.incident.slot import PAGE, TELL
from incidentd.store import cursors, incidents
from incidentd.store.cursors import Cursor, Settled
from incidentd.store.engine import Store
from incidentd.store.tables import CURSORS
from incidentd.tier import Tier
from incidentd.timeline import Resolved
from tests.store.row import MARK, NOW, PAGE_SLOT, SECOND, open_cursors, open_incident, slot, then

LEASE = timedelta(seconds=30)


def test_a_new_cursor_belongs_at_once_to_whoever_gets_the_job(store: Store) -> None:
    open_cursors(store, ["core"])
    assert [each.told for each in _claimable(store, NOW)] == [0]
    assert not _any_due(store, NOW)
    assert _any_due(store, NOW + MARK)


def test_a_slot_is_opened_once(store: Store) -> None:
    open_cursors(store, ["core"])
    with pytest.raises(ConflictError):
        open_cursors(store, ["core"])
    assert store.read(lambda tx: cursors.existing(tx, ["core", "other"])) == {("core", "page-oncall", "e1.r1.l1")}


def test_a_leased_cursor_is_nobody_elses_until_the_lease_is_over(store: Store) -> None:
    open_cursors(store, ["core"])
    _lease(store, "mine", NOW + LEASE)
    assert _claimable(store, NOW + LEASE - SECOND) == []
    assert len(_claimable(store, NOW + LEASE)) == 1


def test_two_senders_with_the_same_job_take_each_cursor_once(store: Store, open_store: Callable[[], Store]) -> None:
    names = [f"i{number:02}" for number in range(40)]
    open_cursors(store, names)
    start = Barrier(2)

    def take(mine: Store, token: str) -> list[str]:
        start.wait()

        def work(tx: Connection) -> list[str]:
            found = cursors.claimable(tx, names, PAGE, NOW, 50)
            cursors.lease(tx, found, token, NOW + LEASE)
            return [each.incident_id for each in found]

        return mine.write(work)

    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(take, [store, open_store()], ["first", "second"]))
    assert sorted(taken[0] + taken[1]) == names


def test_the_most_urgent_are_claimed_first_then_the_oldest(store: Store) -> None:
    for name, tier, due in (("p3", Tier.P3, 0), ("later", Tier.P0, 2), ("p1", Tier.P1, 0), ("sooner", Tier.P0, 1)):
        open_cursors(store, [name], tier=tier, due_at=NOW + due * SECOND)
    ids = ["later", "p1", "p3", "sooner"]
    found = store.write(lambda tx: cursors.claimable(tx, ids, PAGE, NOW, 3))
    assert [each.incident_id for each in found] == ["sooner", "later", "p1"]


def test_of_a_large_job_only_what_may_need_no_sender_is_read(store: Store) -> None:
    open_cursors(store, ["alone", "folded", "limited"], PAGE_SLOT)
    open_cursors(store, ["limited"], slot("page-managers", "e1.r1.l2", paging=True))
    in_digest = sa.update(CURSORS).where(CURSORS.c.incident_id == "folded").values(digest="d1")
    store.write(lambda tx: tx.execute(in_digest))
    ids = ["alone", "folded", "limited"]
    found = store.write(lambda tx: cursors.relievable(tx, ids, PAGE, NOW, 9, ["page-managers"]))
    assert [(each.incident_id, each.destination) for each in found] == [
        ("folded", "page-oncall"),
        ("limited", "page-managers"),
    ]
    assert [each.incident_id for each in store.read(lambda tx: cursors.look_folded(tx, ids, PAGE, NOW, 9))] == [
        "folded"
    ]


def test_pages_and_posts_are_claimed_apart(store: Store) -> None:
    open_cursors(store, ["core"])
    open_cursors(store, ["core"], slot())
    for queue, destination in ((PAGE, "page-oncall"), (TELL, "incidents")):
        found = store.write(partial(cursors.claimable, incident_ids=["core"], queue=queue, now=NOW, limit=9))
        assert [each.destination for each in found] == [destination]


def test_a_due_cursor_is_marked_once_within_the_mark(store: Store) -> None:
    open_cursors(store, ["core"], due_at=NOW)
    assert _mark(store, NOW) == [("core", PAGE)]
    assert _mark(store, NOW + MARK - timedelta(microseconds=1)) == []
    assert _mark(store, NOW + MARK) == [("core", PAGE)]


def test_many_timekeepers_at_once_mark_each_due_cursor_once(store: Store, open_store: Callable[[], Store]) -> None:
    names = [f"i{number:03}" for number in range(200)]
    open_cursors(store, names, due_at=NOW)
    start = Barrier(4)

    def keep_time(mine: Store) -> Sequence[tuple[str, str]]:
        start.wait()
        return _mark(mine, NOW + SECOND)

    with ThreadPoolExecutor(4) as pool:
        marked = [each for some in pool.map(keep_time, [open_store() for _ in range(4)]) for each in some]
    assert sorted(marked) == [(name, PAGE) for name in names]


def test_a_lease_that_ran_out_leaves_uncertainty_and_an_echo(store: Store) -> None:
    open_cursors(store, ["core"])
    _lease(store, "frozen", NOW + LEASE)
    _mark(store, NOW + LEASE)
    (taken_over,) = _claimable(store, NOW + LEASE)
    assert (taken_over.uncertain, taken_over.echo) == (True, True)


def test_a_job_that_was_lost_or_a_next_try_leaves_neither(store: Store) -> None:
    open_cursors(store, ["core"])
    _mark(store, NOW + MARK)
    store.write(lambda tx: cursors.postpone(tx, cursors.claimable(tx, ["core"], PAGE, NOW, 9), NOW + 9 * SECOND))
    _mark(store, NOW + 9 * SECOND)
    (again,) = _claimable(store, NOW + 9 * SECOND)
    assert (again.uncertain, again.echo) == (False, False)


def test_a_lease_taken_over_without_a_timekeeper_leaves_uncertainty_and_an_echo_too(store: Store) -> None:
    """A worker with an old job may come before any timekeeper does."""
    open_cursors(store, ["core"])
    _lease(store, "frozen", NOW + LEASE)
    (taken_over,) = _claimable(store, NOW + LEASE)
    assert (taken_over.uncertain, taken_over.echo) == (True, True)


def test_what_waits_for_its_next_try_is_left_alone_by_jobs_and_by_news(store: Store) -> None:
    open_cursors(store, ["core"])
    store.write(lambda tx: cursors.postpone(tx, cursors.claimable(tx, ["core"], PAGE, NOW, 9), NOW + 9 * SECOND))
    assert _claimable(store, NOW + 8 * SECOND) == []
    assert store.write(lambda tx: cursors.wake(tx, {"core": Tier.P0}, NOW + MARK)) == set()
    assert len(_claimable(store, NOW + 9 * SECOND)) == 1


def test_what_is_postponed_after_a_lost_lease_stays_uncertain(store: Store) -> None:
    open_cursors(store, ["core"])
    _lease(store, "frozen", NOW + LEASE)
    later = NOW + 2 * LEASE
    store.write(lambda tx: cursors.postpone(tx, cursors.claimable(tx, ["core"], PAGE, NOW + LEASE, 9), later))
    (again,) = _claimable(store, later)
    assert (again.uncertain, again.echo) == (True, True)


def test_a_cursor_is_behind_from_its_news_until_these_are_told(store: Store) -> None:
    open_cursors(store, ["core"], due_at=NOW)
    _mark(store, NOW + MARK)
    assert _row(store).behind_since == NOW
    _settle(store, _settled(_lease(store, "mine", NOW + LEASE), "mine", told=4))
    assert _row(store).behind_since is None
    store.write(lambda tx: cursors.wake(tx, {"core": Tier.P0}, NOW + LEASE))
    assert _row(store).behind_since == NOW + LEASE


def test_a_reload_tries_again_what_was_given_up_of_open_incidents_only(store: Store) -> None:
    for name in ("core", "over"):
        made = open_incident(store, name)
        open_cursors(store, [name])
    store.write(lambda tx: tx.execute(sa.update(CURSORS).values(due_at=None, given_up="refused")))
    ended, _ = then(made, Resolved(by_person=False))
    store.write(lambda tx: incidents.update(tx, [(made.last, ended)]))
    assert store.write(lambda tx: cursors.retry_given_up(tx, NOW)) == 1
    assert [each.incident_id for each in _claimable(store, NOW)] == ["core"]


def test_a_test_of_a_destination_tries_again_what_was_given_up_for_it_and_nothing_else(store: Store) -> None:
    open_incident(store, "core")
    open_cursors(store, ["core"])
    store.write(lambda tx: tx.execute(sa.update(CURSORS).values(due_at=None, given_up="refused")))
    assert store.write(lambda tx: cursors.retry_given_up(tx, NOW, "incidents")) == 0
    assert _claimable(store, NOW) == []
    assert store.write(lambda tx: cursors.retry_given_up(tx, NOW, "page-oncall")) == 1
    assert [each.incident_id for each in _claimable(store, NOW)] == ["core"]
    assert store.write(lambda tx: cursors.retry_given_up(tx, NOW, "page-oncall")) == 0


def test_only_the_holder_of_the_lease_settles(store: Store) -> None:
    open_cursors(store, ["core"])
    before = _lease(store, "frozen", NOW + LEASE)
    _mark(store, NOW + LEASE)
    _lease(store, "second", NOW + 2 * LEASE)
    _settle(store, _settled(before, "frozen", told=9))
    assert store.read(lambda tx: cursors.tokens(tx, [before])) == {("core", "page-oncall", "e1.r1.l1"): "second"}
    assert _row(store).told == 0
    _settle(store, _settled(before, "second", told=4))
    assert (_row(store).told, _row(store).due_at, _row(store).token) == (4, None, "")


def test_a_level_cursor_is_marked_by_news_and_by_nothing_else(store: Store) -> None:
    _make_level(store, given_up="refused")
    assert _claimable(store, NOW + LEASE) == []
    assert store.write(lambda tx: cursors.wake(tx, {"core": Tier.P0, "other": Tier.P1}, NOW + MARK)) == {("core", PAGE)}
    (cursor,) = _claimable(store, NOW)
    assert (cursor.told, cursor.attempts, _row(store).given_up) == (4, 0, None)


def test_news_of_a_rise_makes_the_cursor_as_urgent(store: Store) -> None:
    open_cursors(store, ["core"], tier=Tier.P2)
    _settle(store, _settled(_lease(store, "mine", NOW + LEASE), "mine", told=4))
    store.write(lambda tx: cursors.wake(tx, {"core": Tier.P0}, NOW + MARK))
    assert _row(store).tier == "P0"


def test_a_newer_rounds_page_wakes_pages_but_neither_posts_nor_what_was_given_up(store: Store) -> None:
    _make_level(store)
    for where, given_up in ((slot(), None), (slot("page-cto", "e1.r1.l3", paging=True), "refused")):
        open_cursors(store, ["core"], where)
        lease = _lease(store, "mine", NOW + LEASE, where.queue)
        _settle(store, _settled(lease, "mine", told=4, given_up=given_up))
    assert store.write(lambda tx: cursors.wake_pages(tx, [("core", "e1.r2.l1")], NOW)) == {("core", PAGE)}
    assert [each.destination for each in _claimable(store, NOW)] == ["page-oncall"]


def test_the_page_that_was_just_accepted_is_left_alone(store: Store) -> None:
    _make_level(store)
    assert store.write(lambda tx: cursors.wake_pages(tx, [("core", PAGE_SLOT.name)], NOW)) == set()


def test_a_new_episodes_card_wakes_the_older_ones_of_its_destination_only(store: Store) -> None:
    for where in (slot(name="e1"), slot(name="e2"), slot("management")):
        open_cursors(store, ["core"], where)
        _settle(store, _settled(_lease(store, "mine", NOW + LEASE, TELL), "mine", told=4))
    newest = ("core", "incidents", "e2")
    assert store.write(lambda tx: cursors.wake_older(tx, [newest], NOW)) == {("core", TELL)}
    assert [(each.destination, each.slot) for each in _claimable(store, NOW, TELL)] == [("incidents", "e1")]


def _claimable(store: Store, now: datetime, queue: str = PAGE) -> list[Cursor]:
    return store.write(lambda tx: cursors.claimable(tx, ["core"], queue, now, 9))


def _any_due(store: Store, now: datetime) -> bool:
    return store.read(lambda tx: cursors.any_due(tx, now))


def _mark(store: Store, now: datetime) -> list[tuple[str, str]]:
    return store.write(lambda tx: cursors.mark_due(tx, now, MARK, 500))


def _lease(store: Store, token: str, until: datetime, queue: str = PAGE) -> Cursor:
    def work(tx: Connection) -> Cursor:
        (cursor,) = cursors.claimable(tx, ["core"], queue, until - LEASE, 9)
        cursors.lease(tx, [cursor], token, until)
        return cursor

    return store.write(work)


def _settled(cursor: Cursor, token: str, **changes: Any) -> Settled:
    plain = Settled(
        cursor=cursor,
        token=token,
        told=cursor.told,
        due_at=None,
        attempts=0,
        uncertain=False,
        echo=False,
        accepted_at=NOW,
        failed=False,
        given_up=None,
        reference={},
    )
    return replace(plain, **changes)


def _make_level(store: Store, **changes: Any) -> None:
    open_cursors(store, ["core"], PAGE_SLOT)
    _settle(store, _settled(_lease(store, "mine", NOW + LEASE), "mine", told=4, **changes))


def _settle(store: Store, settled: Settled) -> None:
    store.write(lambda tx: cursors.settle(tx, [settled]))


def _row(store: Store) -> Any:
    return store.read(lambda tx: tx.execute(sa.select(CURSORS)).one())
