"""What alerts do to an incident: regions join, copies come, alerts flap, end and come back."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from incidentd.incident.state import State
from incidentd.sandbox.pagerduty import AlertState
from incidentd.tier import Tier
from incidentd.web.app import create_app
from incidentd.web.server import bind, serving
from tests.lifecycle.twin import twin
from tests.story.story import Story

REPLICAS = 3
COPIES = 200


def test_a_second_region_makes_a_p1_a_p0_at_once(story: Story) -> None:
    story.fire("avalo/core-api", value=99.7, region="eu")
    page = story.expect_page(level=1)
    story.expect_alert(page, AlertState.TRIGGERED, severity="error")
    story.forward(minutes=2)
    story.fire("avalo/core-api", value=99.7, region="us")
    story.expect(State.TRIGGERED, tier=Tier.P0, scope=("eu", "us"))
    story.expect_alert(page, AlertState.TRIGGERED, severity="critical")
    story.expect_thread("P0", loud=True)
    story.forward(minutes=5)
    story.expect_page(level=2)


def test_a_second_region_voids_the_acknowledgement_of_the_first_and_pages_at_once(story: Story) -> None:
    story.fire("avalo/core-api", value=99.7, region="eu")
    first = story.expect_page(level=1)
    story.acknowledge(by="anna.berg")
    story.fire("avalo/core-api", value=99.7, region="us")
    second = story.expect_page(level=1)
    story.expect_alert(second, AlertState.TRIGGERED, severity="critical")
    story.expect_alert(first, AlertState.RESOLVED)
    story.expect(State.TRIGGERED, tier=Tier.P0)


def test_a_p2_that_becomes_a_p0_pages_level_1_now(story: Story) -> None:
    story.fire("avalo/core-api", sli="budget_consumed", value=30)
    story.expect_no_page()
    story.forward(minutes=10)
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)


def test_two_hundred_copies_from_three_replicas_are_one_incident_and_one_page(story: Story) -> None:
    """Each replica sends at the same time as the others, and to a web part of its own."""
    copy = story.alert("avalo/core-api", value=99.4, region="eu")
    begin = threading.Barrier(REPLICAS, timeout=120)

    def send(replica: int) -> list[int]:
        begin.wait()
        return [story.posted_to(urls[replica], [copy], sender=replica) for _ in range(replica, COPIES, REPLICAS)]

    with ExitStack() as stack:
        others = [stack.enter_context(twin(story.bench)) for _ in range(REPLICAS - 1)]
        parts = [stack.enter_context(serving(create_app(each), bind("127.0.0.1", 0))) for each in others]
        urls = [story.url, *parts]
        with ThreadPoolExecutor(REPLICAS) as pool:
            answers = [status for statuses in pool.map(send, range(REPLICAS)) for status in statuses]
        assert answers == [200] * COPIES
        story.bench.settle()
    assert story.bench.kinds().count("opened") == 1
    story.expect_page(level=1)
    story.expect_no_page()
    assert len(story.bench.events("trigger")) == 1
    story.expect_card("1 alert, 1 firing")


def test_flapping_for_ten_minutes_pages_nobody_again(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    page = story.expect_page(level=1)
    story.acknowledge()
    for _ in range(30):
        story.forward(seconds=10)
        story.resolve("avalo/core-api", region="eu")
        story.forward(seconds=10)
        story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_no_page()
    story.expect_alert(page, AlertState.ACKNOWLEDGED)
    story.expect(State.ACKNOWLEDGED, episode=1)


def test_flapping_unanswered_climbs_as_the_levels_clocks_ask_and_no_oftener(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    for _ in range(30):
        story.forward(seconds=10)
        story.resolve("avalo/core-api", region="eu")
        story.forward(seconds=10)
        story.fire("avalo/core-api", value=99.4, region="eu")
    for level in (1, 2):
        story.expect_page(level=level)


def test_what_ends_by_itself_is_resolved_after_five_quiet_minutes(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    page = story.expect_page(level=1)
    story.forward(minutes=2)
    story.resolve("avalo/core-api", region="eu")
    story.expect_card("Recovering")
    story.forward(minutes=4, seconds=59)
    story.expect_alert(page, AlertState.TRIGGERED)
    story.forward(seconds=1)
    story.expect(State.RESOLVED)
    story.expect_alert(page, AlertState.RESOLVED)
    story.expect_card("Resolved")


def test_a_person_resolves_and_after_the_grace_a_new_card_follows_to_which_the_old_one_points(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    first = story.expect_page(level=1)
    story.end(by="anna.berg")
    story.expect(State.RESOLVED, resolved_by="anna.berg")
    story.expect_alert(first, AlertState.RESOLVED)
    old = story.expect_card("Resolved", "anna.berg")
    story.forward(minutes=9, seconds=59)
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_no_page()
    story.forward(seconds=1)
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.forward(seconds=10)
    new = story.expect_card("P0", "Triggered", count=2)
    pointing = story.bench.sandbox.slack.message(old.ts)
    assert pointing
    assert "This episode is over" in str(pointing.blocks)
    assert new.ts.replace(".", "") in str(pointing.blocks)


def test_firing_again_within_thirty_minutes_is_the_same_incident_with_a_new_page(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    first = story.expect_page(level=1)
    story.acknowledge()
    story.resolve("avalo/core-api", region="eu")
    story.forward(minutes=25)
    story.expect(State.RESOLVED)
    story.fire("avalo/core-api", value=99.4, region="eu")
    second = story.expect_page(level=1)
    story.expect(State.TRIGGERED, episode=2)
    assert second.dedup_key != first.dedup_key
