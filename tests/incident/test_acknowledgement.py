"""Answers: who, for how long, and what they cover (model 20, 25 to 29)."""

import pytest

from incidentd.errors import RefusedError
from incidentd.incident.command import Acknowledge, Note, Resolve, StartOver
from incidentd.incident.state import State
from incidentd.tier import Tier
from incidentd.timeline import Acknowledged, Ended, RoundBegan, TakenOver
from tests.incident.build import GLOBAL, HOUR, MINUTE, SECOND, Story, member


def until(story: Story) -> float | None:
    """Minutes from now until the acknowledgement ends."""
    has = story.incident.acknowledgement
    assert has is not None
    return (has.until - story.now) / MINUTE if has.until else None


def acknowledged(tier: Tier = Tier.P1) -> Story:
    story = Story()
    story.fire("a", tier=tier, region="eu", scope=GLOBAL)
    story.acknowledge("ann")
    return story


def test_20_states_follow_one_another() -> None:
    story = Story()
    seen = []
    story.fire()
    seen.append(story.state)
    story.acknowledge()
    seen.append(story.state)
    story.resolve_alert()
    seen.append(story.state)
    story.forward(minutes=5)
    seen.append(story.state)
    assert seen == [State.TRIGGERED, State.ACKNOWLEDGED, State.RECOVERING, State.RESOLVED]


def test_20_an_acknowledgement_is_kept_beneath_recovering() -> None:
    story = acknowledged()
    story.resolve_alert("a")
    story.forward(minutes=2)
    story.fire("a", region="eu")
    assert story.state is State.ACKNOWLEDGED


def test_20_acknowledging_while_recovering_is_allowed() -> None:
    story = Story()
    story.fire()
    story.resolve_alert()
    story.acknowledge()
    assert story.state is State.RECOVERING
    story.forward(minutes=2)
    story.fire()
    assert story.incident.acknowledgement is not None


def test_20_nothing_climbs_while_acknowledged() -> None:
    story = acknowledged(Tier.P0)
    assert story.forward(minutes=29.99) == []


def test_25_the_same_person_again_is_no_entry() -> None:
    story = acknowledged()
    assert story.acknowledge("ann") == []


def test_25_another_is_told_who_was_first() -> None:
    with pytest.raises(RefusedError, match="ann") as refused:
        acknowledged().acknowledge("bob")
    assert refused.value.reason == "taken"


def test_25_taking_over_is_a_command_of_its_own() -> None:
    story = acknowledged()
    story.forward(minutes=50)
    story.take_over("bob")
    assert story.find(TakenOver)[0].before == "ann"
    has = story.incident.acknowledgement
    assert has and has.by == "bob"
    assert until(story) == 60


def test_25_taking_over_what_nobody_has_is_an_acknowledgement_and_ones_own_is_nothing() -> None:
    story = Story()
    story.fire()
    story.take_over("bob")
    assert story.kinds[-1] == "acknowledged"
    assert story.take_over("bob") == []


def test_25_on_a_resolved_incident_answers_are_refused() -> None:
    story = Story()
    story.fire()
    story.resolve("ann")
    for command in (story.acknowledge, story.take_over, story.escalate):
        with pytest.raises(RefusedError) as refused:
            command("bob")
        assert refused.value.reason == "resolved"
    with pytest.raises(RefusedError):
        story.set_tier(Tier.P0)


def test_25_a_note_is_welcome_on_a_resolved_incident() -> None:
    story = Story()
    story.fire()
    story.resolve()
    story.note()
    assert story.kinds[-1] == "note"


def test_26_a_rise_voids_it_and_says_what_it_did_not_cover() -> None:
    story = acknowledged(Tier.P1)
    story.fire("b", tier=Tier.P0)
    began = story.find(RoundBegan)[-1]
    assert (began.why, began.difference, began.attempt) == (Ended.VOIDED, "P1 became P0", 1)
    assert story.state is State.TRIGGERED
    assert story.paged()[-1] == ("page-engineer", "e1.r2.l1")


