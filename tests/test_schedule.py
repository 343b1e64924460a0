"""What recurs by a local clock comes once on each of its days, whatever the clock is set to."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentd.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
MOMENT = timedelta(microseconds=1)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe", "UTC")

schedules = st.builds(
    Schedule,
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
instants = st.integers(0, 15 * 366 * 86_400).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@settings(max_examples=200, deadline=None)
@given(schedules, instants)
def test_the_next_time_lies_ahead_within_eight_days_and_on_one_of_its_days(each: Schedule, now: datetime) -> None:
    found = each.next_after(now)
    assert found is not None
    assert now < found <= now + timedelta(days=8, hours=1)
    local = found.astimezone(each.zone)
    assert local.weekday() in each.weekdays
    # But for the hour that summer time leaves out, it is the time of day that was asked for.
    real = local.replace(tzinfo=None).replace(second=0, microsecond=0)
    asked = datetime.combine(local.date(), each.at)
    assert timedelta(0) <= real - asked <= timedelta(hours=1)


@settings(max_examples=100, deadline=None)
@given(schedules, instants, st.integers(1, 60))
def test_each_of_its_days_has_one_time_however_often_one_asks(each: Schedule, since: datetime, days: int) -> None:
    until = since + timedelta(days=days)
    times = each.within(since, until, 100)
    assert times == sorted(set(times))
    local_days = [at.astimezone(each.zone).date() for at in times]
    assert len(set(local_days)) == len(local_days)
    first, last = since.astimezone(each.zone).date(), until.astimezone(each.zone).date()
    between = [first + timedelta(days=n) for n in range(1, (last - first).days)]
    assert {day for day in between if day.weekday() in each.weekdays} <= set(local_days)
    middle = since + (until - since) / 2
    assert each.within(since, middle, 100) + each.within(middle + MOMENT, until, 100) == times


@pytest.mark.parametrize(
    ("after", "next_at"),
    [
        ("2026-01-06T12:00", "2026-01-07T09:00"),
        ("2026-01-07T08:59:59", "2026-01-07T09:00"),
        ("2026-01-07T09:00", "2026-01-14T09:00"),
        # Summer time begins on 29 March 2026: the same local hour, an hour earlier in UTC.
        ("2026-03-26T00:00", "2026-04-01T08:00"),
        # And ends on 25 October 2026.
        ("2026-10-22T00:00", "2026-10-28T09:00"),
    ],
)
def test_ten_on_wednesdays_in_berlin_is_ten_in_summer_and_in_winter(after: str, next_at: str) -> None:
    assert Schedule(frozenset({2}), time(10, 0), BERLIN).next_after(utc(after)) == utc(next_at)


def test_a_time_that_summer_time_leaves_out_comes_an_hour_later_by_the_clock_and_once() -> None:
    nights = Schedule(EVERY_DAY, time(2, 30), BERLIN)
    found = nights.within(utc("2026-03-28T00:00"), utc("2026-03-30T12:00"), 10)
    assert found == [utc("2026-03-28T01:30"), utc("2026-03-29T01:30"), utc("2026-03-30T00:30")]
    assert [at.astimezone(BERLIN).hour for at in found] == [2, 3, 2]


def test_a_time_that_comes_twice_when_summer_time_ends_counts_the_first_time_only() -> None:
    nights = Schedule(EVERY_DAY, time(2, 30), BERLIN)
    found = nights.within(utc("2026-10-24T12:00"), utc("2026-10-26T12:00"), 10)
    assert found == [utc("2026-10-25T00:30"), utc("2026-10-26T01:30")]


def test_holidays_are_left_out_and_where_all_days_are_it_never_comes() -> None:
    off = {utc("2026-12-23").date(), utc("2026-12-30").date()}
    wednesdays = Schedule(frozenset({2}), time(10, 0), BERLIN, off.__contains__)
    assert wednesdays.next_after(utc("2026-12-20")) == utc("2027-01-06T09:00")
    assert Schedule(EVERY_DAY, time(10, 0), BERLIN, lambda _: True).next_after(utc("2026-01-01")) is None


def test_only_the_last_times_of_a_long_absence_are_named() -> None:
    daily = Schedule(EVERY_DAY, time(10, 0), BERLIN)
    found = daily.within(utc("2026-01-01"), utc("2026-06-01T12:00"), 3)
    assert found == [utc("2026-05-30T08:00"), utc("2026-05-31T08:00"), utc("2026-06-01T08:00")]
