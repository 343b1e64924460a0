"""Degraded modes: what is missing is said once it lasts, in words that hold, and no longer than it lasts."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection
from structlog.testing import capture_logs

from incidentd.classify.kind import KINDS
from incidentd.errors import StoreUnavailableError
from incidentd.lifecycle.crash_loop import in_words, looping
from incidentd.lifecycle.degraded import PRODUCTS, REFUSED_FOR, SOCKET_PATIENCE, Known, Mode, Receiver, degraded, modes
from incidentd.lifecycle.lookout import HANGS_SECONDS, Lookout
from incidentd.lifecycle.reception import Course
from incidentd.lifecycle.socket_standing import SocketAway, SocketStanding
from incidentd.sandbox.fault import FaultKind
from incidentd.store import cycles
from incidentd.store.deliveries import Outcome
from incidentd.store.reception import Attempt
from tests.lifecycle.bench import BEGIN, KEYS, MINUTE, SECOND, Bench, alert

HOUR = 60 * MINUTE
NOW = BEGIN + HOUR
WELL = Known(began_at=BEGIN, cycle_at=NOW)
AWAY = Receiver(
    name="page-oncall",
    kind="pagerduty",
    place="PagerDuty (page-oncall)",
    pages=True,
    stand_in="Slack #incidents",
    failing_since=NOW - 3 * MINUTE,
    waits=2,
    tries=5,
)


def said(known: Known, now: datetime = NOW) -> list[str]:
    return [f"{each.fact}|{each.meaning}" for each in degraded(known, now)]


def test_nothing_is_said_where_all_is_there() -> None:
    assert degraded(replace(WELL, receivers=(replace(AWAY, failing_since=None),)), NOW) == ()


def test_a_socket_is_missed_once_it_is_away_for_longer_than_a_reconnection_takes() -> None:
    for since, missed in ((NOW - SOCKET_PATIENCE, []), (NOW - SOCKET_PATIENCE - SECOND, [Mode.SLACK_SOCKET])):
        known = replace(WELL, socket_away=SocketAway(since))
        assert [each.mode for each in degraded(known, NOW)] == missed


def test_a_standing_is_away_only_where_a_connection_is_expected_and_none_is_open() -> None:
    standing = SocketStanding(lambda: NOW)
    assert (standing.is_expected, standing.away is None) == (False, True)
    standing.expect()
    assert standing.away == SocketAway(NOW)
    assert [standing.failed("a", refused=False), standing.failed("a", refused=True)] == [True, False]
    assert standing.away == SocketAway(NOW, "a", refused=True)
    standing.opened()
    standing.opened()
    standing.closed()
    assert (standing.open_connections, standing.away is None) == (1, True)
    standing.closed()
    assert (standing.open_connections, standing.away == SocketAway(NOW)) == (0, True)


def test_every_kind_of_receiver_has_a_mode_and_a_name() -> None:
    assert {*KINDS} == {*PRODUCTS}
    assert {*KINDS} <= {mode.value for mode in Mode}


def test_a_receiver_that_is_away_is_named_with_what_stands_in_for_it() -> None:
    (found,) = degraded(replace(WELL, receivers=(AWAY,)), NOW)
    assert (found.mode, found.since, found.destination) == (Mode.PAGERDUTY, NOW - 3 * MINUTE, "page-oncall")
    assert found.fact == "PagerDuty (page-oncall) has not accepted pages"
    assert found.meaning == "They go to Slack #incidents as well, and are tried again."


@pytest.mark.parametrize(
    "changed",
    [
        {"tries": 1},
        {"waits": 0, "tries": 0},
        {"failing_since": None},
        {"failing_since": NOW - SECOND},
    ],
    ids=["tried once", "nothing waits", "accepted since", "a moment ago"],
)
def test_a_receiver_is_not_away_for(changed: dict[str, object]) -> None:
    assert degraded(replace(WELL, receivers=(replace(AWAY, **changed),)), NOW) == ()  # type: ignore[arg-type]


def test_a_refusal_for_good_is_said_though_nothing_waits_and_not_for_ever() -> None:
    refusing = replace(AWAY, waits=0, tries=0, refused_at=NOW - MINUTE, cause="invalid routing key")
    (words,) = said(replace(WELL, receivers=(refusing,)))
    assert words == (
        "PagerDuty (page-oncall) has refused pages|They go to Slack #incidents as well. "
        "Each is tried again when there is news of it. It says: invalid routing key."
    )
    later = NOW + REFUSED_FOR
    assert said(replace(WELL, cycle_at=later, receivers=(refusing,)), later) == []


def test_without_the_database_nothing_is_claimed_of_timekeepers_and_receivers() -> None:
    known = replace(WELL, database_since=NOW - MINUTE, cycle_at=BEGIN, receivers=(AWAY,), redis_since=NOW)
    assert [each.mode for each in degraded(known, NOW)] == [Mode.DATABASE, Mode.REDIS]


def test_processes_that_keep_dying_are_named_and_forgotten_half_a_minute_after_the_last_death() -> None:
    deaths = {"page": NOW - 20 * SECOND, "escalate": NOW - 5 * SECOND, "tell": NOW - HOUR}
    assert looping(deaths, NOW) == ("escalate", "page")
    assert looping(deaths, NOW + 15 * SECOND) == ("escalate",)
    assert in_words(("escalate", "page")) == "escalate and page end as soon as they start"
    assert in_words(("page",)) == "page ends as soon as it starts"
    (found,) = degraded(replace(WELL, dying_since={"page": NOW - MINUTE, "escalate": NOW}), NOW)
    assert (found.mode, found.since) == (Mode.WORKERS, NOW - MINUTE)
    assert "(escalate, page)" in found.fact
    assert degraded(replace(WELL, dying_since={"page": NOW}, database_since=NOW), NOW)[0].mode is Mode.DATABASE


def test_a_start_is_not_taken_for_a_timekeeper_that_is_gone() -> None:
    known = Known(began_at=NOW, cycle_at=BEGIN)
    assert degraded(known, NOW + 10 * SECOND) == ()
    (found,) = degraded(known, NOW + 11 * SECOND)
    assert (found.mode, found.since) == (Mode.TIMEKEEPER, BEGIN)
    (found,) = degraded(replace(known, cycle_at=None), NOW + 11 * SECOND)
    assert found.since == NOW


def test_attempts_come_to_the_same_in_whatever_order_and_however_often_they_are_read() -> None:
    attempts = [
        Attempt("d", BEGIN, Outcome.FAILED, "503"),
        Attempt("d", BEGIN + SECOND, Outcome.ACCEPTED, ""),
        Attempt("d", BEGIN + 2 * SECOND, Outcome.FAILED, "503"),
        Attempt("d", BEGIN + 3 * SECOND, Outcome.FAILED, "503"),
    ]
    for order in permutations(attempts):
        course = Course()
        for attempt in [*order, *order]:
            course = course.after(attempt)
        assert (course.accepted_at, course.failing_since) == (BEGIN + SECOND, BEGIN + 2 * SECOND)


def _looked(bench: Bench) -> dict[str, str]:
    """What is degraded beside the timekeeper, which doesn't go round here."""
    bench.runtime.store.write(lambda tx: cycles.beat(tx, "one", bench.now))
    bench.runtime.lookout.look()
    return {each.destination or each.mode: each.fact for each in bench.runtime.degraded()}


