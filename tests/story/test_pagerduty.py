"""What people do in PagerDuty counts (model 28): real webhooks, signed and sent by the sandbox."""

from collections.abc import Iterator

import pytest

from incidentd.incident.state import State
from incidentd.sandbox.pagerduty import AlertState
from incidentd.tier import Tier
from tests import canary
from tests.lifecycle.bench import KEYS
from tests.story.story import Story, telling

TOKEN = "INCIDENTD_PAGERDUTY_API_TOKEN"


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    """People are known by what PagerDuty calls them."""
    with telling(database_url, webhooks=True) as told:
        yield told


@pytest.fixture
def known(database_url: str) -> Iterator[Story]:
    """There is a token, so people are known by their e-mail, and alerts by their incident."""
    with telling(database_url, webhooks=True, INCIDENTD_PAGERDUTY_API_TOKEN=canary.of(TOKEN)) as told:
        yield told


def fired(story: Story) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.listen()


def test_an_acknowledgement_at_pagerduty_keeps_level_2_asleep_and_the_card_says_who(story: Story) -> None:
    fired(story)
    page = story.expect_page(level=1)
    story.forward(minutes=3)
    story.answer_page(page, by="Ben Okoro")
    incident = story.expect(State.ACKNOWLEDGED, responded_in_time=True)
    assert incident.acknowledgement and incident.acknowledgement.by == "Ben Okoro"
    story.expect_card("Acknowledged", "Ben Okoro")
    story.expect_thread("Ben Okoro acknowledged in PagerDuty")
    story.forward(minutes=20)
    story.listen()
    story.expect_no_page()


def test_all_other_alerts_of_the_incident_are_acknowledged_by_ourselves(story: Story) -> None:
    fired(story)
    first = story.expect_page(level=1)
    story.forward(minutes=5)
    second = story.expect_page(level=2)
    story.answer_page(second)
    story.expect_alert(first, AlertState.ACKNOWLEDGED)
    story.expect_alert(second, AlertState.ACKNOWLEDGED)
    story.expect(State.ACKNOWLEDGED, round=1)


def test_our_own_acknowledgements_and_resolves_come_back_and_change_nothing(story: Story) -> None:
    fired(story)
    page = story.expect_page(level=1)
    story.acknowledge(by="anna.berg")
    story.listen()
    story.expect_alert(page, AlertState.ACKNOWLEDGED)
    before = story.bench.kinds()
    story.listen()
    assert story.bench.kinds() == before
    story.resolve("avalo/core-api", region="eu")
    story.forward(minutes=5)
    story.listen()
    story.expect(State.RESOLVED, round=1, episode=1)
    story.expect_alert(page, AlertState.RESOLVED)


def test_an_acknowledgement_that_times_out_there_is_a_lapse_and_pages_anew(story: Story) -> None:
    fired(story)
    first = story.expect_page(level=1)
    story.answer_page(first)
    story.forward(minutes=10)
    story.answer_page(first, "unacknowledge")
    story.expect(State.TRIGGERED, round=2)
    second = story.expect_page(level=1)
    assert second.dedup_key != first.dedup_key
    # The old round's alert is resolved by us; its echo says so, and is none of automation's.
    story.expect_alert(first, AlertState.RESOLVED)
    story.expect(State.TRIGGERED, round=2)


def test_a_person_who_resolves_there_resolves_it_with_the_same_grace(story: Story) -> None:
    fired(story)
    page = story.expect_page(level=1)
    story.answer_page(page, "resolve", by="anna.berg")
    incident = story.expect(State.RESOLVED, resolved_by="Anna Berg")
    assert incident.grace_until
    story.forward(minutes=9, seconds=59)
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_no_page()
    story.forward(seconds=1)
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.listen()
    story.expect_page(level=1)
    story.expect(State.TRIGGERED, episode=2)


def test_a_resolve_by_automation_while_alerts_fire_starts_the_next_round(story: Story) -> None:
    fired(story)
    page = story.expect_page(level=1)
    story.forward(minutes=2)
    # Somebody else's program, with the same routing key.
    event = {"routing_key": KEYS[1], "event_action": "resolve", "dedup_key": page.dedup_key}
    sandbox = story.bench.sandbox.sandbox
    with sandbox.ledger.changed:
        sandbox.pagerduty.apply({"at": story.bench.now.isoformat(), "dedup_key": page.dedup_key, "event": event})
    story.listen()
    story.expect(State.TRIGGERED, round=2)
    story.expect_page(level=1)


def test_the_second_one_to_answer_changes_nothing_and_is_seen_to_be_there(story: Story) -> None:
    fired(story)
    page = story.expect_page(level=1)
    story.forward(minutes=1)
    story.bench.sandbox.handle(page, "acknowledge", "Ben Okoro")
    # PagerDuty's word is still on its way when somebody presses the button.
    story.acknowledge(by="anna.berg")
    story.listen()
    incident = story.expect(State.ACKNOWLEDGED)
    assert incident.acknowledgement and incident.acknowledgement.by == "anna.berg"
    story.expect_thread("Ben Okoro noted: acknowledged it in PagerDuty too")


def test_with_a_token_the_same_person_is_one_in_slack_and_in_pagerduty(known: Story) -> None:
    fired(known)
    page = known.expect_page(level=1)
    known.answer_page(page, by="Anna Berg")
    known.expect_card("anna.berg")
    before = known.bench.kinds()
    known.take_over(by="anna.berg")
    assert known.bench.kinds() == before, "she has it already"
    answered = [r for r in known.bench.sandbox.sandbox.ledger.requests("pagerduty-api") if r.method == "user"]
    assert [r.status for r in answered] == [200], "asked once, then remembered"


def test_with_a_token_an_incident_that_has_no_key_is_known_by_its_alerts(known: Story) -> None:
    known.bench.sandbox.sandbox.herald.tells_keys = False
    fired(known)
    page = known.expect_page(level=1)
    known.answer_page(page)
    known.expect(State.ACKNOWLEDGED, tier=Tier.P0)
    asked = [r for r in known.bench.sandbox.sandbox.ledger.requests("pagerduty-api") if r.method == "alerts"]
    assert len(asked) == 1, "what it was told when the page came is remembered"


def test_without_a_token_an_incident_that_has_no_key_is_left_alone(story: Story) -> None:
    story.bench.sandbox.sandbox.herald.tells_keys = False
    fired(story)
    story.answer_page(story.expect_page(level=1))
    story.expect(State.TRIGGERED)