def test_26_a_new_region_voids_it() -> None:
    story = acknowledged(Tier.P2)
    story.fire("b", tier=Tier.P2, region="us")
    assert story.find(RoundBegan)[-1].difference == "region us joined"


def test_26_a_rise_and_a_new_region_are_one_new_round() -> None:
    story = acknowledged(Tier.P1)
    story.fire("b", tier=Tier.P1, region="us", scope=GLOBAL)
    assert [data.difference for data in story.find(RoundBegan)] == ["P1 became P0; region us joined"]


def test_26_more_of_the_same_is_covered() -> None:
    story = acknowledged()
    story.fire("b", tier=Tier.P1, region="eu")
    story.fire("c", tier=Tier.P2)
    assert story.state is State.ACKNOWLEDGED


def test_26_regions_once_covered_are_not_new_when_they_return() -> None:
    story = Story()
    story.hear(member("a", region="eu"), member("b", region="us"))
    story.acknowledge()
    story.resolve_alert("b")
    story.forward(minutes=10)
    story.fire("b", region="us")
    assert story.state is State.ACKNOWLEDGED
    assert story.incident.scope == ("eu", "us")


def test_26_a_new_region_that_fires_again_in_recovering_voids_it() -> None:
    story = acknowledged(Tier.P2)
    story.resolve_alert("a")
    story.forward(minutes=1)
    story.fire("b", tier=Tier.P2, region="us")
    assert story.kinds[-3:] == ["alerts", "firing_again", "round"]


@pytest.mark.parametrize(("tier", "minutes"), [(Tier.P0, 30), (Tier.P1, 60), (Tier.P2, 480), (Tier.P3, None)])
def test_27_it_lapses_after_its_tiers_time(tier: Tier, minutes: float | None) -> None:
    story = acknowledged(tier)
    assert until(story) == minutes
    story.forward(minutes=minutes or 10_000)
    assert [data.why for data in story.find(RoundBegan)] == ([Ended.LAPSED] if minutes else [])


def test_27_a_sign_of_work_puts_the_lapse_off() -> None:
    story = acknowledged(Tier.P0)
    story.forward(minutes=20)
    story.note("bob")
    assert until(story) == 30


def test_27_a_change_of_tier_is_a_sign_of_work_and_counts_by_the_new_tier() -> None:
    story = acknowledged(Tier.P2)
    story.forward(minutes=20)
    story.set_tier(Tier.P0, by="ann")
    assert until(story) == 30
    story.set_tier(Tier.P3, by="bob")
    assert until(story) is None


def test_27_a_snooze_is_an_acknowledgement_until_a_given_time() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.acknowledge(until=story.now + 3 * HOUR)
    assert story.find(Acknowledged)[0].snoozed
    story.forward(hours=2.99)
    before = story.state
    story.forward(hours=0.01)
    assert (before, story.state) == (State.ACKNOWLEDGED, State.TRIGGERED)


def test_27_who_has_it_may_snooze_it() -> None:
    story = acknowledged()
    story.acknowledge("ann", until=story.now + 5 * HOUR)
    assert until(story) == 300


def test_27_a_note_never_brings_a_snooze_nearer_nor_makes_it_last_for_ever() -> None:
    for tier in (Tier.P0, Tier.P3):
        story = Story()
        story.fire(tier=tier)
        story.acknowledge(until=story.now + 3 * HOUR)
        story.note()
        assert until(story) == 180


def test_27_a_snooze_into_the_past_is_refused() -> None:
    story = Story()
    story.fire()
    with pytest.raises(RefusedError) as refused:
        story.acknowledge(until=story.now)
    assert refused.value.reason == "past"


def test_27_after_a_lapse_the_levels_begin_anew_from_then() -> None:
    story = acknowledged(Tier.P0)
    story.forward(minutes=36)
    assert story.page_times() == [(0, "page-engineer"), (30, "page-engineer"), (35, "page-manager")]


