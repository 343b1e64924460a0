from datetime import UTC, timedelta

import pytest

from incidentd.clock import JumpDetector, ManualClock, SystemClock


def test_now_is_aware_and_utc() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.parametrize("passed", [0.0, 1.0, 86_400.0])
def test_time_that_passes_is_no_jump(passed: float) -> None:
    clock = ManualClock()
    detector = JumpDetector(clock)
    clock.advance(timedelta(seconds=passed))
    assert detector.observe() is None


@pytest.mark.parametrize(
    ("off", "seen"), [(5.0, None), (-5.0, None), (5.1, 5.1), (-5.1, -5.1), (3600.0, 3600.0), (-86_400.0, -86_400.0)]
)
def test_more_than_five_seconds_against_the_monotonic_clock_is_a_jump(off: float, seen: float | None) -> None:
    clock = ManualClock()
    detector = JumpDetector(clock)
    clock.advance(timedelta(seconds=1))
    clock.jump(timedelta(seconds=off))
    assert detector.observe() == (None if seen is None else timedelta(seconds=seen))
    assert detector.observe() is None
