"""Calendars: clocks stand still outside opening hours (model 16)."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from incidentd.calendars import ALWAYS, Calendar, CalendarError
from incidentd.tier import Tier
from incidentd.timeline import LevelReached, Opened, ResponseMissed, TierRose
from tests.incident.build import BERLIN, MINUTE, OFFICE, WEEKDAYS, Story, levels, policy, tiers


def berlin(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    """2026-03-02 is a Monday."""
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "minutes", "end"),
    [
        (berlin(2, 10), 15, berlin(2, 10, 15)),
        (berlin(2, 16, 50), 15, berlin(3, 9, 5)),
        (berlin(2, 16, 45), 15, berlin(2, 17)),
        (berlin(2, 17), 15, berlin(3, 9, 15)),
        (berlin(2, 3), 15, berlin(2, 9, 15)),
        (berlin(6, 16, 30), 60, berlin(9, 9, 30)),
        (berlin(7, 12), 60, berlin(9, 10)),
        (berlin(2, 9), 8 * 60 * 5, berlin(6, 17)),
        (berlin(27, 16), 120, berlin(30, 10)),  # over the beginning of summer time
    ],
)
def test_16_a_duration_counts_open_hours_only(start: datetime, minutes: int, end: datetime) -> None:
    assert OFFICE.add(start, timedelta(minutes=minutes)) == end


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (berlin(6, 17), berlin(9, 17)),
        (berlin(7, 13), datetime(2026, 3, 9, 23, 0, tzinfo=UTC)),  # Saturday: Tuesday 00:00 in Berlin
        (berlin(2, 8), berlin(3, 8)),
        (berlin(27, 10), berlin(30, 10)),
        (berlin(28, 1), datetime(2026, 3, 30, 22, 0, tzinfo=UTC)),
    ],
)
def test_16_the_next_business_day_is_counted_in_whole_local_days(start: datetime, end: datetime) -> None:
    assert WEEKDAYS.add_days(start, 1) == end


def test_16_a_holiday_is_no_business_day() -> None:
    closed = replace(OFFICE, is_holiday=lambda day: day == date(2026, 3, 3))
    assert closed.add(berlin(2, 16, 50), 15 * MINUTE) == berlin(4, 9, 5)
    assert closed.add_days(berlin(2, 12), 1) == berlin(4, 12)


def test_16_open_from_opening_until_before_closing() -> None:
    assert OFFICE.is_open(berlin(2, 9))
    assert OFFICE.is_open(berlin(2, 16, 59))
    assert not OFFICE.is_open(berlin(2, 17))
    assert OFFICE.next_open(berlin(2, 17)) == berlin(3, 9)
    assert ALWAYS.is_open(berlin(7, 3))


def test_16_a_calendar_that_never_opens_says_so() -> None:
    never = Calendar("never", BERLIN, frozenset())
    with pytest.raises(CalendarError):
        never.add(berlin(2, 9), MINUTE)
    with pytest.raises(CalendarError):
        never.add_days(berlin(2, 9), 1)


def test_16_a_p3_of_friday_17_00_is_to_be_answered_by_monday_17_00() -> None:
    story = Story(at=berlin(6, 17))
    story.fire(tier=Tier.P3)
    assert story.incident.respond_by == berlin(9, 17)


def test_16_a_p3_of_saturday_is_to_be_answered_by_tuesday_00_00() -> None:
    story = Story(at=berlin(7, 12))
    story.fire(tier=Tier.P3)
    assert story.incident.respond_by == datetime(2026, 3, 9, 23, 0, tzinfo=UTC)
    story.until(datetime(2026, 3, 9, 23, 0, tzinfo=UTC))
    assert story.find(ResponseMissed) == []
    story.forward(seconds=1)
    assert len(story.find(ResponseMissed)) == 1


class TestOfficeHours:
    """Level times and response in business hours, 9 to 17 in Berlin."""

    def story(self, at: datetime) -> Story:
        return Story(policy(calendar=OFFICE), at=at)

    def test_at_night_slack_is_told_at_once_and_the_page_waits_for_the_opening(self) -> None:
        story = self.story(berlin(2, 22))
        story.fire(tier=Tier.P1)
        assert {slot.destination for slot in story.told} == {"incidents"}
        assert (story.incident.level, story.incident.next_at) == (0, berlin(3, 9))
        story.until(berlin(3, 9))
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        assert story.incident.next_at == berlin(3, 9, 15)

    def test_the_response_time_runs_from_the_opening(self) -> None:
        story = self.story(berlin(2, 22))
        story.fire(tier=Tier.P1)
        assert story.incident.respond_by == berlin(3, 9, 15)

    def test_a_first_level_that_only_reads_slack_is_told_at_once(self) -> None:
        story = self.story(berlin(2, 22))
        story.fire(tier=Tier.P2)
        assert story.find(Opened)[0].level == 1
        assert "slack-engineer" in {slot.destination for slot in story.told}
        assert story.incident.next_at == berlin(3, 10)

    def test_levels_stand_still_over_the_weekend(self) -> None:
        story = self.story(berlin(6, 16, 50))
        story.fire(tier=Tier.P1)
        assert story.incident.next_at == berlin(9, 9, 5)
        story.until(berlin(9, 9))
        assert len(story.paged()) == 1
        story.until(berlin(9, 9, 5))
        assert len(story.paged()) == 2

    def test_a_level_due_at_closing_time_is_told_then(self) -> None:
        story = self.story(berlin(6, 16, 45))
        story.fire(tier=Tier.P1)
        story.now = berlin(6, 17) + timedelta(seconds=0.3)
        story.tick()
        assert len(story.paged()) == 2

    def test_a_tick_hours_after_closing_tells_slack_and_the_page_waits_for_the_opening(self) -> None:
        story = self.story(berlin(6, 16, 30))
        story.fire(tier=Tier.P1)
        story.now = berlin(7, 3)
        story.tick()
        assert len(story.paged()) == 1
        assert (story.incident.level, story.incident.next_at) == (2, berlin(9, 9))
        assert story.tick() == []
        story.until(berlin(9, 9))
        assert story.paged()[1:] == [("page-manager", "e1.r1.l2")]
        assert story.incident.next_at == berlin(9, 9, 15)

    def test_a_rise_to_a_paging_tier_at_night_pages_at_the_opening(self) -> None:
        story = self.story(berlin(6, 16, 30))
        story.fire("a", tier=Tier.P2)
        story.until(berlin(7, 3))
        story.fire("b", tier=Tier.P1)
        assert story.find(TierRose)[0].held
        assert story.paged() == []
        assert story.incident.next_at == berlin(9, 9)
        story.until(berlin(9, 9))
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        assert story.find(LevelReached)[-1].level == 1
        assert story.incident.next_at == berlin(9, 9, 15)

    def test_a_rise_at_night_that_wakes_nobody_new_is_not_held(self) -> None:
        story = self.story(berlin(6, 16, 50))
        story.fire("a", tier=Tier.P1)
        story.until(berlin(6, 18))
        story.fire("b", tier=Tier.P0)
        assert not story.find(TierRose)[0].held
        assert story.incident.next_at == berlin(9, 9, 5)

    def test_a_person_who_escalates_at_night_is_obeyed_at_once(self) -> None:
        story = self.story(berlin(2, 22))
        story.fire(tier=Tier.P1)
        story.escalate()
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        assert story.incident.next_at == berlin(3, 9, 15)

    def test_a_person_who_escalates_a_held_page_has_it_sent_at_once(self) -> None:
        story = self.story(berlin(2, 22))
        story.fire("a", tier=Tier.P2)
        story.fire("b", tier=Tier.P1)
        assert story.paged() == []
        story.escalate()
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        assert story.incident.level == 1

    def test_lowering_at_night_to_another_pager_wakes_nobody(self) -> None:
        other = replace(tiers(calendar=OFFICE)[Tier.P1], levels=(replace(levels((15,))[0], tell=("page-cto",)),))
        story = Story(policy({Tier.P1: other}), at=berlin(2, 22))
        story.fire(tier=Tier.P0)
        story.set_tier(Tier.P1)
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        story.until(berlin(3, 9))
        assert story.paged()[1:] == [("page-cto", "e1.r1.l1")]

    def test_a_rise_to_a_tier_that_never_sleeps_pages_now(self) -> None:
        mixed = replace(tiers()[Tier.P0], calendar=ALWAYS)
        story = Story(policy({Tier.P0: mixed}, calendar=OFFICE), at=berlin(2, 22))
        story.fire("a", tier=Tier.P1)
        story.fire("b", tier=Tier.P0)
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        assert story.incident.next_at == story.now + 5 * MINUTE

    def test_a_lapse_runs_on_wall_time(self) -> None:
        story = self.story(berlin(6, 16, 50))
        story.fire(tier=Tier.P1)
        story.acknowledge()
        acknowledgement = story.incident.acknowledgement
        assert acknowledgement and acknowledgement.until == berlin(6, 17, 50)
        story.until(berlin(6, 17, 50))
        assert (story.incident.round, story.incident.level) == (2, 0)
        assert story.incident.next_at == berlin(9, 9)

    def test_a_round_that_ends_at_closing_time_begins_again_at_the_opening(self) -> None:
        story = self.story(berlin(2, 16))
        story.fire(tier=Tier.P1)
        story.until(berlin(2, 17) + timedelta(minutes=1))
        assert (story.incident.round, story.incident.level) == (2, 0)
        story.until(berlin(3, 9))
        assert story.paged()[-1] == ("page-engineer", "e1.r2.l1")


def test_16_a_window_without_a_closing_time_lasts_the_whole_day() -> None:
    assert WEEKDAYS.add(berlin(6, 23, 30), 60 * MINUTE) == berlin(9, 0, 30)
    assert replace(OFFICE, opens=time(0)).is_open(berlin(2, 3))
