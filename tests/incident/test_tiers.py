"""How urgent an incident is (model 6, 7, 10, 13, 30)."""

from dataclasses import replace

import pytest

from incidentd.incident.state import State
from incidentd.tier import Tier
from incidentd.timeline import AlertsChanged, Opened, RoundBegan, Scope, TierRose, TierSet, Unanswered
from tests.incident.build import GLOBAL, MINUTE, Story, member


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        ((Tier.P1,), Tier.P1),
        ((Tier.P2, Tier.P1), Tier.P1),
        ((Tier.P3, Tier.P2), Tier.P2),
        ((Tier.P3, Tier.P0, Tier.P1), Tier.P0),
    ],
)
def test_6_the_tier_is_the_most_urgent_of_the_firing_alerts(tiers: tuple[Tier, ...], expected: Tier) -> None:
    story = Story()
    story.hear(*(member(str(n), tier=tier) for n, tier in enumerate(tiers)))
    assert story.incident.tier is expected


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([("eu", Tier.P1)], Tier.P1),
        ([("eu", Tier.P1), ("us", Tier.P1)], Tier.P0),
        ([("eu", Tier.P1), ("eu", Tier.P1)], Tier.P1),
        ([("eu", Tier.P1), ("us", Tier.P2)], Tier.P1),
        ([("eu", Tier.P1), (None, Tier.P1)], Tier.P1),
        ([("eu", Tier.P2), ("us", Tier.P2)], Tier.P2),
    ],
)
def test_6_two_regions_at_the_scope_rules_tier_make_a_p0(alerts: list[tuple[str | None, Tier]], expected: Tier) -> None:
    at_once, one_by_one = Story(), Story()
    heard = [member(str(n), tier=tier, region=region, scope=GLOBAL) for n, (region, tier) in enumerate(alerts)]
    at_once.hear(*heard)
    for each in heard:
        one_by_one.hear(each)
    assert at_once.incident.tier is one_by_one.incident.tier is expected


def test_6_a_region_that_fires_no_more_does_not_count_for_scope() -> None:
    story = Story()
    story.fire("eu", region="eu", scope=GLOBAL)
    story.fire("eu2", region="eu", scope=GLOBAL, tier=Tier.P2)
    story.resolve_alert("eu")
    story.fire("us", region="us", scope=GLOBAL)
    assert story.incident.tier is Tier.P1
    assert story.incident.scope == ("eu", "us")


def test_6_an_alert_whose_row_has_no_scope_rule_counts_for_none() -> None:
    story = Story()
    story.hear(member("eu", region="eu", scope=GLOBAL), member("us", region="us"))
    assert story.incident.tier is Tier.P1


def test_6_the_entry_names_the_regions_that_raised_it() -> None:
    story = Story()
    story.fire("eu", region="eu", scope=GLOBAL)
    story.fire("us", region="us", scope=GLOBAL)
    (rose,) = story.find(TierRose)
    assert rose.reason == "eu breached; P1 or worse in 2 regions at once: eu, us"
    assert story.incident.reason == rose.reason


def test_6_the_more_urgent_of_two_scope_rules_gives_the_reason() -> None:
    wide = Scope(minimum=Tier.P2, regions=2, tier=Tier.P1)
    story = Story()
    story.hear(
        *(member(f"a{r}", region=r, scope=GLOBAL) for r in ("eu", "us")),
        *(member(f"b{r}", tier=Tier.P2, region=r, scope=wide) for r in ("eu", "us")),
    )
    assert story.incident.tier is Tier.P0
    assert "P1 or worse" in story.incident.reason


def test_7_the_tier_stays_when_its_alert_ends() -> None:
    story = Story()
    story.hear(member("a", tier=Tier.P0), member("b", tier=Tier.P2))
    story.resolve_alert("a")
    assert story.incident.tier is Tier.P0
    assert story.incident.title == "b is broken"


