"""A person escalates (model 18)."""

import pytest

from incidentd.errors import RefusedError
from incidentd.incident.state import State
from incidentd.tier import Tier
from incidentd.timeline import LevelReached, Unanswered
from tests.incident.build import MINUTE, Story, with_levels


def test_18_the_next_level_is_told_at_once_with_its_full_duration() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=2)
    story.escalate()
    assert story.paged()[-1] == ("page-manager", "e1.r1.l2")
    assert story.incident.next_at == story.now + 10 * MINUTE


def test_18_the_acknowledgement_ends() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.acknowledge()
    story.escalate()
    assert story.state is State.TRIGGERED
    assert story.incident.level == 2


def test_18_at_the_top_it_tells_the_top_again_each_time_on_a_page_of_its_own() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=15)
    for _ in range(2):
        story.forward(seconds=1)
        story.escalate()
    assert story.paged()[-2:] == [("page-cto", "e1.r1.l3.1"), ("page-cto", "e1.r1.l3.2")]
    assert story.incident.next_at == story.now + 15 * MINUTE


def test_18_a_page_told_again_never_takes_the_slot_of_an_earlier_one() -> None:
    story = Story(with_levels(Tier.P1, ("page-engineer",), ("page-manager",)))
    story.fire(tier=Tier.P1)
    story.escalate()
    story.escalate()
    story.set_tier(Tier.P0)
    story.escalate()
    story.set_tier(Tier.P1)
    story.forward(seconds=1)
    story.escalate()
    assert [name for _, name in story.paged()][-1] == "e1.r1.l2.2"


def test_18_a_rise_does_not_tell_a_level_twice_because_it_was_told_again_before() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.escalate()
    story.escalate()
    story.fire("b", tier=Tier.P0)
    assert story.paged() == [("page-engineer", "e1.r1.l1"), ("page-manager", "e1.r1.l2")]


def test_18_empty_levels_are_skipped() -> None:
    story = Story(with_levels(Tier.P0, ("page-engineer",), (), ("page-cto",)))
    story.fire(tier=Tier.P0)
    story.escalate()
    reached = story.find(LevelReached)[0]
    assert (reached.level, reached.skipped, reached.by_person) == (3, (2,), True)


def test_18_while_recovering_it_is_refused() -> None:
    story = Story()
    story.fire()
    story.resolve_alert()
    with pytest.raises(RefusedError) as refused:
        story.escalate()
    assert refused.value.reason == "recovering"


def test_18_where_nobody_stands_at_any_level_it_says_so() -> None:
    story = Story()
    story.fire(tier=Tier.P3)
    with pytest.raises(RefusedError) as refused:
        story.escalate()
    assert refused.value.reason == "nobody"


def test_18_after_all_rounds_it_takes_up_the_levels_again() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=95)
    story.escalate()
    assert story.incident.next_at == story.now + 15 * MINUTE
    story.forward(minutes=15)
    assert story.find(Unanswered)[-1].last


def test_18_an_escalation_from_an_answered_incident_has_its_rounds_before_it() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=61)
    story.acknowledge()
    story.escalate()
    story.forward(minutes=25)
    assert not story.find(Unanswered)[-1].last
