"""Rounds, levels and their timetable (model 11, 12, 14, 17, 37)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from incidentd.tier import Tier
from incidentd.timeline import Ended, LevelReached, Opened, Reminded, RoundBegan, Unanswered
from tests.incident.build import HOUR, MINUTE, SECOND, Story, levels, policy, tiers, with_levels


def timetable(story: Story) -> list[tuple[float, str]]:
    """Minutes since the opening, and what happened to the levels then."""
    begin = story.entries[0].at
    found = []
    for entry in story.entries:
        match entry.data:
            case Opened(level=level) | LevelReached(level=level) | RoundBegan(level=level):
                found.append(((entry.at - begin) / MINUTE, f"level {level}"))
            case Unanswered(last=last):
                found.append(((entry.at - begin) / MINUTE, "unanswered, last" if last else "unanswered"))
            case Reminded(count=count):
                found.append(((entry.at - begin) / MINUTE, f"reminder {count}"))
    return found


@pytest.mark.parametrize(
    ("tier", "told_at", "round_length"),
    [(Tier.P0, (0, 5, 15), 30), (Tier.P1, (0, 15, 30), 60), (Tier.P2, (0, 60), 120)],
)
def test_12_three_rounds_on_the_timetable_then_a_reminder_every_hour(
    tier: Tier, told_at: tuple[int, ...], round_length: int
) -> None:
    story = Story()
    story.fire(tier=tier)
    story.forward(minutes=3 * round_length + 125)
    expected: list[tuple[float, str]] = []
    for begin in range(0, 3 * round_length, round_length):
        expected += [(begin + at, f"level {n}") for n, at in enumerate(told_at, 1)]
        expected.append((begin + round_length, "unanswered"))
    end = 3 * round_length
    expected[-1] = (end, "unanswered, last")
    assert timetable(story) == [*expected, (end + 60, "reminder 1"), (end + 120, "reminder 2")]


def test_12_p0_unanswered_pages_each_level_in_each_round_anew() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=89)
    each_round = ((0, "page-engineer"), (5, "page-manager"), (15, "page-cto"))
    assert story.page_times() == [(begin + at, who) for begin in (0, 30, 60) for at, who in each_round]


def test_12_a_p3_asks_nobody() -> None:
    story = Story()
    story.fire(tier=Tier.P3)
    story.forward(hours=100)
    assert story.kinds == ["opened", "response_missed"]


def test_12_an_answer_ends_the_reminders() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(hours=3)
    reminders = len(story.find(Reminded))
    story.acknowledge()
    story.forward(minutes=29)
    assert len(story.find(Reminded)) == reminders == 1


def test_11_an_answer_at_the_deadline_beats_the_page() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(minutes=5)
    story.acknowledge()
    assert story.find(LevelReached) == []
    assert story.incident.responded_in_time is True


def test_11_a_climb_at_the_same_instant_before_the_answer_stands_and_the_answer_too() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=5)
    story.acknowledge()
    assert story.incident.level == 2
    assert story.incident.responded_in_time is True
    assert story.tick() == []


def test_11_an_answer_after_an_unticked_lapse_is_an_answer_to_the_next_round() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.acknowledge("ann")
    story.off(minutes=31)
    story.acknowledge("bob")
    assert story.kinds == ["opened", "acknowledged", "round", "acknowledged"]
    assert story.incident.round == 2
    assert story.incident.acknowledgement and story.incident.acknowledgement.by == "bob"


def test_11_a_lapse_and_a_rise_in_one_decision_tell_level_1_of_the_new_round() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.acknowledge()
    before = set(story.told)
    story.off(hours=9)
    story.fire("b", tier=Tier.P0)
    assert story.kinds[2:] == ["round", "alerts", "tier_rose"]
    assert story.find(RoundBegan)[-1].why is Ended.LAPSED
    fresh = {(slot.destination, slot.name) for slot in set(story.told) - before}
    assert fresh == {("page-engineer", "e1.r2.l1"), ("management", "e1")}
    assert story.incident.next_at == story.now + 5 * MINUTE


def test_11_a_rise_while_triggered_begins_no_round() -> None:
    story = Story()
    story.fire("a", tier=Tier.P1)
    story.fire("b", tier=Tier.P0)
    assert story.find(RoundBegan) == []


def test_11_deadlines_that_stand_are_not_falsified_by_a_reload() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    standing = (story.incident.next_at, story.incident.respond_by)
    fast = {Tier.P0: replace(tiers()[Tier.P0], levels=levels((1, 1, 1)))}
    story.reload(policy(fast, version="v2"))
    story.tick()
    assert (story.incident.next_at, story.incident.respond_by) == standing


def test_37_a_round_keeps_its_table_and_the_next_one_takes_the_one_in_force() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    fast = {Tier.P0: replace(tiers()[Tier.P0], levels=levels((1, 1, 1)))}
    story.reload(policy(fast, version="v2"))
    story.forward(minutes=33)
    assert [(at, what) for at, what in timetable(story) if what.startswith("level")] == [
        (0, "level 1"),
        (5, "level 2"),
        (15, "level 3"),
        (30, "level 1"),
        (31, "level 2"),
        (32, "level 3"),
        (33, "level 1"),
    ]
    assert story.incident.version == "v2"


def test_14_two_hours_off_then_level_2_at_once_and_level_3_a_minute_later() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(hours=2)
    story.tick()
    assert (story.incident.level, story.incident.next_at) == (2, story.now + MINUTE)
    story.tick()
    assert story.incident.level == 2
    story.forward(seconds=60)
    assert story.incident.level == 3


def test_14_ticks_a_little_late_keep_the_timetable_without_drift() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    begin = story.now
    for due in (5, 15, 30, 35):
        story.now = begin + due * MINUTE + 0.9 * SECOND
        story.tick()
    assert story.incident.next_at == begin + 45 * MINUTE
    assert [entry.due_at for entry in story.entries if entry.kind == "level"] == [
        begin + minutes * MINUTE for minutes in (5, 15, 35)
    ]


def test_14_a_level_shorter_than_a_minute_keeps_its_own_pace_when_late() -> None:
    quick = {Tier.P0: replace(tiers()[Tier.P0], levels=levels((0.1, 0.1, 0.1)))}
    story = Story(policy(quick))
    story.fire(tier=Tier.P0)
    story.off(minutes=10)
    story.tick()
    assert story.incident.next_at == story.now + 6 * SECOND


def test_14_a_late_round_begins_on_time_too() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=16)
    story.off(hours=2)
    story.tick()
    assert story.kinds[-2:] == ["unanswered", "round"]
    assert story.incident.next_at == story.now + MINUTE


class TestEmptyLevels:
    """17: a level of nobody takes no time; if all are empty, unanswered keeps its time."""

    def test_an_empty_level_in_the_middle_is_skipped_at_once(self) -> None:
        story = Story(with_levels(Tier.P0, ("page-engineer",), (), ("page-cto",)))
        story.fire(tier=Tier.P0)
        story.forward(minutes=5)
        assert story.find(LevelReached)[0].level == 3
        assert story.find(LevelReached)[0].skipped == (2,)

    def test_an_empty_first_level_is_skipped_at_the_opening(self) -> None:
        story = Story(with_levels(Tier.P0, (), ("page-manager",), ("page-cto",)))
        story.fire(tier=Tier.P0)
        assert story.find(Opened)[0].skipped == (1,)
        assert story.paged() == [("page-manager", "e1.r1.l2")]
        assert story.incident.next_at == story.now + 10 * MINUTE

    def test_empty_last_levels_are_skipped_to_unanswered(self) -> None:
        story = Story(with_levels(Tier.P0, ("page-engineer",), (), ()))
        story.fire(tier=Tier.P0)
        story.forward(minutes=5)
        assert story.find(Unanswered)[0].skipped == (2, 3)
        assert story.incident.round == 2

    def test_all_empty_unanswered_keeps_its_time_without_drift(self) -> None:
        story = Story(with_levels(Tier.P0, (), (), ()))
        story.fire(tier=Tier.P0)
        begin = story.now
        for due in (30, 60):
            story.now = begin + due * MINUTE + 0.9 * SECOND
            story.tick()
        assert story.incident.next_at == begin + 90 * MINUTE
        story.forward(hours=3)
        assert [entry.due_at for entry in story.entries if entry.kind == "unanswered"] == [
            begin + 30 * MINUTE,
            begin + 60 * MINUTE,
            begin + 90 * MINUTE,
        ]

    def test_a_rise_to_a_tier_with_nobody_at_the_levels_reached_tells_its_next_one_now(self) -> None:
        story = Story(with_levels(Tier.P0, (), ("page-manager",), ("page-cto",)))
        story.fire("a", tier=Tier.P2)
        story.fire("b", tier=Tier.P0)
        assert story.paged() == [("page-manager", "e1.r1.l2")]
        assert story.incident.next_at == story.now + 10 * MINUTE


def test_round_numbers_go_on_across_episodes() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=31)
    story.resolve_alert()
    story.forward(minutes=5)
    story.fire(tier=Tier.P0)
    assert (story.incident.episode, story.incident.round, story.incident.attempt) == (2, 3, 1)


def test_due_at_says_when_it_was_due_and_at_when_it_happened() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(seconds=300.25)
    story.tick()
    entry = story.entries[-1]
    assert entry.due_at is not None
    assert entry.at - entry.due_at == timedelta(seconds=0.25)


def test_12_one_hour_of_silence_is_one_reminder_however_late() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=90)
    story.off(hours=5)
    story.tick()
    assert len(story.find(Reminded)) == 1
    assert story.incident.next_at == story.now + HOUR