def test_7_a_person_may_lower_and_raise_it() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    seen = []
    for tier in (Tier.P2, Tier.P0):
        story.set_tier(tier)
        seen.append(story.incident.tier)
    assert seen == [Tier.P2, Tier.P0]
    assert [data.reason for data in story.find(TierSet)] == ["because", "because"]


def test_7_setting_the_tier_that_stands_is_no_entry() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    assert story.set_tier(Tier.P1) == []


class TestCeiling:
    """7: a person's tier binds the alerts and regions known then."""

    def lowered(self) -> Story:
        story = Story()
        story.fire("a", tier=Tier.P1, region="eu", scope=GLOBAL)
        story.set_tier(Tier.P3)
        return story

    def test_a_repeat_of_what_was_known_does_not_lift_it(self) -> None:
        story = self.lowered()
        assert story.repeat("a") == []
        assert story.incident.tier is Tier.P3

    def test_a_calmer_verdict_of_a_known_alert_does_not_lift_it(self) -> None:
        story = self.lowered()
        story.hear(replace(story.incident.members["a"], tier=Tier.P2))
        assert story.incident.tier is Tier.P3

    def test_a_new_alert_episode_lifts_it(self) -> None:
        story = self.lowered()
        story.fire("b", tier=Tier.P3)
        assert story.incident.tier is Tier.P1

    def test_the_next_episode_of_a_known_alert_lifts_it(self) -> None:
        story = self.lowered()
        story.off(minutes=1)
        story.fire("a", tier=Tier.P2, region="eu")
        assert story.incident.tier is Tier.P2

    def test_a_new_region_lifts_it(self) -> None:
        story = self.lowered()
        story.fire("b", tier=Tier.P1, region="us", scope=GLOBAL)
        assert story.incident.tier is Tier.P0

    def test_a_verdict_more_urgent_than_any_then_lifts_it(self) -> None:
        story = self.lowered()
        story.hear(replace(story.incident.members["a"], tier=Tier.P0))
        assert story.incident.tier is Tier.P0

    def test_an_alert_that_was_over_for_a_moment_only_does_not_lift_it(self) -> None:
        story = Story()
        story.fire("a", tier=Tier.P1)
        story.resolve_alert("a")
        story.set_tier(Tier.P2)
        story.forward(minutes=2)
        story.repeat("a")
        assert story.state is State.TRIGGERED
        assert story.incident.tier is Tier.P2

    def test_it_outlasts_a_reopening_by_the_same_alert(self) -> None:
        story = self.lowered()
        story.resolve()
        story.forward(minutes=11)
        story.repeat("a")
        assert story.find(Opened)[-1].tier is Tier.P3

    def test_it_does_not_outlast_a_reopening_by_a_new_one(self) -> None:
        story = self.lowered()
        story.resolve()
        story.forward(minutes=11)
        story.fire("b", tier=Tier.P2)
        assert story.find(Opened)[-1].tier is Tier.P1  # with all that fires

    def test_an_alert_resolved_before_it_was_ever_announced_was_not_known(self) -> None:
        story = Story()
        story.fire("a", tier=Tier.P2)
        late = member("b", tier=Tier.P1, firing=False, started=story.now)
        story.hear(late)
        story.set_tier(Tier.P3)
        story.off(minutes=2)
        story.hear(replace(late, firing=True))
        assert story.incident.tier is Tier.P1


def test_7_a_persons_raise_keeps_that_persons_own_acknowledgement() -> None:
    story = Story()
    story.fire(tier=Tier.P2)
    story.acknowledge("ann")
    story.set_tier(Tier.P0, by="ann")
    assert (story.state, story.incident.round) == (State.ACKNOWLEDGED, 1)
    assert story.find(RoundBegan) == []