class TestPagerDuty:
    """28: what PagerDuty says of any of the incident's alerts."""

    def test_an_acknowledgement_dated_after_the_rounds_start_covers_the_incident(self) -> None:
        story = Story()
        story.fire()
        story.off(seconds=20)
        story.acknowledge("ann", via="pagerduty", dated_at=story.now - 10 * SECOND)
        assert story.state is State.ACKNOWLEDGED

    def test_a_late_echo_of_an_earlier_round_changes_nothing(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=30)
        assert story.acknowledge("ann", dated_at=story.now - SECOND) == []
        assert story.start_over(dated_at=story.now - SECOND) == []
        assert story.start_over(automation=True, dated_at=story.now - SECOND) == []

    def test_a_late_echo_of_an_earlier_episode_changes_nothing(self) -> None:
        story = Story()
        story.fire()
        then = story.now
        story.resolve_alert()
        story.forward(minutes=5)
        story.fire()
        assert story.acknowledge("ann", dated_at=then) == []

    def test_what_was_done_to_a_page_of_this_round_counts_whatever_their_clock_says(self) -> None:
        story = Story()
        story.fire()
        slow = story.now - 10 * MINUTE
        seen = []
        for command in (Acknowledge, Resolve):
            story.do(command("ann", "pagerduty", dated_at=slow, round=1))
            seen.append(story.state)
        assert seen == [State.ACKNOWLEDGED, State.RESOLVED]

    def test_a_late_resolve_of_an_earlier_rounds_page_changes_nothing(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=30)
        assert story.do(Resolve("ann", "pagerduty", dated_at=story.now - SECOND, round=1)) == []
        assert story.do(Resolve("ann", "pagerduty", dated_at=story.now, round=1))

    def test_that_we_resolve_the_pages_of_earlier_rounds_ourselves_starts_nothing(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(minutes=30)
        assert story.do(StartOver("pagerduty", automation=True, dated_at=story.now, round=1)) == []
        assert story.do(StartOver("pagerduty", automation=False, dated_at=story.now, round=1)) == []
        assert story.do(StartOver("pagerduty", automation=True, dated_at=story.now, round=2))

    def test_a_late_note_is_written_down_and_puts_off_nothing(self) -> None:
        story = acknowledged(Tier.P0)
        story.forward(minutes=10)
        story.do(Note("ann", "an hour ago", dated_at=story.now - HOUR))
        assert until(story) == 20
        story.do(Note("ann", "just now", dated_at=story.now))
        assert until(story) == 30

    def test_unacknowledged_is_a_lapse(self) -> None:
        story = acknowledged()
        story.start_over()
        assert story.find(RoundBegan)[0].why is Ended.WITHDRAWN
        assert story.state is State.TRIGGERED

    def test_unacknowledged_while_recovering_ends_it_too_and_wakes_nobody_yet(self) -> None:
        story = acknowledged()
        story.resolve_alert("a")
        story.start_over()
        assert story.incident.acknowledgement is None
        before = story.state
        story.forward(minutes=5)
        assert (before, story.state) == (State.RECOVERING, State.RESOLVED)

    def test_unacknowledged_where_nobody_has_it_is_nothing(self) -> None:
        story = Story()
        story.fire()
        assert story.start_over() == []

    def test_a_resolve_by_automation_while_alerts_fire_starts_the_next_round(self) -> None:
        for has in (False, True):
            story = Story()
            story.fire()
            if has:
                story.acknowledge()
            story.start_over(automation=True)
            assert story.find(RoundBegan)[0].why is Ended.RESOLVED_BY_AUTOMATION
            assert story.paged()[-1] == ("page-engineer", "e1.r2.l1")

    def test_a_resolve_by_automation_while_none_fires_is_nothing(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        assert story.start_over(automation=True) == []


def test_29_a_button_of_an_older_episode_is_refused() -> None:
    story = Story()
    story.fire()
    story.resolve_alert()
    story.forward(minutes=5)
    story.fire()
    with pytest.raises(RefusedError) as refused:
        story.acknowledge(episode=1)
    assert refused.value.reason == "stale"
    story.acknowledge(episode=2)
    assert story.state is State.ACKNOWLEDGED
