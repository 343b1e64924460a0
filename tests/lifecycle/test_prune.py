"""Retention: what is over for long goes, what can come back stays, reports stay true, and nobody waits."""

import threading
from datetime import datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from incidentd.classify import load
from incidentd.incident.command import Acknowledge, Resolve
from incidentd.incident.state import State
from incidentd.incident.summary import Summary, summarise
from incidentd.jobs import ESCALATE
from incidentd.lifecycle.prune import AT_ONCE, Pruned, Pruner
from incidentd.store import entries, intake, prune, summaries
from incidentd.store import rules as stored
from incidentd.store.tables import (
    ALERTS,
    CURSORS,
    DELIVERIES,
    ENTRIES,
    METADATA,
    RULES,
    RULES_IN_FORCE,
    SET_ASIDE,
    SUMMARIES,
)
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, Bench, alert, lesser
from tests.lifecycle.bench import RULES as FOLDER
from tests.servers import wait_until

DAY = timedelta(days=1)
KEEP = 10 * DAY
_BY_INCIDENT = (ENTRIES, CURSORS, DELIVERIES, ALERTS)


def come_and_go(bench: Bench, place: str, *, answered: bool = False) -> str:
    """One incident from its opening to its end."""
    fired = alert(place, starts_at=bench.now)
    bench.hear(fired)
    bench.forward(MINUTE)
    (found,) = bench.with_key(place)
    if answered:
        bench.act(Acknowledge("anna"), found.id)
    bench.forward(5 * MINUTE)
    bench.hear(alert(place, starts_at=fired.starts_at, firing=False))
    bench.forward(6 * MINUTE)
    return found.id


def pruned(bench: Bench, keep: timedelta = KEEP, *, dry: bool = False) -> Pruned:
    return Pruner(bench.store, bench.now, keep, dry=dry, pause=lambda _seconds: None).run()


def count(bench: Bench, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return bench.store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(table).where(*where))) or 0


def everything(bench: Bench) -> dict[str, int]:
    return {table.name: count(bench, table) for table in METADATA.sorted_tables}


def told(bench: Bench, incident_id: str) -> list[Summary]:
    return summarise(bench.store.read(lambda tx: entries.load(tx, incident_id)))


def kept(bench: Bench) -> list[Summary]:
    whole = partial(summaries.between, since=datetime.min.replace(year=1970, tzinfo=bench.now.tzinfo), until=bench.now)
    return bench.store.read(whole)


def test_what_is_over_for_long_goes_with_all_that_belongs_to_it_and_the_rest_stays(bench: Bench) -> None:
    old = come_and_go(bench, "old")
    bench.hear(alert("open", starts_at=bench.now))
    bench.settle()
    bench.clock.advance(KEEP)
    young = come_and_go(bench, "young")
    (open_,) = (found.id for found in bench.with_key("open"))
    stays = {table.name: count(bench, table, table.c.incident_id != old) for table in _BY_INCIDENT}
    assert all(count(bench, table, table.c.incident_id == old) for table in _BY_INCIDENT)
    assert pruned(bench).incidents == 1
    assert bench.incident_ids() == [open_, young]
    assert {table.name: count(bench, table) for table in _BY_INCIDENT} == stays


def test_reports_have_of_each_episode_what_they_had_before(bench: Bench) -> None:
    ids = [come_and_go(bench, "answered", answered=True), come_and_go(bench, "missed")]
    bench.forward(10 * MINUTE)
    ids.append(come_and_go(bench, "missed"))
    before = [each for id_ in dict.fromkeys(ids) for each in told(bench, id_)]
    bench.clock.advance(2 * KEEP)
    assert pruned(bench).incidents == 2
    after = kept(bench)
    assert after == sorted(before, key=lambda each: each.opened_at)
    assert [(each.episode, each.in_time, each.level, each.pages) for each in after] == [
        (1, True, 1, 1),
        (1, False, 2, 2),
        (2, False, 2, 2),
    ]
    assert after[0].acknowledged_at == after[0].opened_at + MINUTE
    assert {each.tier for each in after} == {Tier.P0}
    assert all(each.resolved_at and each.resolved_at - each.opened_at == 11 * MINUTE for each in after)


def test_what_a_person_resolved_while_it_fires_stays_and_is_opened_again_by_its_repeat(bench: Bench) -> None:
    fired = alert("old", starts_at=bench.now)
    bench.hear(fired)
    bench.settle()
    bench.act(Resolve("anna"))
    bench.clock.advance(2 * KEEP)
    assert pruned(bench).incidents == 0
    bench.hear(fired)
    assert (bench.incident().state, bench.incident().episode) == (State.TRIGGERED, 2)


def test_less_than_a_day_is_never_removed(bench: Bench) -> None:
    come_and_go(bench, "young")
    bench.clock.advance(DAY - 10 * MINUTE)
    assert pruned(bench, keep=timedelta(0)).incidents == 0
    bench.clock.advance(10 * MINUTE)
    assert pruned(bench, keep=timedelta(0)).incidents == 1


