from datetime import UTC, timedelta

import pytest

from incidentd.clock import ManualClock, SteadyClock, SystemClock


def test_now_is_aware_and_utc() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.parametrize("passed", [0.0, 1.0, 86_400.0])
def test_time_that_passes_is_no_jump(passed: float) -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    clock.advance(timedelta(seconds=passed))
    assert steady.now() == clock.now()
    assert steady.jump is None


@pytest.mark.parametrize("off", [5.0, -5.0])
def test_a_small_correction_is_followed_at_once(off: float) -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    clock.jump(timedelta(seconds=off))
    assert steady.now() == clock.now()
    assert steady.jump is None


@pytest.mark.parametrize("off", [5.1, -5.1, 3_600.0, -86_400.0])
def test_a_jump_is_not_believed_for_a_minute(off: float) -> None:  # model 40
    clock = ManualClock()
    steady = SteadyClock(clock)
    before = clock.now()
    clock.jump(timedelta(seconds=off))
    assert steady.now() == before
    assert steady.jump == timedelta(seconds=off)
    clock.advance(timedelta(seconds=59))
    assert steady.now() == before + timedelta(seconds=59)
    clock.advance(timedelta(seconds=1))
    assert steady.now() == clock.now()
    assert steady.jump is None


def test_a_clock_that_jumps_back_in_time_is_believed_again_at_once() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    clock.jump(timedelta(hours=1))
    assert steady.now() == clock.now() - timedelta(hours=1)
    clock.jump(-timedelta(hours=1))
    assert steady.now() == clock.now()
    assert steady.jump is None


@pytest.mark.parametrize("off", [3_600.0, -3_600.0])
def test_a_leap_is_told_once_when_it_is_believed(off: float) -> None:  # model 40
    clock = ManualClock()
    steady = SteadyClock(clock)
    clock.jump(timedelta(seconds=off))
    steady.now()
    assert steady.leap() is None
    clock.advance(timedelta(seconds=60))
    steady.now()
    assert steady.leap() == timedelta(seconds=off)
    assert steady.leap() is None


def test_a_jump_that_was_taken_back_is_no_leap() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    clock.jump(timedelta(hours=1))
    steady.now()
    clock.jump(-timedelta(hours=1))
    clock.advance(timedelta(seconds=61))
    steady.now()
    assert steady.leap() is None
