"""Drills: once when they are due, whoever runs them; accepted only if every step came in time; else somebody knows."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from incidentd.alert import Alert
from incidentd.channels.drill_alert import DrillAlert
from incidentd.drill import MACHINE_ANSWER, is_drill
from incidentd.errors import DeliveryError, PermanentError, RefusedError, StoreUnavailableError, TransientError
from incidentd.incident.command import Acknowledge, Resolve
from incidentd.incident.state import Incident, State
from incidentd.lifecycle.delivering import Delivering
from incidentd.lifecycle.drill import awaited
from incidentd.lifecycle.drillmaster import LEASE, Drillmaster, Order
from incidentd.lifecycle.evidence import look
from incidentd.lifecycle.prune import Pruner
from incidentd.runtime import Runtime, new_id
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.pagerduty import AlertState
from incidentd.store import drill_schedules, drills, standing, summaries
from incidentd.store.drills import Drill, Outcome, Step
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, SECOND, Bench, lesser, open_bench
from tests.lifecycle.table import copy_rules
from tests.lifecycle.twin import twin

WEEKLY = """\
weekly:
  tier: P1
  system: avalo
  weekdays: [wed]
  at: "10:00"
  zone: Europe/Berlin
  within: 1m
"""
ANSWERED = WEEKLY.replace("weekly", "answered") + "  answer: 5m\n"
DUE = datetime(2026, 1, 7, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
ALL = list(Step)
STEP = 2 * SECOND


class Way:
    """An alert's way into the store, without the wire. ``failure``: it is not taken."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.sent: list[DrillAlert] = []
        self.failure: DeliveryError | None = None
        self.lost = self.end_lost = False
        self.by_alertmanager = False

    def send(self, alert: DrillAlert, seconds: float) -> None:
        if self.failure:
            raise self.failure
        self.sent.append(alert)
        if not (self.lost or (self.end_lost and alert.over)):
            ends_at = alert.ends_at if alert.over else None
            args = (alert.fingerprint, alert.labels, alert.annotations, alert.starts_at, ends_at, not alert.over)
            self._bench.hear(Alert(*args))

    def close(self) -> None:
        """Nothing is open."""