def test_a_dry_run_counts_the_same_and_removes_nothing(bench: Bench) -> None:
    for place in ("one", "two"):
        come_and_go(bench, place)
    bench.store.write(lambda tx: intake.set_aside(tx, [("10.0.0.1", "labels", b"x")], bench.now))
    bench.clock.advance(40 * DAY)
    # Else a thread stores meanwhile what was heard.
    bench.runtime.truth.hearing.store()
    before = everything(bench)
    said = pruned(bench, dry=True)
    assert everything(bench) == before
    assert said == pruned(bench)
    assert (said.incidents, said.bodies) == (2, 1)
    assert count(bench, SET_ASIDE) == 0
    assert pruned(bench) == Pruned()


def test_past_episodes_of_an_alert_go_and_its_latest_one_still_knows_its_repeat(bench: Bench) -> None:
    for _ in range(3):
        begun = bench.now
        bench.hear(alert("flapping", starts_at=begun))
        bench.forward(MINUTE)
        bench.hear(alert("flapping", starts_at=begun, firing=False))
        bench.forward(2 * MINUTE)
    latest = alert("flapping", starts_at=bench.now)
    bench.hear(latest)
    bench.act(Acknowledge("anna", until=bench.now + 50 * DAY))
    bench.settle()
    bench.clock.advance(2 * KEEP)
    assert count(bench, ALERTS) == 4
    assert pruned(bench).episodes == 3
    entries_before = len(bench.timeline())
    bench.hear(latest)
    assert len(bench.timeline()) == entries_before
    assert count(bench, ALERTS) == 1


def test_an_end_that_no_incident_ever_had_is_forgotten(bench: Bench) -> None:
    bench.hear(alert("unseen", firing=False))
    assert count(bench, ALERTS) == 1
    assert pruned(bench).episodes == 0
    bench.clock.advance(2 * KEEP)
    assert pruned(bench).episodes == 1
    assert count(bench, ALERTS) == 0


def test_rules_that_nobody_follows_any_more_go_and_those_of_an_open_round_stay(bench: Bench) -> None:
    first = bench.incident_ids() or load(FOLDER).version
    bench.hear(lesser("open", "warning", starts_at=bench.now))
    for version in ("two", "three"):
        bench.clock.advance(DAY)
        bench.store.write(partial(stored.put_in_force, version=version, texts={"tiers.yaml": version}, now=bench.now))
    bench.clock.advance(2 * KEEP)
    assert pruned(bench).tables == 1
    assert set(bench.store.read(lambda tx: tx.scalars(sa.select(RULES.c.version)).all())) == {first, "three"}
    assert bench.store.read(stored.in_force) == "three"
    assert count(bench, RULES_IN_FORCE) == 1


def test_what_changed_since_it_was_looked_at_is_left_alone(bench: Bench) -> None:
    old = come_and_go(bench, "old")
    before = bench.now + DAY
    bench.clock.advance(KEEP)
    stale = {old: bench.incident(old).last - 1}
    assert bench.store.write(partial(prune.remove, versions=stale, before=before)) == 0
    assert bench.incident_ids() == [old]
    assert count(bench, SUMMARIES) == 0


@pytest.mark.parametrize("batch", [1, 7])
def test_many_go_in_small_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(prune, "BATCH", batch)
    for number in range(3):
        come_and_go(bench, f"place-{number}")
    bench.hear(lesser("open", "warning", starts_at=bench.now))
    bench.clock.advance(2 * KEEP)
    assert pruned(bench).incidents == 3
    assert len(bench.incident_ids()) == 1


def test_webhooks_are_stored_while_much_is_pruned(bench: Bench) -> None:
    many = 5 * AT_ONCE
    firing = [lesser(f"s-{number}", "info", starts_at=bench.now) for number in range(many)]
    bench.hear(*firing)
    bench.hear(*(lesser(f"s-{n}", "info", starts_at=bench.now, firing=False) for n in range(many)))
    bench.clock.advance(6 * MINUTE)
    while due := bench.runtime.due().get(ESCALATE):
        bench.runtime.tick(due)
    bench.clock.advance(2 * KEEP)
    begun, ended = threading.Event(), threading.Event()
    posted: list[int] = []

    def post() -> None:
        while not ended.is_set():
            bench.hear(alert(f"new-{len(posted)}", starts_at=bench.now))
            posted.append(len(posted))
            begun.set()

    poster = threading.Thread(target=post)
    poster.start()
    try:
        assert begun.wait(120)
        before = len(posted)
        assert Pruner(bench.store, bench.now, KEEP, dry=False).run().incidents == many
        wait_until(lambda: len(posted) > before, "a webhook to be stored")
    finally:
        ended.set()
        poster.join()
    assert len(bench.incident_ids()) == len(posted)
    assert count(bench, SUMMARIES) == many
