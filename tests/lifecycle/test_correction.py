"""A clock that was ahead has gone back: no level waits for the time that was never true (model 40)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from incidentd.clock import DOUBT, SteadyClock
from incidentd.follower import Follower
from incidentd.lifecycle.correction import Correction
from incidentd.lifecycle.pulse import Pulse
from incidentd.sandbox.fault import FaultKind
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, lesser
from tests.servers import wait_until

DAY = timedelta(days=1)


@pytest.fixture
def correction(bench: Bench) -> Correction:
    return Correction(bench.store, bench.runtime.rulebook, lambda: bench.now, 3 * SECOND, 30 * SECOND, lambda _: None)


@pytest.fixture
def opened_ahead(bench: Bench) -> None:
    """One incident by the true time, one by a clock that is a day ahead, a minute before it goes back."""
    bench.hear(lesser("true", "critical"))
    bench.clock.jump(DAY)
    bench.hear(alert("false"))
    bench.clock.advance(MINUTE)
    bench.clock.jump(-DAY)


@pytest.mark.usefixtures("opened_ahead")
@pytest.mark.parametrize("known", [DAY, None])
def test_levels_climb_as_if_the_clock_had_been_right(bench: Bench, correction: Correction, known: timedelta) -> None:
    correction.correct(known)
    (false,) = bench.with_key("false")
    assert BEGIN + 5 * MINUTE <= false.next_at <= BEGIN + 6 * MINUTE  # type: ignore[operator]
    bench.forward(5 * MINUTE)
    assert [event.dedup_key for event in bench.events("trigger", level=2)]
    assert bench.incident(false.id).level == 2


@pytest.mark.usefixtures("opened_ahead")
def test_what_the_true_time_had_set_stays(bench: Bench, correction: Correction) -> None:
    (before,) = bench.with_key("true")
    correction.correct(DAY)
    assert bench.with_key("true") == [before]


@pytest.mark.usefixtures("opened_ahead")
def test_correcting_twice_moves_nothing_twice(bench: Bench, correction: Correction) -> None:
    correction.correct(DAY)
    before = [bench.timeline(id_) for id_ in bench.incident_ids()]
    assert correction.correct(DAY) == correction.correct() == 0
    assert [bench.timeline(id_) for id_ in bench.incident_ids()] == before


def test_a_clock_that_was_always_right_costs_one_look(bench: Bench, correction: Correction) -> None:
    bench.hear(alert())
    assert correction.correct() == 0
    assert bench.kinds() == ["opened"]


def test_the_second_try_of_a_page_does_not_wait_for_the_false_time(bench: Bench, correction: Correction) -> None:
    bench.clock.jump(4 * MINUTE)
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=1)
    bench.hear(alert())
    bench.settle()
    assert not bench.events("trigger")
    bench.clock.jump(-4 * MINUTE)
    correction.correct(4 * MINUTE)
    bench.forward(30 * SECOND)
    assert bench.events("trigger")


@pytest.mark.usefixtures("opened_ahead")
def test_a_process_notices_by_itself_once_it_believes_the_clock(
    bench: Bench, correction: Correction, follow: Callable[[SteadyClock], None]
) -> None:
    """The jump was seen by nobody who is alive: at the start each process looks."""
    follow(SteadyClock(bench.clock))
    wait_until(lambda: "clock_set_back" in bench.kinds(bench.with_key("false")[0].id), "the correction")


def test_a_jump_back_is_corrected_once_it_is_believed(bench: Bench, follow: Callable[[SteadyClock], None]) -> None:
    bench.clock.jump(DAY)
    steady = SteadyClock(bench.clock)
    bench.hear(alert())
    follow(steady)
    assert bench.kinds() == ["opened"]
    bench.clock.jump(-DAY)
    wait_until(lambda: steady.jump is not None, "the jump to be noticed")
    bench.clock.advance(DOUBT)
    (incident_id,) = [found.id for found in bench.with_key("core-api")]
    wait_until(lambda: "clock_set_back" in bench.kinds(incident_id), "the correction")
    assert bench.incident(incident_id).next_at == BEGIN + 5 * MINUTE


@pytest.fixture
def follow(bench: Bench, correction: Correction, request: pytest.FixtureRequest) -> Callable[[SteadyClock], None]:
    """Begins to follow with a given clock, until the test's end."""

    def begin(steady: SteadyClock) -> None:
        runtime = bench.runtime
        follower = Follower(
            runtime.rulebook,
            runtime.admission,
            None,
            steady,
            correction,
            Pulse(runtime.rulebook),
            bench.clock.now,
            runtime.submit_webhook,
            runtime.truth.hearing.store,
            runtime.meter,
        )
        request.addfinalizer(follower.close)

    return begin
