"""Response time: met or missed, once (model 15)."""

from incidentd.tier import Tier
from incidentd.timeline import Resolved, ResponseMissed
from tests.incident.build import HOUR, MINUTE, Story


def test_15_an_answer_at_exactly_respond_by_is_in_time() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(minutes=5)
    story.acknowledge()
    assert story.incident.responded_in_time is True


def test_15_an_answer_at_exactly_respond_by_is_in_time_after_a_tick_at_that_instant_too() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(minutes=5)
    story.tick()
    story.acknowledge()
    assert story.incident.responded_in_time is True


def test_15_a_microsecond_later_it_is_missed() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(seconds=300.000001)
    story.acknowledge()
    assert story.incident.responded_in_time is False
    missed = next(entry for entry in story.entries if isinstance(entry.data, ResponseMissed))
    assert (missed.at, missed.due_at) == (story.now, story.entries[0].at + 5 * MINUTE)


def test_15_missed_is_told_a_moment_after_respond_by_without_any_answer() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=6)
    assert story.incident.responded_in_time is False
    assert len(story.find(ResponseMissed)) == 1


def test_15_missed_in_the_first_round_stays_missed_when_answered_in_the_second() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=40)
    story.acknowledge()
    assert story.incident.responded_in_time is False


def test_15_met_is_decided_once_and_a_lapse_does_not_undo_it() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.acknowledge()
    story.forward(hours=2)
    assert story.incident.round > 1
    assert story.incident.responded_in_time is True
    assert story.find(ResponseMissed) == []


def test_15_a_rise_brings_respond_by_closer() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.forward(minutes=10)
    story.fire("b", tier=Tier.P0)
    assert story.incident.respond_by == story.now + 5 * MINUTE


def test_15_a_rise_never_puts_respond_by_off() -> None:
    story = Story()
    story.fire("a", tier=Tier.P1)
    story.forward(minutes=14)
    story.fire("b", tier=Tier.P0)
    assert story.incident.respond_by == story.entries[0].at + 15 * MINUTE


def test_15_lowering_leaves_respond_by_as_it_stands() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    story.set_tier(Tier.P2)
    assert story.incident.respond_by == story.entries[0].at + 15 * MINUTE


def test_15_an_episode_that_closes_unanswered_before_its_time_is_neither() -> None:
    story = Story()
    story.fire(tier=Tier.P2)
    story.resolve_alert()
    story.forward(minutes=10)
    assert story.incident.resolved_at is not None
    assert story.incident.responded_in_time is None


def test_15_respond_by_does_not_stand_still_while_recovering() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=4)
    story.resolve_alert()
    story.forward(minutes=2)
    assert story.incident.responded_in_time is False


def test_15_a_response_missed_before_the_hold_down_ended_is_missed_however_late_the_tick() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=4)
    story.resolve_alert()
    story.off(hours=1)
    story.tick()
    assert story.kinds[-2:] == ["response_missed", "resolved"]
    assert story.incident.responded_in_time is False


def test_15_a_response_due_after_the_hold_down_ended_is_not_missed_however_late_the_tick() -> None:
    story = Story()
    story.fire(tier=Tier.P2)
    story.resolve_alert()
    story.off(hours=3)
    story.tick()
    assert story.kinds[-1] == "resolved"
    assert story.incident.responded_in_time is None


def test_15_a_person_who_resolves_in_time_has_answered() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=3)
    story.resolve()
    assert story.find(Resolved)[0].in_time is True
    assert story.incident.responded_in_time is True


def test_15_each_episode_is_judged_anew() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=6)
    story.resolve_alert()
    story.forward(minutes=5)
    story.fire(tier=Tier.P0)
    assert story.incident.responded_in_time is None
    assert story.incident.respond_by == story.now + 5 * MINUTE


def test_15_an_acknowledgement_while_recovering_is_an_answer() -> None:
    story = Story()
    story.fire(tier=Tier.P2)
    story.resolve_alert()
    story.acknowledge()
    assert story.incident.responded_in_time is True
    assert story.incident.respond_by == story.now + HOUR
