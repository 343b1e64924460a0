"""Business time: the clocks stand still outside opening hours (model 16)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.calendars import ALWAYS, Calendar, CalendarError
from incidentd.policy import ResponseTime

WEEK = frozenset(range(5))
QUARTER = timedelta(minutes=15)
DAYS = Calendar("days", weekdays=WEEK)
HOURS = Calendar("hours", weekdays=WEEK, opens=time(9), closes=time(17))
BERLIN = Calendar("berlin", zone=ZoneInfo("Europe/Berlin"), weekdays=WEEK, opens=time(9), closes=time(17))
XMAS = Calendar("xmas", weekdays=WEEK, opens=time(9), closes=time(17), is_holiday={date(2026, 12, 25)}.__contains__)


def at(text: str) -> datetime:
    """``2026-03-06 17:00`` in UTC. 2026-03-06 is a Friday."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("calendar", "start", "minutes", "end"),
    [
        (ALWAYS, "2026-03-07 03:00", 15, "2026-03-07 03:15"),
        (HOURS, "2026-03-06 10:00", 15, "2026-03-06 10:15"),
        # Exactly the closing time is still within the day.
        (HOURS, "2026-03-06 16:45", 15, "2026-03-06 17:00"),
        (HOURS, "2026-03-06 16:50", 15, "2026-03-09 09:05"),
        (HOURS, "2026-03-06 17:00", 15, "2026-03-09 09:15"),
        (HOURS, "2026-03-07 12:00", 15, "2026-03-09 09:15"),
        (HOURS, "2026-03-09 03:00", 15, "2026-03-09 09:15"),
        (HOURS, "2026-03-06 16:00", 9 * 60, "2026-03-09 17:00"),
        (HOURS, "2026-03-06 16:00", 9 * 60 + 1, "2026-03-10 09:01"),
        (DAYS, "2026-03-06 23:30", 60, "2026-03-09 00:30"),
        (XMAS, "2026-12-24 16:30", 60, "2026-12-28 09:30"),
        # 10:00 in Berlin is 09:00 UTC on the Friday before summer time begins, and 08:00 UTC on the Monday after.
        (BERLIN, "2026-03-27 15:00", 120, "2026-03-30 08:00"),
        (BERLIN, "2026-10-23 14:00", 120, "2026-10-26 09:00"),
    ],
)
def test_duration_counts_only_while_open(calendar: Calendar, start: str, minutes: int, end: str) -> None:
    assert calendar.add(at(start), timedelta(minutes=minutes)) == at(end)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-06 17:00", "2026-03-09 17:00"),
        ("2026-03-07 12:00", "2026-03-10 00:00"),
        ("2026-03-08 23:59", "2026-03-10 00:00"),
        ("2026-03-09 00:00", "2026-03-10 00:00"),
        ("2026-03-10 09:30", "2026-03-11 09:30"),
    ],
)
def test_next_business_day_is_a_whole_local_day(start: str, end: str) -> None:
    assert ResponseTime(days=1).deadline(at(start), DAYS) == at(end)


def test_business_day_keeps_the_local_time_over_summer_time() -> None:
    berlin = Calendar("berlin", zone=ZoneInfo("Europe/Berlin"), weekdays=WEEK)

    # 17:00 in Berlin on both days.
    assert berlin.add_days(at("2026-03-27 16:00"), 1) == at("2026-03-30 15:00")


def test_business_day_skips_holidays() -> None:
    assert XMAS.add_days(at("2026-12-24 10:00"), 1) == at("2026-12-28 10:00")
    assert XMAS.add_days(at("2026-12-25 10:00"), 1) == at("2026-12-29 00:00")


def test_several_business_days_pass_the_weekend() -> None:
    assert DAYS.add_days(at("2026-03-05 12:00"), 3) == at("2026-03-10 12:00")


@pytest.mark.parametrize(
    ("when", "is_open", "opens"),
    [
        ("2026-03-06 08:59", False, "2026-03-06 09:00"),
        ("2026-03-06 09:00", True, "2026-03-06 09:00"),
        ("2026-03-06 16:59", True, "2026-03-06 16:59"),
        ("2026-03-06 17:00", False, "2026-03-09 09:00"),
        ("2026-03-07 12:00", False, "2026-03-09 09:00"),
    ],
)
def test_opens_at_the_first_minute_and_closes_at_the_last(when: str, is_open: bool, opens: str) -> None:
    assert HOURS.is_open(at(when)) is is_open
    assert HOURS.next_open(at(when)) == at(opens)


def test_always_is_open_at_any_time() -> None:
    assert ALWAYS.is_open(at("2026-12-25 03:00"))
    assert ALWAYS.next_open(at("2026-12-25 03:00")) == at("2026-12-25 03:00")


def test_calendar_that_never_opens_says_so() -> None:
    never = Calendar("never", weekdays=frozenset())

    with pytest.raises(CalendarError, match="never does not open again"):
        never.add(at("2026-03-06 10:00"), timedelta(minutes=1))
    with pytest.raises(CalendarError, match="never has no business day"):
        never.add_days(at("2026-03-06 10:00"), 1)


def test_day_without_a_midnight_begins_when_it_begins() -> None:
    # Summer time begins in Cairo at 00:00 on Friday 2026-04-24.
    cairo = Calendar("cairo", zone=ZoneInfo("Africa/Cairo"), weekdays=frozenset({4}))

    assert cairo.next_open(at("2026-04-23 12:00")) == at("2026-04-23 22:00")


def test_tier_without_a_response_has_no_deadline() -> None:
    assert ResponseTime().deadline(at("2026-03-06 10:00"), DAYS) is None


INSTANTS = st.timedeltas(timedelta(0), timedelta(days=7300)).map(lambda later: at("2020-01-01") + later)
SPANS = st.timedeltas(timedelta(0), timedelta(days=30))
CALENDARS = st.sampled_from([ALWAYS, DAYS, HOURS, BERLIN, XMAS])


@given(CALENDARS, INSTANTS, SPANS)
def test_a_calendar_never_brings_a_deadline_forward(calendar: Calendar, start: datetime, span: timedelta) -> None:
    assert calendar.add(start, span) >= start + span


@given(CALENDARS, INSTANTS, SPANS, SPANS)
def test_a_longer_duration_never_ends_earlier(
    calendar: Calendar, start: datetime, first: timedelta, more: timedelta
) -> None:
    assert calendar.add(start, first) <= calendar.add(start, first + more)


@given(CALENDARS, INSTANTS, SPANS, SPANS)
def test_two_durations_in_turn_are_their_sum(
    calendar: Calendar, start: datetime, first: timedelta, second: timedelta
) -> None:
    if second:
        assert calendar.add(calendar.add(start, first), second) == calendar.add(start, first + second)


@given(CALENDARS, INSTANTS)
def test_next_open_is_open(calendar: Calendar, start: datetime) -> None:
    assert calendar.is_open(calendar.next_open(start))


@given(
    st.sampled_from([ALWAYS, DAYS, HOURS, BERLIN, XMAS]),
    st.integers(0, 365 * 24 * 4),
    st.integers(1, 20 * 24 * 4),
    st.integers(0, 20 * 24 * 4),
)
def test_openings_are_when_it_is_open_and_no_more(calendar: Calendar, start: int, length: int, moment: int) -> None:
    begin = at("2026-01-01 00:00") + start * QUARTER
    end, then = begin + length * QUARTER, begin + (moment % length) * QUARTER
    openings = calendar.openings(begin, end)
    assert calendar.is_open(then) is any(opens <= then < closes for opens, closes in openings)
    assert all(begin <= opens < closes <= end for opens, closes in openings)
