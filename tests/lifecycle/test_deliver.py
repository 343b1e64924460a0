"""What is to be told reaches its receivers, whatever these do (model 31 to 36, "Receivers" of the fault table)."""

import json
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from structlog.testing import capture_logs

from incidentd.channels.channel import Channel
from incidentd.incident.command import Acknowledge, Escalate, Note
from incidentd.incident.slot import PAGE, TELL
from incidentd.incident.state import Incident, State
from incidentd.lifecycle import deliver
from incidentd.lifecycle.claim import Survey
from incidentd.lifecycle.deliver import Sender
from incidentd.lifecycle.prune import Pruner
from incidentd.lifecycle.work import Action, ActionResult
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.pagerduty import AlertState
from incidentd.store import incidents, query
from incidentd.store.deliveries import Outcome
from incidentd.store.tables import CURSORS, DELIVERIES
from tests.lifecycle.bench import KEYS, MINUTE, SECOND, Bench, alert, open_bench
from tests.lifecycle.gate import PACE, Broken, Hesitant, held_back, sender
from tests.servers import wait_until

DAY = timedelta(days=1)


@pytest.fixture
def hasty(database_url: str) -> Iterator[Bench]:
    """A bench whose requests may take three seconds."""
    with open_bench(database_url, INCIDENTD_HTTP_SECONDS="3") as opened:
        yield opened


