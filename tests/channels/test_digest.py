"""What many incidents share: a card, a reply and a page, inside the limits whatever alerts say, the worst named."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentd.channels.channel import Person
from incidentd.channels.digest import Call, DigestNews, Named
from incidentd.channels.pagerduty import PagerDutyChannel
from incidentd.channels.pagerduty_digest import (
    shared_action,
    shared_content,
    shared_event,
    shared_key,
    shared_smallest,
)
from incidentd.channels.pagerduty_event import SUMMARY_LIMIT
from incidentd.channels.slack_card import Message
from incidentd.channels.slack_digest import ACKNOWLEDGE_ALL, digest_card, digest_reply
from incidentd.incident.state import State
from incidentd.tier import Tier
from tests.channels import story
from tests.channels.conftest import Kit
from tests.channels.test_card import INJECTIONS, assert_sound, hostile, texts

ENGINEER = Person("Ann", {"slack": "U0ENGINEER"})
BOSSES = Person("Bosses", {"slack": "<!subteam^S0BOSSES>"})
URL = "https://incidentd.example/?digest=0193"
TRIGGERED = {(Tier.P0, State.TRIGGERED): 2, (Tier.P1, State.TRIGGERED): 1198}


def named(number: int = 7, title: str = "Core API", tier: Tier = Tier.P0) -> Named:
    return Named(number, tier, title, State.TRIGGERED, f"https://incidentd.example/incidents/{number}")


NEWS = DigestNews(
    id="0193",
    turn=3,
    level=0,
    opened_at=story.NOW,
    counts=TRIGGERED,
    foremost=[named(7), named(8, "Wallet", Tier.P1)],
    calls=[Call(3, 1, Tier.P0, 2), Call(3, 2, Tier.P1, 40)],
    called=[named(7)],
    people={1: ENGINEER, 2: BOSSES},
    url=URL,
)


@st.composite
def any_digest(draw: st.DrawFn) -> DigestNews:
    counts = st.dictionaries(st.tuples(st.sampled_from(Tier), st.sampled_from(State)), st.integers(1, 10**6))
    calls = st.lists(st.builds(Call, st.integers(1, 9), st.integers(1, 3), st.sampled_from(Tier), st.integers(1, 9999)))
    ones = st.lists(
        st.builds(Named, st.integers(1), st.sampled_from(Tier), hostile, st.sampled_from(State), hostile), max_size=8
    )
    return replace(
        NEWS,
        level=draw(st.integers(0, 3)),
        counts=draw(counts),
        calls=draw(calls.filter(lambda found: len(found) <= 12)),
        foremost=draw(ones),
        called=draw(ones),
        people={1: ENGINEER, 2: Person(draw(hostile), BOSSES.mention)},
        url=draw(st.just(URL) | hostile),
        notice=draw(st.just("") | hostile),
    )


@settings(max_examples=60, deadline=None)
@given(any_digest(), st.booleans())
def test_any_shared_message_is_inside_the_limits_and_nothing_in_it_is_markup(news: DigestNews, first: bool) -> None:
    assert_sound(digest_card(news, first=first))
    assert_sound(digest_reply(news, news.calls or NEWS.calls))


@settings(max_examples=60, deadline=None)
@given(any_digest())
def test_any_shared_page_is_inside_the_limits_of_an_event(news: DigestNews) -> None:
    for event in (shared_event(news), shared_smallest(news)):
        payload = event["payload"]
        assert isinstance(payload, dict)
        assert 0 < len(payload["summary"]) <= SUMMARY_LIMIT
        assert payload["severity"] in {"critical", "error", "warning", "info"}
        assert len(json.dumps(event)) < 512 * 1024


@pytest.mark.parametrize("text", INJECTIONS)
def test_markup_in_a_title_is_shown_literally(text: str) -> None:
    literal = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    news = replace(NEWS, foremost=[named(title=text)], called=[named(title=text)])
    for message in (digest_card(news), digest_reply(news, news.calls)):
        assert any(literal in each for each in texts(message.blocks))


def test_the_card_counts_by_state_and_tier_and_names_the_most_urgent() -> None:
    counts = {**TRIGGERED, (Tier.P1, State.ACKNOWLEDGED): 30, (Tier.P2, State.RESOLVED): 5}
    message = digest_card(replace(NEWS, counts=counts))
    said = _said(message)
    assert message.text == "⛈️ Alert storm: 1,230 incidents open, told in this one message"
    assert "*1,200* triggered · *30* acknowledged · *5* resolved" in said
    assert "*P0*: 2 incidents, 2 unanswered" in said
    assert "*P1*: 1,228 incidents, 1,198 unanswered" in said
    assert "*P2*: 5 incidents, 0 unanswered" in said
    assert said.index("|#7> Core API: triggered") < said.index("|#8> Wallet: triggered")
    assert f"<{URL}|All incidents of this message>" in said
    assert "<@U0ENGINEER>" not in message.text


def test_the_first_card_mentions_level_1_and_no_card_of_what_is_answered_does() -> None:
    assert digest_card(NEWS, first=True).text.endswith("<@U0ENGINEER>")
    answered = replace(NEWS, counts={(Tier.P1, State.ACKNOWLEDGED): 3})
    assert "<@" not in digest_card(answered, first=True).text


@pytest.mark.parametrize(("state", "has_button"), [(State.TRIGGERED, True), (State.ACKNOWLEDGED, False)])
def test_the_button_is_there_as_long_as_anything_is_unanswered(state: State, has_button: bool) -> None:
    blocks = digest_card(replace(NEWS, counts={(Tier.P1, state): 3})).blocks
    buttons = re.findall(r"'action_id': '(\w+)'", str(blocks))
    assert buttons == ([ACKNOWLEDGE_ALL] if has_button else [])


def test_a_storm_that_is_over_says_so_and_names_nobody_any_more() -> None:
    message = digest_card(replace(NEWS, counts={(Tier.P1, State.RESOLVED): 1200}))
    assert message.text == "✅ Alert storm: all 1,200 incidents are resolved"
    assert "Most urgent" not in _said(message)


def test_loud_news_are_summed_by_level_and_tier_and_call_each_of_these_levels_once() -> None:
    calls = [*NEWS.calls, Call(2, 1, Tier.P0, 1)]
    said = digest_reply(NEWS, calls).text
    assert said.split("\n")[0] == "<@U0ENGINEER> <!subteam^S0BOSSES>"
    assert "*3 incidents* (P0): level 1 is told." in said
    assert "*40 incidents* (P1): level 2 is told." in said
    assert "|#7> Core API" in said


def test_one_that_stands_in_for_pages_says_so_everywhere() -> None:
    notice = "This stands in for pages that could not be delivered to page-oncall."
    news = replace(NEWS, level=1, notice=notice)
    assert notice in _said(digest_card(news))
    assert notice in digest_reply(news, news.calls).text
    payload = shared_event(news)["payload"]
    assert isinstance(payload, dict)
    assert payload["summary"].startswith(f"[{notice}] P0 1,200 incidents at once: Core API; Wallet")
    assert shared_content(news) != shared_content(replace(news, notice=""))


def test_the_page_has_the_severity_of_the_most_urgent_that_is_unanswered() -> None:
    counts = {(Tier.P0, State.ACKNOWLEDGED): 1, (Tier.P1, State.TRIGGERED): 3, (Tier.P3, State.TRIGGERED): 9}
    news = replace(NEWS, level=2, counts=counts)
    payload = shared_event(news)["payload"]
    assert isinstance(payload, dict)
    assert payload["severity"] == "error"
    assert payload["summary"] == "P1 12 incidents at once: Core API; Wallet (level 2, Bosses)"
    details = payload["custom_details"]
    assert (details["incidents_in_all"], details["unanswered"]) == (13, 12)
    assert details["by_tier"] == {"P0": 1, "P1": 3, "P3": 9}
    assert details["most_urgent"] == ["P0 #7 Core API: triggered", "P1 #8 Wallet: triggered"]


@pytest.mark.parametrize(
    ("counts", "reference", "expected"),
    [
        ({State.TRIGGERED: 1}, {}, "trigger"),
        ({State.TRIGGERED: 2}, {"sent": "trigger", "said": "something else"}, "trigger"),
        ({State.TRIGGERED: 1}, {"sent": "acknowledge"}, None),
        ({State.ACKNOWLEDGED: 1}, {"sent": "trigger"}, "acknowledge"),
        ({State.ACKNOWLEDGED: 1}, {"sent": "acknowledge"}, None),
        ({State.ACKNOWLEDGED: 1}, {}, None),
        ({State.RECOVERING: 1}, {"sent": "trigger"}, None),
        ({State.RESOLVED: 1}, {"sent": "acknowledge"}, "resolve"),
        ({State.RESOLVED: 1}, {"sent": "resolve"}, None),
        ({State.RESOLVED: 1}, {}, None),
    ],
)
def test_a_shared_page_wakes_until_all_are_answered_and_ends_when_all_are_over(
    counts: dict[State, int], reference: dict[str, str], expected: str | None
) -> None:
    by_tier = {(Tier.P1, state): count for state, count in counts.items()}
    assert shared_action(replace(NEWS, counts=by_tier, reference=reference)) == expected


def test_a_page_whose_numbers_did_not_change_is_not_sent_again_but_after_a_lost_reply() -> None:
    sent = {"sent": "trigger", "said": shared_content(NEWS)}
    assert shared_action(replace(NEWS, reference=sent)) is None
    assert shared_action(replace(NEWS, reference=sent, uncertain=True)) == "trigger"


def test_answering_a_shared_page_that_may_be_out_there_is_not_recorded_as_a_page(pagerduty: Kit) -> None:
    assert isinstance(pagerduty.channel, PagerDutyChannel)
    reference: Mapping[str, str] = {}
    for state, uncertain in ((State.ACKNOWLEDGED, True), (State.RESOLVED, False)):
        news = replace(NEWS, counts={(Tier.P1, state): 2}, reference=reference, uncertain=uncertain)
        receipt = pagerduty.channel.deliver_digest(pagerduty.destination, news, seconds=5)
        reference = receipt.reference
        assert not receipt.sent
    assert [each.json["event_action"] for each in pagerduty.sent] == ["acknowledge", "resolve"]


def test_the_key_stays_whatever_the_digest_tells() -> None:
    later = replace(NEWS, turn=9, opened_at=story.NOW + timedelta(hours=1), counts={}, foremost=[])
    assert shared_key(later) == shared_key(NEWS) != shared_key(replace(NEWS, id="0194"))


def _said(message: Message) -> str:
    return "\n".join([message.text, *texts(message.blocks)])
