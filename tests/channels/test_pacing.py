"""Back-off, Retry-After and the token bucket, as tables."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.channels.backoff import next_try
from incidentd.channels.bucket import take
from incidentd.channels.retry_after import parse_retry_after
from tests.channels.story import NOW


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("attempts", "shortest", "longest"),
    [(0, 0.5, 1), (1, 0.5, 1), (2, 1, 2), (3, 2, 4), (4, 4, 8), (5, 8, 16), (6, 15, 30), (7, 15, 30), (10_000, 15, 30)],
)
def test_the_wait_doubles_from_1_s_to_30_s_with_jitter(attempts: int, shortest: float, longest: float) -> None:
    assert next_try(attempts, None, NOW, lambda: 0.0) == NOW + seconds(shortest)
    assert next_try(attempts, None, NOW, lambda: 1.0) == NOW + seconds(longest)


@pytest.mark.parametrize(("asked", "waits"), [(0.2, 1), (20, 20), (60, 60), (3600, 60)])
def test_retry_after_is_kept_up_to_60_s(asked: float, waits: float) -> None:
    assert next_try(1, seconds(asked), NOW, lambda: 1.0) == NOW + seconds(waits)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", 0),
        ("1", 1),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("3600", 60),
        ("9" * 60, 60),
        ("9" * 5000, None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("abc", None),
        ("", None),
        (None, None),
        ("Sat, 21 Nov 2026 12:00:20 GMT", 20),
        ("Sat, 21 Nov 2026 12:00:20 -0000", 20),
        ("Sat, 21 Nov 2026 11:00:00 GMT", None),
        ("Sat, 21 Nov 9999 11:00:00 GMT", 60),
        ("Sat, 99 Nov 2026 12:00:20 GMT", None),
    ],
)
def test_retry_after_says_how_long_to_wait(header: str | None, wait: float | None) -> None:
    assert parse_retry_after(header, NOW) == (None if wait is None else seconds(wait))


@given(st.text(max_size=80))
def test_retry_after_takes_anything(header: str) -> None:
    wait = parse_retry_after(header, NOW)
    assert wait is None or seconds(0) <= wait <= seconds(60)


@pytest.mark.parametrize(
    ("level", "idle", "wanted", "granted", "left", "next_in"),
    [
        (5, 0, 3, 3, 2, 0),
        (2, 0, 3, 2, 0, 1),
        (0, 0, 1, 0, 0, 1),
        (0, 0.25, 1, 0, 0.25, 0.75),
        (0, 1, 1, 1, 0, 1),
        (0, 3600, 50, 10, 0, 1),
        (99, 0, 50, 10, 0, 1),
        (-7, 0, 1, 0, 0, 1),
        (4, -86_400, 4, 4, 0, 1),
    ],
)
def test_a_bucket_of_60_a_minute_and_10_at_once(
    level: float, idle: float, wanted: int, granted: int, left: float, next_in: float
) -> None:
    taken = take(level, NOW - seconds(idle), NOW, wanted, per_minute=60, burst=10)
    assert (taken.granted, taken.at, taken.next_at) == (granted, NOW, NOW + seconds(next_in))
    assert taken.level == pytest.approx(left)


def test_0_a_minute_means_that_nothing_is_bounded() -> None:
    taken = take(0, NOW, NOW, 5000, per_minute=0, burst=0)
    assert (taken.granted, taken.next_at) == (5000, NOW)


@given(
    st.lists(st.tuples(st.integers(0, 90_000_000), st.integers(0, 50)), max_size=30),
    st.integers(1, 600),
    st.integers(0, 20),
)
def test_a_bucket_never_gives_more_than_its_rate_and_burst(
    steps: list[tuple[int, int]], per_minute: int, burst: int
) -> None:
    level, at, now, total = float(max(1, burst)), NOW, NOW, 0
    for micros, wanted in steps:
        now += timedelta(microseconds=micros)
        taken = take(level, at, now, wanted, per_minute, burst)
        level, at, total = taken.level, taken.at, total + taken.granted
        assert 0 <= taken.granted <= wanted
        assert total <= max(1, burst) + (now - NOW).total_seconds() * per_minute / 60 + 1e-3


def test_who_comes_back_when_told_gets_a_token() -> None:
    level, at, now = 0.0, NOW, NOW
    for _ in range(100):
        taken = take(level, at, now, 1, per_minute=7, burst=3)
        now = max(now, taken.next_at)
        after = take(taken.level, taken.at, now, 1, per_minute=7, burst=3)
        assert after.granted == 1
        level, at = after.level, after.at
    assert isinstance(now, datetime)
