"""Silence climbs the levels; an answer stops it, for as long as it holds."""

from incidentd.incident.state import State
from incidentd.sandbox.pagerduty import AlertState
from incidentd.tier import Tier
from tests.story.story import INCIDENTS, MANAGEMENT, TICKETS, Story


def test_p0_unanswered_pages_levels_1_2_3_at_0_5_and_15_minutes_and_starts_over_at_30(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.expect_card("P0", "availability 99.4 < 99.5", "99.4", "eu", "on-call engineer", "engineering manager")
    story.forward(minutes=4, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    story.expect_page(level=2)
    story.expect_thread("engineering manager", loud=True)
    story.forward(minutes=9, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    story.expect_page(level=3)
    story.forward(minutes=14, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    again = story.expect_page(level=1)
    assert again.dedup_key != story.bench.sandbox.pagerduty.alerts[0].dedup_key
    story.expect(State.TRIGGERED, tier=Tier.P0, round=2, responded_in_time=False)


def test_after_three_rounds_only_a_reminder_comes_every_hour(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.forward(minutes=90)
    for _ in range(3):
        for level in (1, 2, 3):
            story.expect_page(level=level)
    story.expect_card("Unanswered")
    story.forward(hours=2)
    story.expect(State.TRIGGERED, exhausted=True, reminders=2)


def test_an_acknowledgement_in_slack_stops_the_climb_and_is_told_to_all(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    page = story.expect_page(level=1)
    story.forward(minutes=4)
    story.acknowledge(by="anna.berg")
    story.expect(State.ACKNOWLEDGED, responded_in_time=True)
    story.expect_card("Acknowledged", "anna.berg")
    story.expect_card("Acknowledged", "anna.berg", channel=MANAGEMENT)
    story.expect_alert(page, AlertState.ACKNOWLEDGED)
    story.forward(minutes=29)
    story.expect_no_page()


def test_an_acknowledgement_lapses_after_30_minutes_and_the_levels_start_over(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    first = story.expect_page(level=1)
    story.acknowledge(by="anna.berg")
    story.forward(minutes=29, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    second = story.expect_page(level=1)
    assert second.dedup_key != first.dedup_key
    story.expect_alert(first, AlertState.RESOLVED)
    story.expect_alert(second, AlertState.TRIGGERED)
    story.expect_thread("anna.berg", loud=True)


def test_the_second_to_click_is_told_who_was_first(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.acknowledge_together("anna.berg", "ben.okoro")
    story.expect_whisper("anna.berg")
    story.expect_card("Acknowledged", "anna.berg")
    assert story.bench.kinds().count("acknowledged") == 1


def test_escalating_by_hand_pages_the_next_level_at_once_with_its_full_time(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.forward(minutes=1)
    story.escalate(by="anna.berg")
    story.expect_page(level=2)
    story.forward(minutes=9, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    story.expect_page(level=3)


def test_p1_gives_each_level_fifteen_minutes(story: Story) -> None:
    story.fire("avalo/core-api", value=99.7, region="eu")
    story.expect_page(level=1)
    story.forward(minutes=15)
    story.expect_page(level=2)
    story.forward(minutes=15)
    story.expect_page(level=3)
    story.expect(State.TRIGGERED, tier=Tier.P1)


def test_p2_wakes_nobody_and_names_in_slack_who_has_it(story: Story) -> None:
    story.fire("avalo/api-latency", value=800, window="15m")
    story.expect_card("P2", "on-call engineer")
    story.expect_no_card(MANAGEMENT)
    story.forward(minutes=60)
    story.expect_thread("engineering manager", loud=True)
    story.expect_no_page()


def test_p3_goes_to_the_ticket_queue_and_nowhere_else(story: Story) -> None:
    story.fire("avalo/ui")
    story.expect_card("P3", channel=TICKETS)
    story.forward(hours=48)
    story.expect_no_page()
    story.expect_no_card(INCIDENTS)
    story.expect_no_card(MANAGEMENT)


def test_two_hours_off_and_then_level_2_at_once_and_level_3_a_minute_later(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.off(hours=2)
    story.expect_page(level=2)
    story.forward(seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    story.expect_page(level=3)