def test_7_a_persons_raise_voids_anothers_acknowledgement() -> None:
    story = Story()
    story.fire(tier=Tier.P2)
    story.acknowledge("ann")
    story.set_tier(Tier.P0, by="bob")
    assert story.state is State.TRIGGERED
    assert story.find(RoundBegan)[-1].difference == "P2 became P0"
    assert story.paged() == [("page-engineer", "e1.r2.l1")]


def test_7_lowered_below_the_level_reached_the_level_stays_and_escalating_tells_the_last_again() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=15)
    assert story.incident.level == 3
    story.set_tier(Tier.P2)
    assert story.incident.level == 3
    story.escalate()
    assert (story.incident.told_level, story.incident.level) == (2, 3)


def test_7_lowered_at_level_1_escalating_goes_to_the_new_tiers_next_level() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.set_tier(Tier.P2)
    story.escalate()
    assert story.incident.level == 2
    assert "slack-manager" in {slot.destination for slot in story.told}


def test_7_lowered_to_p3_nobody_is_told_any_more() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.set_tier(Tier.P3)
    assert story.incident.next_at is None
    story.forward(hours=3)
    assert story.paged() == [("page-engineer", "e1.r1.l1")]


def test_10_a_repeat_with_another_verdict_is_classified_anew() -> None:
    story = Story()
    story.fire("a", tier=Tier.P1)
    story.hear(replace(story.incident.members["a"], tier=Tier.P0, row="worse", reason="99.4 < 99.5"))
    (rose,) = story.find(TierRose)
    assert (rose.tier, rose.row, rose.reason) == (Tier.P0, "worse", "99.4 < 99.5")


def test_30_a_repeat_that_changes_the_words_only_is_no_entry() -> None:
    story = Story()
    story.fire("a")
    again = replace(story.incident.members["a"], reason="other words", title="another title")
    assert story.hear(again) == []


def test_13_a_rise_keeps_the_level_and_comes_closer() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.forward(minutes=10)
    story.fire("b", tier=Tier.P0)
    assert story.incident.level == 1
    assert story.incident.round == 1
    assert story.incident.next_at == story.now + 5 * MINUTE


def test_13_a_p2_that_becomes_p0_pages_level_1_now() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    assert story.paged() == []
    story.forward(minutes=10)
    story.fire("b", tier=Tier.P0)
    assert story.paged() == [("page-engineer", "e1.r1.l1")]
    story.forward(minutes=5)
    assert story.paged()[1:] == [("page-manager", "e1.r1.l2")]


def test_13_a_p2_at_level_2_that_becomes_p0_pages_levels_1_and_2_now() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.forward(minutes=60)
    story.fire("b", tier=Tier.P0)
    assert story.paged() == [("page-engineer", "e1.r1.l1"), ("page-manager", "e1.r1.l2")]
    assert story.incident.next_at == story.now + 10 * MINUTE


def test_13_a_rise_never_delays_the_next_level() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.forward(minutes=58)
    story.fire("b", tier=Tier.P1)
    assert story.incident.next_at == story.entries[0].at + 60 * MINUTE


def test_13_a_silent_p3_that_rises_pages_level_1_now() -> None:
    story = Story()
    story.fire("a", tier=Tier.P3)
    assert (story.incident.level, story.incident.next_at) == (0, None)
    story.fire("b", tier=Tier.P1)
    assert story.paged() == [("page-engineer", "e1.r1.l1")]


def test_13_a_rise_after_all_rounds_were_unanswered_takes_up_the_levels_again() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2)
    story.forward(hours=7)
    assert story.find(Unanswered)[-1].last
    story.fire("b", tier=Tier.P0)
    assert not story.incident.exhausted
    assert story.incident.next_at == story.now + 10 * MINUTE
    assert len(story.paged()) == 2


def test_26_regions_that_join_are_named_in_the_entry() -> None:
    story = Story()
    story.fire("a", region="eu")
    story.fire("b", region="us")
    story.fire("c", region="us")
    assert [data.joined for data in story.find(AlertsChanged)] == [("us",), ()]