class Ground:
    """A bench, the way of its drills' alerts, and one timekeeper's drillmaster."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.way = Way(bench)
        self.master = self.another(bench.runtime)

    def another(self, runtime: Runtime) -> Drillmaster:
        return Drillmaster(
            runtime.store,
            runtime.rulebook,
            self.bench.clock.now,
            self.bench.clock.monotonic,
            new_id,
            3 * SECOND,
            self.way,
            10.0,
            "https://incidentd.example",
            lambda _work: None,
            runtime.meter,
        )

    def at(self, instant: datetime) -> None:
        self.bench.clock.advance(instant - self.bench.now)

    def run(self, until: Callable[[], object], what: str, most: timedelta = 20 * MINUTE) -> None:
        """Timekeepers go round until it is so."""
        end = self.bench.now + most
        while not until():
            assert self.bench.now < end, f"waited in vain for {what}"
            self.step()

    def step(self) -> None:
        self.master.look()
        self.bench.settle()
        self.bench.clock.advance(STEP)

    def drills(self) -> list[Drill]:
        return self.bench.store.read(lambda tx: drills.newest(tx, 100))

    def only(self) -> Drill:
        (found,) = self.drills()
        return found

    def finish(self) -> Drill:
        self.run(lambda: self.drills() and self.only().ended_at, "the drill's end")
        return self.only()

    def awaited(self) -> Step | None:
        drill = self.only()
        return awaited(drill, self.bench.store.read(lambda tx: look(tx, drill)))

    def incident(self, drill: Drill) -> Incident:
        assert drill.incident_id
        return self.bench.incident(drill.incident_id)

    def own_incidents(self) -> list[Incident]:
        return self.bench.with_key("incidentd/drill/")


def opened(database_url: str, tmp_path: Path, text: str) -> Iterator[Ground]:
    folder = copy_rules(tmp_path)
    (folder / "drills.yaml").write_text(text)
    with open_bench(database_url, folder) as bench:
        ground = Ground(bench)
        ground.master.look()
        yield ground


@pytest.fixture
def ground(database_url: str, tmp_path: Path) -> Iterator[Ground]:
    yield from opened(database_url, tmp_path, WEEKLY)


@pytest.fixture
def asking(database_url: str, tmp_path: Path) -> Iterator[Ground]:
    yield from opened(database_url, tmp_path, ANSWERED)


# When.


def test_a_drill_runs_at_its_time_and_never_before(ground: Ground) -> None:
    ground.at(DUE - SECOND / 1000)
    ground.step()
    assert ground.drills() == []
    ground.master.look()
    drill = ground.finish()
    assert (drill.name, drill.due_at, drill.outcome, drill.by_hand) == ("weekly", DUE, Outcome.ACCEPTED, False)
    assert ground.own_incidents() == []


def test_of_several_timekeepers_one_runs_it_and_each_alert_is_sent_once(ground: Ground) -> None:
    ground.at(DUE)
    masters = [ground.another(ground.bench.runtime) for _ in range(4)]
    for master in masters:
        master.look()
    start = threading.Barrier(4)

    def look(master: Drillmaster) -> None:
        start.wait()
        master.look()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(look, masters))
            ground.bench.settle()
            ground.bench.clock.advance(SECOND)
    drill = ground.finish()
    assert drill.outcome is Outcome.ACCEPTED
    assert [alert.over for alert in ground.way.sent] == [False, True]


def test_another_process_goes_on_where_one_died(ground: Ground) -> None:
    ground.at(DUE)
    ground.master.look()
    assert ground.only().step(Step.SENT)
    with twin(ground.bench) as other:
        ground.master = ground.another(other)
        assert ground.finish().outcome is Outcome.ACCEPTED
    assert len(ground.way.sent) == 2


def test_who_died_while_sending_leaves_it_to_another_after_the_lease(ground: Ground) -> None:
    ground.at(DUE)
    ground.way.failure = TransientError("away")
    ground.master.look()
    drill = ground.only()
    ground.bench.clock.advance(SECOND)
    assert ground.bench.store.write(lambda tx: drills.take(tx, drill, ground.bench.now + LEASE))
    ground.way.failure = None
    ground.master.look()
    assert ground.way.sent == []
    ground.bench.clock.advance(LEASE - SECOND)
    ground.master.look()
    assert ground.way.sent == []
    ground.bench.clock.advance(SECOND)
    ground.master.look()
    # By then the time that it has is over: it failed, and its alert is ended, should it have left after all.
    assert ground.only().outcome is Outcome.FAILED


def test_one_that_was_due_while_nothing_ran_runs_at_the_return_within_the_hour(ground: Ground) -> None:
    ground.at(DUE + timedelta(minutes=59, seconds=59))
    ground.master.look()
    drill = ground.finish()
    assert (drill.due_at, drill.outcome) == (DUE, Outcome.ACCEPTED)
    assert drill.started_at == DUE + timedelta(minutes=59, seconds=59)


def test_one_that_is_an_hour_late_was_missed_and_an_incident_says_so(ground: Ground) -> None:
    ground.at(DUE + timedelta(hours=1))
    ground.master.look()
    drill = ground.only()
    assert (drill.outcome, drill.started_at, drill.due_at) == (Outcome.MISSED, None, DUE)
    assert ground.way.sent == []
    (told,) = ground.own_incidents()
    assert told.tier is Tier.P1
    assert told.title == "incidentd: the drill weekly was missed: incidentd did not run when it was due"
    ground.at(DUE + WEEK)
    ground.master.look()
    ground.run(lambda: ground.drills()[0].ended_at, "the next one")
    assert [each.outcome for each in ground.drills()] == [Outcome.ACCEPTED, Outcome.MISSED]


def test_after_weeks_away_each_missed_one_is_recorded_and_the_next_comes_at_its_time(ground: Ground) -> None:
    ground.at(DUE + 3 * WEEK - MINUTE)
    ground.master.look()
    assert [(each.due_at, each.outcome) for each in ground.drills()] == [
        (DUE + n * WEEK, Outcome.MISSED) for n in (2, 1, 0)
    ]
    assert ground.bench.store.read(drill_schedules.all_of_them)[0].next_at == DUE + 3 * WEEK


def test_a_drill_that_is_new_in_the_rules_begins_with_its_next_time(ground: Ground) -> None:
    ground.at(DUE + MINUTE)
    rules = Path(ground.bench.environ["INCIDENTD_RULES"])
    (rules / "drills.yaml").write_text(WEEKLY.replace("weekly", "other"))
    ground.bench.runtime.reload()
    ground.step()
    assert ground.drills() == []
    planned = ground.bench.store.read(drill_schedules.all_of_them)
    assert [(each.name, each.next_at) for each in planned] == [("other", DUE + WEEK)]


def test_a_reload_that_leaves_the_schedule_alone_moves_no_time_on(ground: Ground) -> None:
    ground.at(DUE + MINUTE)
    rules = Path(ground.bench.environ["INCIDENTD_RULES"])
    (rules / "drills.yaml").write_text(WEEKLY + "  answer: 1m\n")
    ground.bench.runtime.reload()
    ground.step()
    assert ground.only().due_at == DUE


# What.


def test_every_step_is_timed_by_what_happened(asking: Ground) -> None:
    asking.at(DUE)
    asking.run(lambda: asking.drills() and asking.only().step(Step.MESSAGE), "page and message")
    drill = asking.only()
    asking.bench.clock.advance(MINUTE)
    asking.bench.act(Acknowledge("anna.berg", via="slack"), drill.incident_id)
    answered_at = asking.bench.now
    drill = asking.finish()
    assert [each.step for each in drill.steps] == ALL
    answer = drill.step(Step.ANSWER)
    message = drill.step(Step.MESSAGE)
    assert answer and message and (answer.at, answer.note) == (answered_at, "anna.berg")
    assert answer.took == answered_at - message.at
    assert (drill.step(Step.PAGE) or answer).note == "page-oncall"
    assert drill.outcome is Outcome.ACCEPTED
    page = asking.bench.sandbox.pagerduty.alerts[0]
    assert page.state is AlertState.RESOLVED
    assert page.latest.payload["summary"] == "P1 DRILL: P1 of avalo, nothing is wrong (level 1, on-call engineer)"


def test_a_drill_tells_the_very_destinations_of_a_real_incident_of_that_tier(ground: Ground) -> None:
    ground.at(DUE)
    drill = ground.finish()
    told = {(each.destination, each.slot) for each in ground.bench.cursors(incident_id=drill.incident_id or "")}
    ground.bench.hear(lesser("any", "critical"))
    (real,) = ground.bench.with_key("other/any")
    assert told == {(each.destination, each.slot) for each in ground.bench.cursors(incident_id=real.id)}


def test_nobody_answers_and_the_drill_fails_ends_its_alert_and_is_an_incident(asking: Ground) -> None:
    asking.at(DUE)
    drill = asking.finish()
    assert (drill.outcome, drill.failed, drill.why) == (
        Outcome.FAILED,
        Step.ANSWER,
        "nobody acknowledged within 5m",
    )
    assert asking.incident(drill).state is State.RESOLVED
    assert asking.bench.sandbox.pagerduty.alerts[0].state is AlertState.RESOLVED
    (told,) = asking.own_incidents()
    assert "the drill answered failed at the step answer: nobody acknowledged within 5m" in told.title


def test_who_resolves_it_has_answered_too(asking: Ground) -> None:
    asking.at(DUE)
    asking.run(lambda: asking.drills() and asking.only().step(Step.MESSAGE), "page and message")
    asking.bench.act(Resolve("anna.berg"), asking.only().incident_id)
    drill = asking.finish()
    assert drill.outcome is Outcome.ACCEPTED
    assert asking.incident(drill).state is State.RESOLVED


def test_pagerduty_refuses_and_the_drill_fails_at_the_page_and_says_what_it_answered(ground: Ground) -> None:
    ground.bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=500, times=None)
    ground.at(DUE)
    ground.run(lambda: ground.drills() and ground.only().outcome, "the outcome")
    drill = ground.only()
    assert (drill.outcome, drill.failed) == (Outcome.FAILED, Step.PAGE)
    assert drill.why == "page-oncall: PagerDuty answered with status 500"
    assert (drill.started_at or DUE) + MINUTE <= ground.bench.now <= (drill.started_at or DUE) + MINUTE + 2 * SECOND
    drill = ground.finish()
    assert drill.failed is Step.PAGE
    assert ground.incident(drill).state is State.RESOLVED


def test_an_answer_is_awaited_only_once_the_page_is_accepted(asking: Ground) -> None:
    asking.bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=500, times=1)
    asking.at(DUE)
    asking.run(lambda: asking.drills() and asking.only().step(Step.MESSAGE), "the message")
    assert asking.awaited() is Step.PAGE
    asking.run(lambda: asking.only().step(Step.PAGE), "the page")
    assert asking.awaited() is Step.ANSWER
    asking.bench.act(Acknowledge(MACHINE_ANSWER), asking.only().incident_id)
    assert asking.finish().outcome is Outcome.ACCEPTED
    assert asking.awaited() is None


def test_who_answers_before_the_page_is_accepted_leaves_it_unproven(asking: Ground) -> None:
    asking.bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=500, times=None)
    asking.at(DUE)
    asking.run(lambda: asking.drills() and asking.only().step(Step.MESSAGE), "the message")
    asking.bench.act(Acknowledge("anna.berg"), asking.only().incident_id)
    asking.bench.sandbox.faults.clear()
    drill = asking.finish()
    assert (drill.failed, drill.why) == (Step.PAGE, "page-oncall: PagerDuty answered with status 500")
    assert drill.step(Step.ANSWER)
    assert drill.step(Step.PAGE) is None


def test_who_answers_before_the_page_was_sent_is_named(asking: Ground) -> None:
    asking.at(DUE)
    asking.master.look()
    asking.bench.act(Acknowledge("anna.berg"), asking.bench.incident_ids()[0])
    drill = asking.finish()
    assert (drill.failed, drill.why) == (Step.PAGE, "anna.berg answered before a page was accepted")


def test_a_page_that_is_given_up_fails_the_drill_at_once(ground: Ground) -> None:
    ground.bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=401, times=None)
    ground.at(DUE)
    ground.run(lambda: ground.drills() and ground.only().outcome, "the outcome", 10 * SECOND)
    assert ground.only().why == "page-oncall: PagerDuty refused with status 401"


def test_slack_refuses_and_the_drill_fails_at_the_message(ground: Ground) -> None:
    ground.bench.sandbox.fail("slack", FaultKind.ERROR, error="channel_not_found", times=None)
    ground.at(DUE)
    ground.run(lambda: ground.drills() and ground.only().outcome, "the outcome", 10 * SECOND)
    drill = ground.finish()
    assert drill.failed is Step.MESSAGE
    assert drill.step(Step.PAGE)
    assert ground.bench.sandbox.pagerduty.alerts[0].state is AlertState.RESOLVED


def test_an_alert_that_is_not_taken_is_tried_again_and_then_failed(ground: Ground) -> None:
    ground.way.failure = TransientError("Alertmanager can't be reached: the connection was refused")
    ground.at(DUE)
    for _ in range(10):
        ground.step()
    assert ground.only().outcome is None
    ground.way.failure = None
    assert ground.finish().outcome is Outcome.ACCEPTED
    ground.way.failure = TransientError("Alertmanager can't be reached: the connection was refused")
    ground.at(DUE + WEEK)
    ground.run(lambda: len(ground.drills()) == 2 and ground.drills()[0].ended_at, "the second drill's end")
    drill = ground.drills()[0]
    assert (drill.failed, drill.why) == (Step.SENT, "Alertmanager can't be reached: the connection was refused")


def test_an_alert_that_is_refused_for_good_fails_at_once(ground: Ground) -> None:
    ground.way.failure = PermanentError("the webhook answered with status 401")
    ground.at(DUE)
    ground.step()
    drill = ground.only()
    assert (drill.outcome, drill.failed, drill.why) == (
        Outcome.FAILED,
        Step.SENT,
        "the webhook answered with status 401",
    )
    assert ground.finish().failed is Step.SENT


def test_an_alert_that_alertmanager_takes_and_tells_nobody_of_fails_at_the_incident(ground: Ground) -> None:
    ground.way.lost = ground.way.by_alertmanager = True
    ground.at(DUE)
    drill = ground.finish()
    assert (drill.failed, drill.why) == (Step.OPENED, "the alert was taken, and no incident was opened within 1m")
    assert [each.over for each in ground.way.sent] == [False, True]


def test_an_end_that_alertmanager_tells_nobody_of_fails_at_the_close(ground: Ground) -> None:
    ground.way.by_alertmanager = ground.way.end_lost = True
    ground.at(DUE)
    drill = ground.finish()
    assert (drill.failed, drill.outcome) == (Step.CLOSED, Outcome.FAILED)
    ended = drill.step(Step.ENDED)
    assert ended and drill.ended_at and drill.ended_at - ended.at >= 6 * MINUTE


def test_an_alert_that_nobody_ends_ends_in_alertmanager_by_itself_after_the_drill_could(asking: Ground) -> None:
    asking.at(DUE)
    asking.master.look()
    (alert,) = asking.way.sent
    assert alert.ends_at >= DUE + 5 * MINUTE + 4 * MINUTE


# By hand.


def order(tier: Tier = Tier.P1, system: str = "avalo", **changes: object) -> Order:
    return replace(Order(tier, system, MINUTE, 5 * MINUTE), **changes)  # type: ignore[arg-type]


def test_a_drill_by_hand_runs_at_once_and_one_at_a_time(ground: Ground) -> None:
    begun = ground.bench.runtime.begin_drill(order(answer=None))
    with pytest.raises(RefusedError):
        ground.bench.runtime.begin_drill(order(Tier.P0))
    drill = ground.finish()
    assert (drill.id, drill.name, drill.by_hand, drill.outcome) == (begun.id, None, True, Outcome.ACCEPTED)
    ground.bench.runtime.begin_drill(order(Tier.P0))


def test_an_answer_by_the_drill_itself_is_a_machines_and_named_as_one(ground: Ground) -> None:
    ground.bench.runtime.begin_drill(order())
    ground.run(lambda: ground.only().step(Step.MESSAGE), "the page")
    ground.bench.act(Acknowledge(MACHINE_ANSWER), ground.only().incident_id)
    answer = ground.finish().step(Step.ANSWER)
    assert answer and answer.note == "incidentd drill"


def test_a_failed_drill_by_hand_is_its_beginners_business_and_no_incident(ground: Ground) -> None:
    ground.way.failure = PermanentError("the webhook answered with status 401")
    ground.bench.runtime.begin_drill(order())
    assert ground.finish().outcome is Outcome.FAILED
    assert ground.own_incidents() == []


@pytest.mark.parametrize("tier", list(Tier))
def test_each_tier_can_be_drilled_where_it_pages_nobody_there_is_no_such_step(ground: Ground, tier: Tier) -> None:
    ground.bench.runtime.begin_drill(order(tier, "", answer=None))
    drill = ground.finish()
    assert drill.outcome is Outcome.ACCEPTED
    assert bool(drill.step(Step.PAGE)) is (tier in (Tier.P0, Tier.P1))
    assert drill.step(Step.MESSAGE)


# The ping, numbers, and what is kept.


@pytest.fixture
def all_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delivering, "gets_out", lambda _: (True, "ok"))


@pytest.mark.usefixtures("all_gets_out")
def test_pings_are_withheld_from_a_drill_that_was_not_accepted_until_one_of_its_name_is(ground: Ground) -> None:
    def may_vouch() -> str:
        with twin(ground.bench) as runtime:
            fine, why = runtime._may_vouch()
            assert fine is (why == "ok")
            return why

    assert may_vouch() == "ok"
    ground.at(DUE + timedelta(hours=2))
    ground.master.look()
    assert may_vouch() == "the last drill weekly was missed"
    ground.bench.runtime.begin_drill(order(answer=None))
    ground.run(lambda: ground.drills()[0].ended_at, "the drill by hand")
    assert may_vouch() == "the last drill weekly was missed"
    ground.bench.clock.advance(SECOND)
    ground.bench.runtime.begin_drill(order(name="weekly", answer=None))
    ground.run(lambda: ground.drills()[0].ended_at, "the drill of that name")
    assert may_vouch() == "ok"


@pytest.mark.usefixtures("all_gets_out")
def test_a_failed_drill_by_hand_stops_no_ping_where_the_rules_have_none(database_url: str, tmp_path: Path) -> None:
    for ground in opened(database_url, tmp_path, "# none\n"):
        ground.way.failure = PermanentError("no")
        ground.bench.runtime.begin_drill(order())
        ground.finish()
        assert ground.bench.runtime._may_vouch() == (True, "ok")


def test_how_drills_stand_is_read_from_the_database(ground: Ground) -> None:
    def stands() -> standing.Standing:
        return ground.bench.store.read(lambda tx: standing.read(tx, ground.bench.now))

    assert (stands().drills, stands().since_accepted) == ({}, {})
    ground.at(DUE)
    ground.finish()
    ground.bench.clock.advance(MINUTE)
    assert stands().drills == {"weekly": True}
    assert MINUTE <= stands().since_accepted["weekly"] <= MINUTE + STEP
    ground.at(DUE + WEEK + timedelta(hours=3))
    ground.master.look()
    assert stands().drills == {"weekly": False}
    assert stands().since_accepted["weekly"] > WEEK


def test_a_drill_is_no_incident_of_the_statistics(ground: Ground) -> None:
    ground.at(DUE)
    drill = ground.finish()
    assert is_drill(ground.incident(drill).system)
    ground.bench.clock.advance(timedelta(days=500))
    pruned = Pruner(ground.bench.store, ground.bench.now, timedelta(days=400), dry=False, pause=lambda _: None).run()
    assert pruned.incidents == 1
    years = timedelta(days=3650)
    kept = ground.bench.store.read(lambda tx: summaries.between(tx, DUE - years, DUE + years))
    assert kept == []


def test_old_drills_go_but_for_the_last_of_each_name(ground: Ground) -> None:
    for week in range(3):
        ground.at(DUE + week * WEEK)
        ground.master.look()
        ground.run(lambda: ground.drills()[0].ended_at, "the drill's end")
    ground.bench.runtime.begin_drill(order(answer=None))
    ground.run(lambda: ground.drills()[0].ended_at, "the drill by hand")
    later = ground.bench.now + timedelta(days=30)
    for dry in (True, False):
        pruned = Pruner(ground.bench.store, later, timedelta(days=7), dry=dry, pause=lambda _: None).run()
        assert pruned.drills == 3
    assert [each.due_at for each in ground.drills()] == [DUE + 2 * WEEK]


def test_a_database_that_is_away_makes_nobody_forget(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.at(DUE)
    with monkeypatch.context() as away:

        def refuse(_work: object) -> object:
            raise StoreUnavailableError("away")

        away.setattr(ground.bench.store, "write", refuse)
        with pytest.raises(StoreUnavailableError):
            ground.master.look()
    assert ground.drills() == []
    ground.bench.clock.advance(10 * MINUTE)
    ground.master.look()
    assert ground.finish().outcome is Outcome.ACCEPTED


def test_the_thread_begins_with_the_first_cycle_and_ends_with_the_process(ground: Ground) -> None:
    closed = threading.Event()
    ground.way.close = closed.set  # type: ignore[method-assign]
    ground.master.begin()
    ground.master.begin()
    ground.master.close()
    assert closed.wait(120)
