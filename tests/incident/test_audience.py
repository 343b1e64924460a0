"""Who is told, and in which slot (model 31, 33, 34)."""

from incidentd.incident.audience import audience
from incidentd.incident.command import Delivered
from incidentd.incident.slot import Slot
from incidentd.tier import Tier
from incidentd.timeline import Accepted, DeliveryFailed, FellBack, GaveUp
from tests.incident.build import Story, member, with_levels


def now(story: Story) -> set[tuple[str, str]]:
    return {(slot.destination, slot.name) for slot in audience(story.incident, story.policy)}


def test_31_at_the_opening_a_p0_tells_channel_and_management_and_pages_level_1() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    assert audience(story.incident, story.policy) == {
        Slot("incidents", "e1", paging=False),
        Slot("management", "e1", paging=False),
        Slot("page-engineer", "e1.r1.l1", paging=True),
    }


def test_31_a_p1_tells_the_channel_and_pages_level_1() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    assert now(story) == {("incidents", "e1"), ("page-engineer", "e1.r1.l1")}


def test_31_a_p2_names_level_1_in_slack_and_pages_nobody() -> None:
    story = Story()
    story.fire(tier=Tier.P2)
    assert now(story) == {("incidents", "e1"), ("slack-engineer", "e1")}


def test_31_a_p3_is_a_ticket() -> None:
    story = Story()
    story.fire(tier=Tier.P3)
    assert now(story) == {("tickets", "e1")}


def test_31_each_level_joins_those_before_it() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=15)
    assert {each for each in now(story) if "page" in each[0]} == {
        ("page-engineer", "e1.r1.l1"),
        ("page-manager", "e1.r1.l2"),
        ("page-cto", "e1.r1.l3"),
    }


def test_31_a_reopening_is_a_new_conversation() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    story.resolve_alert()
    story.forward(minutes=5)
    story.fire(tier=Tier.P1)
    assert now(story) == {("incidents", "e2"), ("page-engineer", "e2.r2.l1")}


def test_31_the_rows_of_its_alerts_name_further_destinations() -> None:
    story = Story()
    story.fire("a", tier=Tier.P2, destinations=("growth",))
    story.resolve_alert("a")
    assert ("growth", "e1") in now(story)


def test_31_an_alert_that_never_fired_adds_nobody() -> None:
    story = Story()
    story.hear(member("a", tier=Tier.P2), member("b", firing=False, destinations=("growth",)))
    assert ("growth", "e1") not in now(story)


def test_31_a_page_that_a_row_names_is_level_1s_in_every_round() -> None:
    story = Story()
    story.fire("a", tier=Tier.P0, destinations=("page-cto",))
    story.forward(minutes=30)
    pages = [name for destination, name in story.paged() if destination == "page-cto"]
    assert pages == ["e1.r1.l1", "e1.r1.l3", "e1.r2.l1"]


def test_31_a_fallback_for_reading_joins_the_conversation() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    story.do(Delivered(FellBack("page-engineer", "emergency", "refused")))
    assert ("emergency", "e1") in now(story)


def test_31_a_fallback_that_pages_stands_in_at_the_levels_of_the_one_that_failed() -> None:
    story = Story(with_levels(Tier.P1, ("page-engineer",), ("page-manager",)))
    story.fire(tier=Tier.P1)
    story.do(Delivered(FellBack("page-engineer", "page-cto", "refused")))
    assert ("page-cto", "e1.r1.l1") in now(story)
    story.forward(minutes=15)
    assert ("page-cto", "e1.r1.l2") not in now(story)


def test_31_fallbacks_end_with_the_episode() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    story.do(Delivered(FellBack("page-engineer", "emergency", "refused")))
    story.resolve_alert()
    story.forward(minutes=5)
    story.fire(tier=Tier.P1)
    assert ("emergency", "e2") not in now(story)


def test_32_first_acceptance_failure_and_giving_up_are_entries_told_to_nobody() -> None:
    story = Story()
    story.fire(tier=Tier.P1)
    news = story.incident.news
    story.do(Delivered(DeliveryFailed("page-engineer", "e1.r1.l1", "503")))
    story.do(Delivered(GaveUp("incidents", "e1", "channel_not_found")))
    story.do(Delivered(Accepted("page-engineer", "e1.r1.l1", True, 1, 120, 2, 1)))
    assert story.kinds[1:] == ["delivery_failed", "gave_up", "accepted"]
    assert (story.incident.news, story.incident.last) == (news, 4)


def test_34_the_round_of_the_newest_accepted_page_is_known() -> None:
    story = Story()
    story.fire(tier=Tier.P0)
    story.forward(minutes=30)
    story.do(Delivered(Accepted("page-engineer", "e1.r2.l1", True, 2, 120, 1, 2)))
    story.do(Delivered(Accepted("page-manager", "e1.r1.l2", True, 1, 120, 1, 2)))
    story.do(Delivered(Accepted("incidents", "e1", False, 9, 120, 1, 2)))
    assert story.incident.paged_round == 2


def test_34_the_origin_is_that_of_the_alerts_that_opened_this_episode() -> None:
    story = Story()
    story.fire()
    first = story.incident.origin
    story.resolve_alert()
    story.forward(minutes=6)
    story.fire()
    assert (first, story.incident.origin) == (story.entries[0].at, story.now)