def test_an_opening_pages_level_1_and_posts_where_people_read(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    assert [(event.routing_key, event.action) for event in bench.events()] == [(KEYS[1], "trigger")]
    assert [len(bench.sandbox.slack.cards(name)) for name in ("#incidents", "#management")] == [1, 1]


def test_every_cursor_ends_level_with_the_news(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.act(Acknowledge("anna"))
    bench.settle()
    assert {(row.told >= bench.incident().news, row.due_at, row.token) for row in bench.cursors()} == {(True, None, "")}


def test_acceptance_is_an_entry_that_nobody_is_told(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    assert bench.kinds() == ["opened", "accepted", "accepted", "accepted"]
    assert bench.incident().news == 1
    requests = len(bench.sandbox.pagerduty.requests) + len(bench.sandbox.slack.requests)
    bench.forward(4 * MINUTE)
    assert len(bench.sandbox.pagerduty.requests) + len(bench.sandbox.slack.requests) == requests


def test_each_attempt_is_kept_with_its_outcome(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    bench.hear(alert())
    bench.forward(30 * SECOND)
    tried = bench.store.read(lambda tx: query.deliveries(tx, bench.incident().id, 20))
    pages = [(each.attempt, each.outcome) for each in tried if each.destination == "page-oncall"]
    assert pages == [(1, Outcome.FAILED), (2, Outcome.ACCEPTED)]


def test_a_page_that_fails_once_is_tried_again_without_a_fallback(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    bench.hear(alert())
    bench.forward(2 * SECOND)
    assert len(bench.events("trigger")) == 1
    assert bench.kinds().count("delivery_failed") == 1
    assert "fell_back" not in bench.kinds()


def test_after_the_second_failure_the_page_goes_out_on_the_fallback_too_and_says_so(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=None)
    bench.hear(alert())
    bench.forward(10 * SECOND)
    assert bench.kinds().count("fell_back") == 1
    (card,) = bench.sandbox.slack.cards("#incidents")
    assert "stands in for a page" in str(card.blocks)
    bench.sandbox.faults.clear()
    bench.forward(MINUTE)
    assert len(bench.events("trigger")) == 1


def test_an_answer_that_can_not_be_passed_on_is_no_page_that_fails(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=None)
    bench.act(Acknowledge("anna"))
    bench.forward(10 * SECOND)
    assert bench.cursor(queue=PAGE).attempts >= 2
    assert "fell_back" not in bench.kinds()


def test_five_hundreds_for_ten_minutes_are_tried_at_most_thirty_seconds_apart(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=502, times=None, target=KEYS[1])
    bench.hear(alert())
    bench.act(Escalate("anna"))
    bench.forward(10 * MINUTE)
    sent = [(json.loads(request.body), request.received_at) for request in bench.sandbox.pagerduty.requests]
    to_level = [(body["dedup_key"], at) for body, at in sent if body["routing_key"] == KEYS[1]]
    # The incident of this delivery's own failures is paged there too.
    at = [at for key, at in to_level if key == to_level[0][0]]
    assert max(after - before for before, after in pairwise(at)) <= 30 * SECOND
    assert 24 <= len(at) <= 45
    assert bench.events("trigger", level=1) == []
    assert len(bench.events("trigger", level=2)) == 1


@pytest.mark.parametrize(("retry_after", "least"), [("20", 20), ("3600", 60), ("-1", 0), ("abc", 0), (None, 0)])
def test_retry_after_is_kept_up_to_a_minute(bench: Bench, retry_after: str | None, least: int) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.RATE_LIMIT, retry_after=retry_after)
    bench.hear(alert())
    bench.forward(61 * SECOND)
    first, second = (request.received_at for request in bench.sandbox.pagerduty.requests)
    assert timedelta(seconds=least) <= second - first <= timedelta(seconds=max(least, 1))


def test_what_is_refused_for_good_is_given_up_with_an_alarm(bench: Bench) -> None:
    bench.sandbox.fail("slack", FaultKind.ERROR, error="channel_not_found", times=None, target="#management")
    bench.hear(alert())
    bench.settle()
    (core,) = bench.with_key("avalo/core-api")
    (alarm,) = bench.with_key("incidentd/delivery")
    assert "gave_up" in bench.kinds(core.id)
    assert "management" in alarm.title
    assert len(bench.events("trigger", level=1)) == 2
    assert bench.cursor(incident_id=core.id, destination="management").given_up


def test_giving_up_on_our_own_incidents_raises_no_further_one(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=400, times=None)
    bench.sandbox.fail("slack", FaultKind.ERROR, error="invalid_auth", times=None)
    bench.hear(alert())
    bench.forward(10 * MINUTE)
    keys = sorted(found.key for found in map(bench.incident, bench.incident_ids()))
    assert len(keys) == 1 + len({row.destination for row in bench.cursors() if row.given_up})
    assert all(key.startswith(("avalo/core-api", "incidentd/delivery/")) for key in keys)


def test_a_page_that_is_refused_for_good_falls_back_at_once(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=401, times=1)
    bench.hear(alert())
    bench.settle()
    (core,) = bench.with_key("avalo/core-api")
    assert core.fallbacks == frozenset({"incidents"})


def test_giving_up_lasts_until_there_are_news(bench: Bench) -> None:
    bench.sandbox.fail("slack", FaultKind.ERROR, error="channel_not_found", target="#management")
    bench.hear(alert())
    bench.settle()
    assert bench.sandbox.slack.cards("#management") == []
    (core,) = bench.with_key("avalo/core-api")
    bench.act(Acknowledge("anna"), core.id)
    bench.settle()
    (card,) = bench.sandbox.slack.cards("#management")
    assert "anna" in str(card.blocks)


def test_closed_twice_it_waits_for_nothing_and_a_late_caller_claims_nothing(bench: Bench) -> None:
    bench.hear(alert())
    closed, _ = held_back(bench)
    closed.close()
    begun = time.monotonic()
    closed.close()
    closed.deliver(PAGE, bench.incident_ids())
    assert time.monotonic() - begun < 5
    assert bench.events("trigger") == []


def test_what_is_refused_for_good_is_not_given_up_while_there_are_news(bench: Bench) -> None:
    bench.hear(alert())
    slow, gate = held_back(bench)
    slow.deliver(PAGE, bench.incident_ids())
    assert gate.reached.wait(120)
    bench.hear(alert(region="us"))
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=401)
    gate.open.set()
    slow.close()
    assert bench.cursor(queue=PAGE).given_up is None
    bench.forward(2 * SECOND)
    assert len(bench.events("trigger")) == 1
    assert "gave_up" not in bench.kinds()


def test_a_page_whose_reply_was_lost_is_ended_when_all_is_over(hasty: Bench) -> None:
    hasty.sandbox.fail("pagerduty", FaultKind.DROP_REPLY)
    hasty.hear(alert())
    hasty.settle()
    hasty.hear(alert(firing=False))
    hasty.forward(MINUTE)
    assert _states(hasty) == [AlertState.TRIGGERED]
    hasty.forward(5 * MINUTE)
    assert hasty.incident().state is State.RESOLVED
    assert _states(hasty) == [AlertState.RESOLVED]
    assert not hasty.cursor(queue=PAGE).uncertain


def test_a_reply_lost_by_pagerduty_makes_one_alert(hasty: Bench) -> None:
    hasty.sandbox.fail("pagerduty", FaultKind.DROP_REPLY, times=1)
    hasty.hear(alert())
    hasty.forward(5 * SECOND)
    (only,) = hasty.sandbox.pagerduty.alerts
    assert {event.action for event in only.events} == {"trigger"}


def test_a_reply_lost_by_slack_makes_one_card(hasty: Bench) -> None:
    hasty.sandbox.fail("slack", FaultKind.DROP_REPLY, method="chat.postMessage", target="#incidents")
    hasty.hear(alert())
    hasty.forward(5 * SECOND)
    assert len(hasty.sandbox.slack.cards("#incidents")) == 1
    assert hasty.cursor(destination="incidents").due_at is None


def test_a_receiver_that_hangs_holds_up_no_other(hasty: Bench) -> None:
    hasty.sandbox.fail("slack", FaultKind.HANG, seconds=60, times=None)
    hasty.hear(alert())
    hasty.settle()
    assert len(hasty.events("trigger")) == 1


def test_a_fault_of_ours_in_a_channel_loses_no_page(bench: Bench) -> None:
    bench.hear(alert())
    broken = sender(bench, lambda channel: Broken(channel, times=1))
    broken.deliver(PAGE, bench.incident_ids())
    broken.close()
    assert bench.cursor(queue=PAGE).failed
    bench.forward(2 * SECOND)
    assert len(bench.events("trigger")) == 1


def test_what_became_untrue_before_it_was_sent_is_not_sent(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("anna"))
    bench.settle()
    assert bench.events() == []
    cursor = bench.cursor(queue=PAGE)
    assert (cursor.told >= bench.incident().news, cursor.due_at, cursor.accepted_at) == (True, None, None)


def test_the_answer_is_read_anew_before_each_try(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    bench.hear(alert())
    bench.settle()
    bench.act(Acknowledge("anna"))
    bench.forward(MINUTE)
    assert bench.events("trigger") == []


def test_what_is_over_before_its_first_page_is_never_paged(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(alert(firing=False))
    bench.forward(10 * MINUTE)
    assert bench.incident().state is State.RESOLVED
    assert bench.events() == []


def test_news_that_came_during_a_delivery_follow_it_at_once(bench: Bench) -> None:
    bench.hear(alert())
    slow, gate = held_back(bench)
    slow.deliver(PAGE, bench.incident_ids())
    assert gate.reached.wait(120)
    bench.act(Acknowledge("anna"))
    gate.open.set()
    slow.close()
    bench.settle()
    assert [event.action for event in bench.events()] == ["trigger", "acknowledge"]


def test_a_frozen_senders_lease_is_taken_over_and_its_late_result_changes_nothing(bench: Bench) -> None:
    bench.hear(alert())
    frozen, gate = held_back(bench)
    frozen.deliver(PAGE, bench.incident_ids())
    assert gate.reached.wait(120)
    bench.settle()
    assert bench.events() == []
    bench.clock.advance(30 * SECOND)
    bench.settle()
    assert len(bench.events("trigger")) == 1
    before = bench.cursor(queue=PAGE), _attempts(bench)
    gate.open.set()
    frozen.close()
    assert (bench.cursor(queue=PAGE), _attempts(bench)) == before
    assert len(bench.sandbox.pagerduty.alerts) == 1


def test_a_sender_frozen_before_it_claims_has_its_whole_lease_when_it_wakes(bench: Bench) -> None:
    bench.hear(alert())
    made: list[Hesitant] = []

    def hesitating(channel: Channel) -> Channel:
        made.append(Hesitant(channel, bench, MINUTE))
        return made[0]

    frozen = sender(bench, hesitating)
    frozen.deliver(PAGE, bench.incident_ids())
    frozen.close()
    assert made[0].leases == [PACE.lease]


def test_ten_seconds_after_a_takeover_the_final_state_is_told_once_more(bench: Bench) -> None:
    bench.hear(alert())
    frozen, gate = held_back(bench)
    frozen.deliver(PAGE, bench.incident_ids())
    assert gate.reached.wait(120)
    bench.clock.advance(30 * SECOND)
    bench.act(Acknowledge("anna"))
    bench.settle()
    gate.open.set()
    frozen.close()
    assert _states(bench) == [AlertState.TRIGGERED]
    bench.forward(10 * SECOND - timedelta(milliseconds=1))
    assert _states(bench) == [AlertState.TRIGGERED]
    bench.forward(timedelta(milliseconds=1))
    assert _states(bench) == [AlertState.ACKNOWLEDGED]
    requests = len(bench.sandbox.pagerduty.requests)
    bench.forward(MINUTE)
    assert len(bench.sandbox.pagerduty.requests) == requests


def test_news_do_not_wait_for_the_state_to_be_told_once_more(bench: Bench) -> None:
    bench.hear(alert())
    frozen, gate = held_back(bench)
    frozen.deliver(PAGE, bench.incident_ids())
    assert gate.reached.wait(120)
    bench.clock.advance(30 * SECOND)
    bench.settle()
    bench.act(Acknowledge("anna"))
    bench.settle()
    assert _states(bench) == [AlertState.ACKNOWLEDGED]
    gate.open.set()
    frozen.close()
    events = len(bench.events())
    bench.forward(MINUTE)
    assert [event.action for event in bench.events()[events:]] == ["acknowledge"]


def test_an_old_rounds_alert_is_resolved_only_once_the_new_rounds_page_was_accepted(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.act(Acknowledge("anna"))
    bench.settle()
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=None)
    bench.forward(31 * MINUTE)
    (old,) = bench.sandbox.pagerduty.alerts
    assert old.state is AlertState.ACKNOWLEDGED
    bench.sandbox.faults.clear()
    bench.forward(MINUTE)
    old, new = bench.sandbox.pagerduty.alerts
    assert (old.state, new.state) == (AlertState.RESOLVED, AlertState.TRIGGERED)
    assert old.dedup_key != new.dedup_key


def test_an_old_rounds_page_on_its_way_when_the_new_rounds_was_accepted_is_resolved_too(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.act(Acknowledge("anna"))
    bench.settle()
    bench.clock.advance(30 * MINUTE)
    bench.runtime.tick(bench.incident_ids())
    slow, gate = held_back(bench, "e1.r1.l1")
    slow.deliver(PAGE, bench.incident_ids())
    wait_until(lambda: bench.cursor(slot="e1.r2.l1").accepted_at, "the new round's page")
    assert gate.reached.wait(120)
    gate.open.set()
    slow.close()
    bench.settle()
    assert _states(bench) == [AlertState.RESOLVED, AlertState.TRIGGERED]


def test_a_card_on_its_way_when_its_successor_was_posted_points_to_it_all_the_same(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.hear(alert(firing=False))
    bench.forward(6 * MINUTE)
    bench.hear(alert(starts_at=bench.now))
    slow, gate = held_back(bench, "e1", "slack")
    slow.deliver(TELL, bench.incident_ids())
    wait_until(lambda: bench.cursor(slot="e2", destination="incidents").accepted_at, "the new card")
    assert gate.reached.wait(120)
    gate.open.set()
    slow.close()
    bench.settle()
    old, new = bench.sandbox.slack.cards("#incidents")
    assert new.ts.replace(".", "") in str(old.blocks)
    requests = len(bench.sandbox.slack.requests)
    bench.forward(MINUTE)
    assert len(bench.sandbox.slack.requests) == requests


def test_what_was_accepted_is_recorded_although_the_store_was_away_meanwhile(bench: Bench) -> None:
    bench.hear(alert())
    failures = [2]

    def away(_connection: object, clause: object, *_rest: object) -> None:
        if getattr(clause, "table", None) is DELIVERIES and failures[0]:
            failures[0] -= 1
            raise sa.exc.OperationalError("INSERT", None, ConnectionError("gone"))

    sa.event.listen(bench.store.engine, "before_execute", away)
    try:
        bench.settle()
    finally:
        sa.event.remove(bench.store.engine, "before_execute", away)
    assert failures == [0]
    assert len(bench.events("trigger")) == 1
    assert all(row.accepted_at for row in bench.cursors())


def test_an_incident_that_is_pruned_while_it_is_read_holds_up_no_other_and_is_no_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was to be told of its end was away for as long as it was kept."""
    bench.hear(alert("old"))
    bench.settle()
    bench.hear(alert("old", firing=False))
    bench.forward(10 * MINUTE)
    (old,) = bench.incident_ids()
    bench.clock.advance(2 * DAY)
    bench.hear(alert("new", starts_at=bench.now))
    owed = sa.update(CURSORS).where(CURSORS.c.incident_id == old, CURSORS.c.queue == TELL).values(due_at=bench.now)
    bench.store.write(lambda tx: tx.execute(owed))
    pruned: list[int] = []
    read = incidents.load

    def read_late(tx: Connection, ids: set[str]) -> dict[str, tuple[int, Incident]]:
        if not pruned:
            pruner = Pruner(bench.store, bench.now, DAY, dry=False, pause=lambda _seconds: None)
            pruned.append(pruner.run().incidents)
        return read(tx, ids)

    monkeypatch.setattr(incidents, "load", read_late)
    with capture_logs() as logs:
        bench.runtime.deliver_tells(bench.incident_ids())
        wait_until(lambda: all(row.due_at is None for row in bench.cursors(queue=TELL)), "the other to be told")
    assert pruned == [1]
    assert [entry for entry in logs if entry["log_level"] in ("warning", "error")] == []


def test_closing_finishes_what_is_on_its_way(bench: Bench) -> None:
    bench.hear(alert())
    slow, gate = held_back(bench)
    slow.deliver(PAGE, bench.incident_ids())
    wait_until(gate.reached.is_set, "the request to begin")
    gate.open.set()
    slow.close()
    assert bench.cursor(queue=PAGE).accepted_at
    assert _attempts(bench) == 1


def _states(bench: Bench) -> list[AlertState]:
    return [each.state for each in bench.sandbox.pagerduty.alerts]


def _attempts(bench: Bench) -> int:
    count: int = bench.store.read(
        lambda tx: tx.execute(sa.select(sa.func.count()).select_from(DELIVERIES)).scalar_one()
    )
    return count


def test_a_sender_that_winds_down_in_the_middle_of_a_job_leaves_the_rest_to_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job holds up to 500 ids: with a slow receiver they would outlast the time that a stop is given."""
    monkeypatch.setattr(deliver, "WIDTH", 2)
    bench.hear(*(alert(name) for name in ("core-api", "search", "basket", "login", "mail")))
    bench.runtime.due()
    slow, gate = held_back(bench)
    job = threading.Thread(target=slow.deliver, args=(PAGE, bench.incident_ids()))
    job.start()
    assert gate.reached.wait(120)
    slow.wind_down()
    gate.open.set()
    job.join(120)
    slow.close()
    assert not job.is_alive()
    assert len(bench.events("trigger")) <= 2
    bench.forward(10 * SECOND)
    assert len(bench.events("trigger")) == 5


def test_one_look_tells_all_that_an_incident_has_to_tell(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    survey = Sender._survey

    def looked(self: Sender, tx: Connection, **asked: Any) -> Survey:
        found = survey(self, tx, **asked)
        looks.append(len(found.cursors))
        return found

    monkeypatch.setattr(Sender, "_survey", looked)
    bench.hear(alert())
    with closing(sender(bench, lambda channel: channel)) as mine:
        mine.deliver(TELL, bench.incident_ids())
    assert looks == [3]


def test_what_changes_at_each_look_is_told_all_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each acceptance is an entry: whoever is overtaken again and again does not wait for a mark to be over."""
    changes = iter(range(3))

    def looked_up(tx: Connection, found: Survey) -> Survey:
        if next(changes, None) is not None:
            bench.act(Note("anna", "looking"))
        return found

    survey = Sender._survey
    monkeypatch.setattr(deliver, "AT_ONCE", 0)
    monkeypatch.setattr(Sender, "_survey", lambda self, tx, **asked: looked_up(tx, survey(self, tx, **asked)))
    bench.hear(alert())
    with closing(sender(bench, lambda channel: channel)) as mine:
        mine.deliver(PAGE, bench.incident_ids())
    assert next(changes, None) is None
    assert len(bench.events("trigger")) == 1


def test_who_is_overtaken_again_and_again_while_it_claims_keeps_the_others_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, lock = incidents.versions, incidents.lock
    overtaken = iter(range(3))
    locked: list[list[str]] = []

    def overtaking(tx: Connection, ids: Collection[str]) -> dict[str, int]:
        return {} if next(overtaken, None) is not None else read(tx, ids)

    def locking(tx: Connection, *, ids: Collection[str] = (), keys: Collection[str] = ()) -> list[incidents.Held]:
        locked.append(sorted(ids))
        return lock(tx, ids=ids, keys=keys)

    bench.hear(alert())
    monkeypatch.setattr(incidents, "versions", overtaking)
    monkeypatch.setattr(incidents, "lock", locking)
    with closing(sender(bench, lambda channel: channel)) as mine:
        mine.deliver(PAGE, bench.incident_ids())
    assert next(overtaken, None) is None
    assert locked[0] == bench.incident_ids()
    assert len(bench.events("trigger")) == 1


def test_an_answer_while_a_page_is_claimed_calls_it_off_or_follows_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL lets the answer in between: no page. SQLite lets it wait until the page is claimed."""
    lets_in = bench.store.engine.dialect.name == "postgresql"
    read = incidents.versions
    answers: list[Future[ActionResult]] = []

    def answered(tx: Connection, ids: Collection[str]) -> dict[str, int]:
        if not answers:
            answers.append(bench.runtime.submit_action(Action(bench.incident_ids()[0], Acknowledge("anna"), None)))
            if lets_in:
                answers[0].result(120)
        return read(tx, ids)

    bench.hear(alert())
    monkeypatch.setattr(incidents, "versions", answered)
    with closing(sender(bench, lambda channel: channel)) as mine:
        mine.deliver(PAGE, bench.incident_ids())
    answers[0].result(120)
    bench.settle()
    assert [event.action for event in bench.events()] == ([] if lets_in else ["trigger", "acknowledge"])
