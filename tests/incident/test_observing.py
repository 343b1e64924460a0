"""A system that is only observed: recorded as any other, and nobody is told until observing ends."""

from dataclasses import replace

import pytest

from incidentd.errors import RefusedError
from incidentd.incident.audience import audience
from incidentd.incident.command import AlertsHeard, Enforce, Identity
from incidentd.incident.hear import takes
from incidentd.incident.state import State
from incidentd.incident.wake import wake_at
from incidentd.tier import Tier
from incidentd.timeline import Ended, Opened, RoundBegan, TierRose
from tests.incident.build import GLOBAL, MINUTE, Story, member, policy


def observed_story(tier: Tier = Tier.P0) -> Story:
    story = Story()
    story.hear(replace(member(tier=tier, destinations=("scaling",)), observed=True))
    return story


@pytest.mark.parametrize("tier", Tier)
def test_an_observed_incident_is_open_and_has_no_level_no_deadline_and_no_audience(tier: Tier) -> None:
    story = observed_story(tier)
    story.forward(hours=100)
    assert (story.kinds, story.state) == (["opened"], State.TRIGGERED)
    assert (story.incident.level, story.incident.next_at, story.incident.respond_by) == (0, None, None)
    assert wake_at(story.incident) is None
    assert story.told == {}


def test_its_whole_life_tells_nobody() -> None:
    story = Story()
    for name, tier in (("a", Tier.P2), ("b", Tier.P0)):
        story.hear(replace(member(name, tier=tier, region=name, destinations=("scaling",)), observed=True))
    story.acknowledge()
    story.set_tier(Tier.P1, by="bob")
    story.note()
    story.hear(replace(member("c", tier=Tier.P0, region="c"), observed=True))
    story.forward(hours=50)
    for name in ("a", "b", "c"):
        story.resolve_alert(name)
    story.forward(hours=1)
    story.hear(replace(member("a", tier=Tier.P0, started=story.now), observed=True))
    assert story.told == {}


def test_the_tier_follows_its_alerts_all_the_same() -> None:
    story = Story()
    for region in ("eu", "us"):
        story.hear(replace(member(region, region=region, scope=GLOBAL), observed=True))
    (rise,) = story.find(TierRose)
    assert (rise.tier, rise.level, rise.next_at, rise.respond_by) == (Tier.P0, 0, None, None)
    assert story.told == {}


def test_nobody_can_be_woken_by_hand() -> None:
    with pytest.raises(RefusedError, match="only observe"):
        observed_story().escalate()


def test_a_changed_tier_and_a_note_tell_nobody() -> None:
    story = observed_story(Tier.P2)
    story.acknowledge()
    story.note()
    story.set_tier(Tier.P0, by="bob")
    story.forward(hours=100)
    assert story.told == {}
    assert story.incident.acknowledgement is None or story.incident.acknowledgement.until is None


def test_the_first_alert_that_is_not_observed_any_more_tells_level_1_and_starts_the_clocks() -> None:
    story = observed_story(Tier.P0)
    story.forward(hours=20)
    story.repeat()
    assert story.told == {}, "still observed"
    ended = story.now
    _, began = story.hear(member(tier=Tier.P0, destinations=("scaling",)))
    assert isinstance(began, RoundBegan)
    assert (began.why, began.level, began.round) == (Ended.ENFORCED, 1, 2)
    assert story.incident.respond_by == ended + 5 * MINUTE
    assert {slot.destination for slot in story.told} == {"page-engineer", "incidents", "management", "scaling"}
    story.forward(minutes=16)
    assert [where for where, _ in story.paged()] == ["page-engineer", "page-manager", "page-cto"]
    assert story.incident.responded_in_time is False


def test_an_answer_from_before_does_not_count_when_observing_ends() -> None:
    story = observed_story()
    story.acknowledge()
    story.fire(tier=Tier.P0, started=story.entries[0].at)
    assert (story.state, story.incident.level) == (State.TRIGGERED, 1)


def test_a_more_urgent_alert_that_ends_observing_tells_whom_the_new_tier_has() -> None:
    story = observed_story(Tier.P3)
    story.fire("b", tier=Tier.P0)
    assert story.incident.tier is Tier.P0
    assert [where for where, _ in story.paged()] == ["page-engineer"]


def test_an_alert_that_ends_does_not_end_observing() -> None:
    story = observed_story()
    story.hear(member(firing=False))
    assert (story.state, story.incident.observed) == (State.RECOVERING, True)
    story.forward(hours=1)
    assert (story.state, story.told) == (State.RESOLVED, {})


def test_who_was_told_of_an_incident_goes_on_being_told_when_observing_begins() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    story.hear(replace(member("b", tier=Tier.P0), observed=True))
    assert not story.incident.observed
    story.forward(minutes=16)
    assert [where for where, _ in story.paged()] == ["page-engineer", "page-manager", "page-cto"]


@pytest.mark.parametrize("observed_first", [True, False])
def test_what_was_only_observed_and_what_people_were_told_of_are_not_one_incident(observed_first: bool) -> None:
    story = Story()
    story.hear(replace(member(), observed=observed_first))
    story.resolve_alert()
    story.forward(minutes=10)
    assert story.state is State.RESOLVED
    again = member(started=story.now)
    same, other = (replace(again, observed=each) for each in (observed_first, not observed_first))
    assert takes(story.incident, [same], policy(), story.now)
    assert not takes(story.incident, [other], policy(), story.now)


def test_a_reopened_one_is_still_only_observed() -> None:
    story = observed_story()
    story.resolve_alert()
    story.forward(minutes=10)
    story.hear(replace(member(started=story.now), observed=True))
    opened = story.find(Opened)[-1]
    assert (opened.episode, opened.observed, opened.level) == (2, True, 0)
    assert audience(story.incident, story.policy) == set()


def test_within_a_persons_grace_the_end_of_observing_waits_for_its_end() -> None:
    story = observed_story()
    story.resolve()
    assert takes(story.incident, [member("b", started=story.now)], policy(), story.now)
    story.do(AlertsHeard((member("b", started=story.now),), Identity("id", "k", "s", "o")))
    assert story.state is State.RESOLVED
    story.forward(minutes=11)
    assert (story.state, story.incident.observed, story.incident.level) == (State.TRIGGERED, False, 1)


def test_when_the_rules_no_longer_observe_its_people_are_told_at_once_with_no_notification() -> None:
    story = observed_story(Tier.P0)
    story.acknowledge()
    story.forward(hours=20)
    (began,) = story.do(Enforce())
    assert isinstance(began, RoundBegan)
    assert (began.why, began.level, story.incident.acknowledgement) == (Ended.ENFORCED, 1, None)
    assert story.incident.respond_by == story.now + 5 * MINUTE
    assert {slot.destination for slot in story.told} == {"page-engineer", "incidents", "management", "scaling"}
    assert story.do(Enforce()) == []
    assert story.hear(member(tier=Tier.P0, started=story.entries[0].at, destinations=("scaling",))) == []


def test_one_that_recovers_or_is_over_when_observing_ends_wakes_nobody() -> None:
    story = observed_story()
    story.resolve_alert()
    assert (story.state, story.do(Enforce())) == (State.RECOVERING, [])
    story.forward(minutes=5)
    assert (story.state, story.do(Enforce()), story.told) == (State.RESOLVED, [], {})


def test_what_people_are_told_of_is_not_begun_again() -> None:
    story = Story()
    story.fire()
    assert story.do(Enforce()) == []
