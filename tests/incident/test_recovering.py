"""Alerts that end, come back, or come out of order (model 4, 5, 21, 22, 23)."""

from dataclasses import replace

import pytest

from incidentd.incident.hear import is_late_copy, takes
from incidentd.incident.state import State
from incidentd.incident.wake import wake_at
from incidentd.tier import Tier
from incidentd.timeline import LevelReached, Opened, Recovering, Resolved
from tests.incident.build import MINUTE, MONDAY_NOON, SECOND, Story, member, policy


class TestRecovering:
    """21: no alert fires; five minutes later the incident is resolved."""

    def test_it_begins_when_the_last_alert_ends(self) -> None:
        story = Story()
        story.hear(member("a"), member("b"))
        story.resolve_alert("a")
        before = story.state
        story.resolve_alert("b")
        assert (before, story.state) == (State.TRIGGERED, State.RECOVERING)
        assert story.incident.hold_until == story.now + 5 * MINUTE

    def test_after_five_minutes_it_is_resolved(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        story.forward(minutes=4.99)
        before = story.state
        story.forward(minutes=0.01)
        assert (before, story.state) == (State.RECOVERING, State.RESOLVED)
        assert wake_at(story.incident) is None

    def test_levels_stand_still(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=4)
        story.resolve_alert()
        story.forward(minutes=4)
        assert story.incident.level == 1

    def test_firing_again_goes_on_as_before_without_a_new_page(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=1)
        story.resolve_alert()
        story.forward(minutes=1)
        story.fire(tier=Tier.P0)
        assert story.state is State.TRIGGERED
        assert story.kinds[-2:] == ["alerts", "firing_again"]
        assert story.paged() == [("page-engineer", "e1.r1.l1")]
        assert story.incident.next_at == story.entries[0].at + 5 * MINUTE

    def test_a_level_that_fell_due_meanwhile_follows_when_it_fires_again(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=4)
        story.resolve_alert()
        story.forward(minutes=4)
        story.fire(tier=Tier.P0)
        assert story.find(LevelReached)[-1].level == 2
        assert story.incident.next_at == story.entries[0].at + 15 * MINUTE

    def test_a_lapse_stands_still(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.acknowledge()
        story.forward(minutes=29)
        story.resolve_alert()
        story.forward(minutes=4)
        story.fire(tier=Tier.P0)
        acknowledgement = story.incident.acknowledgement
        assert acknowledgement and acknowledgement.until == story.now + MINUTE

    def test_an_acknowledgement_during_it_has_its_whole_time_when_it_fires_again(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=1)
        story.resolve_alert()
        story.forward(minutes=3)
        story.acknowledge()
        story.forward(minutes=1)
        story.fire(tier=Tier.P0)
        acknowledgement = story.incident.acknowledgement
        assert acknowledgement and acknowledgement.until == story.now + 30 * MINUTE

    def test_a_note_during_it_puts_off_the_lapse_by_no_more_than_its_time(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.acknowledge()
        story.forward(minutes=10)
        story.resolve_alert()
        story.forward(minutes=3)
        story.note()
        story.forward(minutes=1)
        story.fire(tier=Tier.P0)
        acknowledgement = story.incident.acknowledgement
        assert acknowledgement and acknowledgement.until == story.now + 30 * MINUTE

    def test_a_snooze_that_ended_during_it_is_over_when_it_fires_again(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.acknowledge(until=story.now + 10 * MINUTE)
        story.forward(minutes=9)
        story.resolve_alert()
        story.forward(minutes=3)
        story.fire(tier=Tier.P0)
        assert story.kinds[-3:] == ["alerts", "firing_again", "round"]
        assert story.state is State.TRIGGERED
        due = wake_at(story.incident)
        assert due and due > story.now

    def test_flapping_for_ten_minutes_pages_only_as_the_clocks_ask(self) -> None:
        story = Story()
        for _ in range(60):
            story.fire(tier=Tier.P0)
            story.forward(seconds=5)
            story.resolve_alert()
            story.forward(seconds=5)
        assert story.incident.episode == 1
        assert [who for _, who in story.page_times()] == ["page-engineer", "page-manager"]

    def test_without_a_hold_down_it_is_resolved_at_once(self) -> None:
        story = Story(policy(hold_down=0 * MINUTE))
        story.fire()
        story.resolve_alert()
        assert story.state is State.RESOLVED
        assert story.find(Recovering) == []


class TestReopening:
    """22: firing within 30 minutes after resolved reopens."""

    def resolved(self, tier: Tier = Tier.P1) -> Story:
        story = Story()
        story.fire(tier=tier)
        story.resolve_alert()
        story.forward(minutes=5)
        return story

    def test_it_keeps_the_incident_and_begins_an_episode_and_a_round(self) -> None:
        story = self.resolved()
        story.forward(minutes=10)
        story.fire()
        opened = story.find(Opened)[-1]
        assert (opened.incident, opened.episode, opened.round, opened.level) == ("id", 2, 2, 1)
        assert story.incident.opened_at == MONDAY_NOON
        assert story.incident.episode_at == story.now
        assert story.paged()[-1] == ("page-engineer", "e2.r2.l1")

    def test_it_begins_at_the_tier_of_what_fires_now(self) -> None:
        story = self.resolved(Tier.P0)
        story.fire("b", tier=Tier.P2)
        assert story.incident.tier is Tier.P2

    @pytest.mark.parametrize(("minutes", "taken"), [(0, True), (30, True), (30.001, False)])
    def test_within_30_minutes_it_takes_a_new_alert_later_a_new_incident_does(
        self, minutes: float, taken: bool
    ) -> None:
        story = self.resolved()
        story.off(minutes=minutes)
        assert takes(story.incident, [member("b")], story.policy, story.now) is taken

    def test_after_its_time_a_resolved_notification_opens_nothing(self) -> None:
        story = self.resolved()
        story.off(hours=5)
        assert takes(story.incident, [member("b", firing=False)], story.policy, story.now)

    def test_an_episode_that_the_incident_itself_resolved_opens_a_new_one_after_its_time(self) -> None:
        story = self.resolved()
        story.off(hours=5)
        assert not takes(story.incident, [member("a")], story.policy, story.now)

    def test_regions_of_the_last_episode_are_new_again(self) -> None:
        story = Story()
        story.hear(member("a", region="eu"), member("b", region="us"))
        story.resolve_alert("a")
        story.resolve_alert("b")
        story.forward(minutes=6)
        story.fire("a", region="eu")
        assert story.incident.seen_regions == {"eu"}

    def test_who_answered_the_last_episode_has_not_answered_this_one(self) -> None:
        story = Story()
        story.fire()
        story.acknowledge()
        story.resolve_alert()
        story.forward(minutes=6)
        story.fire()
        assert story.state is State.TRIGGERED
        assert story.incident.acknowledgement is None


class TestOutOfOrder:
    """4, 5, 23: an episode is (fingerprint, startsAt); what is over stays over."""

    def test_5_a_resolved_first_opens_nothing(self) -> None:
        story = Story()
        assert story.hear(member(firing=False)) == []
        assert not story.opened

    def test_5_firing_and_resolved_in_one_notification_open_nothing(self) -> None:
        story = Story()
        assert story.hear(member(firing=False), member(firing=True)) == []

    def test_5_a_resolved_that_comes_first_is_remembered_and_its_late_firing_copy_never_counts(self) -> None:
        story = Story()
        story.fire("a")
        late = member("b", tier=Tier.P0, started=story.now)
        story.hear(replace(late, firing=False))
        story.off(seconds=59)
        assert story.hear(late) == []
        story.forward(minutes=20)
        assert story.incident.tier is Tier.P1

    def test_5_a_minute_later_the_firing_counts_at_once(self) -> None:
        story = Story()
        story.fire("a")
        late = member("b", tier=Tier.P0, started=story.now)
        story.hear(replace(late, firing=False))
        story.off(seconds=60)
        story.hear(late)
        assert story.incident.tier is Tier.P0

    def test_5_it_is_remembered_when_it_came_with_the_alert_that_opened(self) -> None:
        story = Story()
        late = member("b", tier=Tier.P0)
        story.hear(member("a"), replace(late, firing=False))
        story.off(seconds=30)
        assert story.hear(late) == []

    def test_5_it_is_remembered_across_a_reopening(self) -> None:
        story = Story()
        story.fire("a")
        story.resolve_alert("a")
        story.forward(minutes=6)
        late = member("b", tier=Tier.P0, started=story.now)
        story.hear(member("a", started=story.now), replace(late, firing=False))
        story.off(seconds=30)
        assert story.hear(late) == []
        assert story.incident.tier is Tier.P1

    def test_5_it_is_remembered_when_it_came_before_the_reopening(self) -> None:
        story = Story()
        story.fire("a")
        story.resolve_alert("a")
        story.forward(minutes=6)
        late = member("b", tier=Tier.P0, started=story.now)
        story.hear(replace(late, firing=False))
        story.fire("a")
        story.off(seconds=30)
        assert story.hear(late) == []
        assert story.incident.tier is Tier.P1

    def test_5_a_copy_and_the_resolved_of_one_episode_in_one_notification_end_it_for_good(self) -> None:
        story = Story()
        story.fire("a")
        story.hear(replace(story.incident.members["a"], firing=False), story.incident.members["a"])
        story.forward(minutes=5)
        assert story.state is State.RESOLVED
        assert wake_at(story.incident) is None

    def test_4_an_older_episode_changes_nothing(self) -> None:
        story = Story()
        story.fire("a", started=MONDAY_NOON)
        old = member("a", started=MONDAY_NOON - MINUTE)
        assert story.hear(old) == []
        assert story.hear(replace(old, firing=False)) == []
        assert story.state is State.TRIGGERED

    def test_4_a_start_that_moves_back_while_the_alert_fires_is_a_repeat(self) -> None:
        story = Story()
        story.fire("a", region="eu")
        moved = replace(story.incident.members["a"], starts_at=MONDAY_NOON - MINUTE)
        assert story.hear(moved) == []
        story.hear(replace(moved, tier=Tier.P0))
        assert (story.incident.tier, story.incident.members["a"].starts_at) == (Tier.P0, MONDAY_NOON)

    def test_4_what_fires_with_an_earlier_start_after_the_end_is_a_new_episode(self) -> None:
        story = Story()
        story.fire("a", started=MONDAY_NOON + 10 * MINUTE)
        story.resolve_alert("a")
        story.forward(minutes=6)
        story.fire("a")
        assert (story.state, story.incident.episode) == (State.TRIGGERED, 2)
        assert story.incident.members["a"].starts_at == story.now

    def test_23_a_late_copy_with_an_earlier_start_waits_as_one_with_the_same_start(self) -> None:
        story = Story()
        story.fire("a")
        story.resolve_alert("a")
        story.off(seconds=30)
        story.fire("a", started=MONDAY_NOON - MINUTE)
        waiting = story.incident.members["a"]
        assert (waiting.starts_at, waiting.counts_at) == (MONDAY_NOON, MONDAY_NOON + 5 * MINUTE)

    def test_24_what_a_person_resolved_and_fires_on_with_an_earlier_start_reopens_at_any_time(self) -> None:
        story = Story()
        story.fire("a")
        story.resolve()
        story.off(hours=5)
        moved = member("a", started=MONDAY_NOON - SECOND)
        assert takes(story.incident, [moved], story.policy, story.now)
        story.hear(moved)
        assert story.incident.episode == 2

    def test_4_a_resolved_of_a_later_episode_ends_the_earlier_one(self) -> None:
        story = Story()
        story.fire("a", started=MONDAY_NOON)
        story.hear(member("a", firing=False, started=MONDAY_NOON + MINUTE))
        assert story.state is State.RECOVERING

    def test_4_a_later_episode_takes_the_place_of_the_earlier_one(self) -> None:
        story = Story()
        story.fire("a")
        story.off(minutes=10)
        story.fire("a")
        assert [m.starts_at for m in story.incident.firing] == [story.now]

    def test_23_a_firing_copy_within_60_seconds_waits_for_the_hold_downs_end_and_then_counts(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        hold_until = story.now + 5 * MINUTE
        story.off(seconds=59)
        story.repeat()
        assert story.incident.members["a"].counts_at == hold_until
        before = story.state
        story.until(hold_until)
        assert (before, story.state) == (State.RECOVERING, State.TRIGGERED)
        assert story.incident.episode == 1
        assert story.find(Resolved) == []

    def test_23_sixty_seconds_later_it_counts_at_once(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        story.off(seconds=60)
        story.repeat()
        assert story.state is State.TRIGGERED

    def test_23_it_waits_as_long_where_other_alerts_fire(self) -> None:
        story = Story()
        story.hear(member("a", tier=Tier.P0), member("b"))
        story.resolve_alert("a")
        story.off(seconds=30)
        story.repeat("a")
        waits = [m.fingerprint for m in story.incident.firing]
        story.forward(minutes=4.5)
        assert (waits, [m.fingerprint for m in story.incident.firing]) == (["b"], ["a", "b"])

    def test_23_what_waits_is_over_when_it_is_resolved_again(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        story.off(seconds=30)
        story.repeat()
        story.resolve_alert()
        story.forward(minutes=5)
        assert story.state is State.RESOLVED
        assert wake_at(story.incident) is None

    def test_23_a_late_copy_in_an_incident_without_hold_down_counts_at_once(self) -> None:
        story = Story(policy(hold_down=0 * MINUTE))
        story.fire()
        story.resolve_alert()
        story.off(seconds=30)
        story.repeat()
        assert story.incident.episode == 2

    @pytest.mark.parametrize(("seconds", "late"), [(0, True), (59.9, True), (60, False)])
    def test_a_copy_is_late_within_60_seconds(self, seconds: float, late: bool) -> None:
        assert is_late_copy(MONDAY_NOON, MONDAY_NOON + seconds * SECOND, policy()) is late