def test_pagerduty_refuses_and_it_is_said_until_it_accepts_again(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=None, target=KEYS[1])
    bench.hear(alert())
    bench.settle()
    assert _looked(bench) == {}
    bench.forward(MINUTE)
    assert _looked(bench) == {"page-oncall": "PagerDuty (page-oncall) has not accepted pages"}
    (found,) = bench.runtime.degraded()
    assert timedelta(0) <= found.since - BEGIN < 5 * SECOND
    bench.sandbox.faults.clear()
    bench.forward(MINUTE)
    assert _looked(bench) == {}


def test_a_receiver_that_is_away_for_minutes_is_one_incident_told_elsewhere_and_over_when_it_accepts(
    bench: Bench,
) -> None:
    bench.sandbox.fail("slack", FaultKind.STATUS, status=503, times=None, target="#management")
    bench.hear(alert("first"), alert("second"))
    bench.forward(4 * MINUTE)
    assert bench.with_key("incidentd/away") == []
    bench.forward(2 * MINUTE)
    (away,) = bench.with_key("incidentd/away")
    assert (away.key, away.tier.value) == ("incidentd/away/management", "P1")
    assert away.title == "incidentd: destination management has accepted nothing since 12:00:00 UTC"
    assert "management" in str([event.payload["summary"] for event in bench.events("trigger", level=1)])
    bench.forward(40 * MINUTE)
    assert [each.resolved_at for each in bench.with_key("incidentd/away")] == [None]
    bench.sandbox.faults.clear()
    bench.forward(2 * MINUTE)
    (over,) = bench.with_key("incidentd/away")
    assert over.resolved_at is not None
    assert _looked(bench) == {}


