"""The next instant at which time alone changes an incident (model 19)."""

from datetime import timedelta

from incidentd.incident.wake import wake_at
from incidentd.tier import Tier
from tests.incident.build import HOUR, MINUTE, Story

MOMENT = timedelta(microseconds=1)


def test_19_the_next_level_where_nothing_is_earlier() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    assert wake_at(story.incident) == story.now + 5 * MINUTE


def test_19_a_moment_after_respond_by_as_long_as_it_is_undecided() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=5)
    assert wake_at(story.incident) == story.now + MOMENT


def test_19_the_acknowledgements_end() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.acknowledge()
    assert wake_at(story.incident) == story.now + 30 * MINUTE


def test_19_the_hold_downs_end() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    story.resolve_alert()
    assert wake_at(story.incident) == story.now + 5 * MINUTE


def test_19_the_reminder() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=90)
    assert wake_at(story.incident) == story.now + HOUR


def test_19_the_graces_end_where_an_alert_waits_for_it() -> None:
    story = Story()
    story.fire()
    story.resolve()
    before = wake_at(story.incident)
    story.fire("b")
    assert (before, wake_at(story.incident)) == (None, story.incident.grace_until)


def test_19_the_end_of_an_alert_that_nobody_resolves() -> None:
    story = Story()
    story.fire(tier=Tier.P2, expires_at=story.now + 30 * MINUTE)
    assert wake_at(story.incident) == story.now + 30 * MINUTE


def test_19_none_where_only_an_event_can_change_it() -> None:
    story = Story()
    story.fire(tier=Tier.P3)
    story.acknowledge()
    assert wake_at(story.incident) is None


def test_19_an_early_tick_and_a_second_one_do_nothing() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.off(seconds=299.999)
    assert story.tick() == []
    story.off(seconds=0.001)
    assert story.tick() != []
    assert story.tick() == []