def test_each_affected_incident_says_what_failed_first_what_stood_in_and_when_it_was_accepted(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=None, target=KEYS[1])
    bench.hear(alert())
    bench.forward(MINUTE)
    bench.sandbox.faults.clear()
    bench.forward(MINUTE)
    kinds = [kind for kind in bench.kinds() if kind in ("delivery_failed", "fell_back")]
    assert kinds == ["delivery_failed", "fell_back"]
    accepted = [e.data.destination for e in bench.timeline() if e.kind == "accepted"]  # type: ignore[union-attr]
    assert {"incidents", "page-oncall"} <= set(accepted)


def test_a_database_that_hangs_is_noticed_while_it_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, asked, gate = bench.runtime, threading.Event(), threading.Event()
    lookout = Lookout(runtime.store, runtime.rulebook, runtime.clock, lambda: None, lambda: None)
    read = runtime.store.read

    def hang(work: Callable[[Connection], object]) -> object:
        asked.set()
        assert gate.wait(120)
        return read(work)

    monkeypatch.setattr(runtime.store, "read", hang)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(lookout.look)
        assert asked.wait(120)
        assert modes(lookout.degraded) == set()
        bench.clock.advance(timedelta(seconds=HANGS_SECONDS + 1))
        assert [(each.mode, each.since) for each in lookout.degraded] == [(Mode.DATABASE, BEGIN)]
        gate.set()
        looking.result(120)
    assert modes(lookout.degraded) == set()


def test_redis_is_away_when_it_missed_twice_and_back_when_it_answers(bench: Bench) -> None:
    answers: list[bool | None] = [False, False, True, None]
    runtime = bench.runtime
    lookout = Lookout(runtime.store, runtime.rulebook, runtime.clock, lambda: answers.pop(0), lambda: None)
    found: list[list[tuple[Mode, datetime]]] = []
    for _ in range(4):
        lookout.look()
        found.append([(each.mode, each.since) for each in lookout.degraded])
        bench.clock.advance(2 * SECOND)
    assert found == [[], [(Mode.REDIS, BEGIN)], [], []]


def test_the_log_says_once_when_something_is_missing_and_when_it_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = bench.runtime
    lookout = Lookout(runtime.store, runtime.rulebook, runtime.clock, lambda: None, lambda: None)

    def away(_work: object) -> None:
        raise StoreUnavailableError("away")

    with capture_logs() as lines:
        with monkeypatch.context() as patched:
            patched.setattr(runtime.store, "read", away)
            lookout.look()
            bench.clock.advance(MINUTE)
            lookout.look()
            (found,) = lookout.degraded
            assert (found.mode, found.since) == (Mode.DATABASE, BEGIN)
        runtime.store.write(lambda tx: cycles.beat(tx, "one", bench.now))
        lookout.look()
    assert [(line["event"], line["mode"]) for line in lines] == [
        ("degraded", "database"),
        ("degraded_no_more", "database"),
    ]


def test_every_mode_has_its_section_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "degraded.md").read_text("utf-8")
    sections = page.split("\n## ")[1:]
    for mode in Mode:
        (section,) = [each for each in sections if f"`{mode}`" in each.partition("\n")[0]]
        for asked in (
            "**What still works.**",
            "**What you see.**",
            "**What it costs.**",
            "**How it ends.**",
            "**What to do.**",
        ):
            assert asked in section, (mode, asked)
