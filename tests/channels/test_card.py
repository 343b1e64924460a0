"""Cards and replies: whatever an alert says is shown literally, inside Slack's limits."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentd.channels.channel import News, Person
from incidentd.channels.link import safe_href
from incidentd.channels.mrkdwn import escape, line, mention, moment, plain
from incidentd.channels.slack_card import Message, card, farewell
from incidentd.channels.slack_reply import reply
from incidentd.incident.state import Acknowledgement
from incidentd.sandbox.block import block_errors
from incidentd.tier import Tier
from tests.channels import story
from tests.channels.story import incident, level_reached, noted, opened

OWN = re.compile(r"<(@U0ENGINEER|!subteam\^S0BOSSES|!date\^\d+\^[^|<>]*\|[^|<>]*|https?://[^|<>]*\|[^|<>]*)>")
INJECTIONS = ["<!channel>", "<@U1>", "<https://evil|Acknowledge>", "<!here|x>", "&lt;!channel&gt;", "<!date^1^x|y>"]
TOTAL = 12_000

hostile = st.one_of(
    st.text(max_size=4000),
    st.text(alphabet="&<>|!@\n 𝒳\x00*`", max_size=4000),
    st.sampled_from(INJECTIONS),
    st.sampled_from(INJECTIONS).map(lambda text: text * 5000),
)
instants = st.integers(0, 250_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@st.composite
def states(draw: st.DrawFn) -> Any:
    maybe = st.none() | instants
    answer = Acknowledgement(draw(hostile), draw(instants), draw(maybe), Tier.P0, frozenset())
    regions = draw(st.lists(hostile, max_size=4))
    members = {str(n): story.member(fingerprint=str(n), region=region) for n, region in enumerate(regions)}
    return incident(
        title=draw(hostile),
        system=draw(hostile),
        slo=draw(hostile),
        row=draw(hostile),
        reason=draw(hostile),
        tier=draw(st.sampled_from(Tier)),
        level=draw(st.integers(0, 4)),
        told_level=draw(st.integers(0, 4)),
        next_at=draw(maybe),
        respond_by=draw(maybe),
        responded_in_time=draw(st.none() | st.booleans()),
        acknowledgement=draw(st.none() | st.just(answer)),
        recovering_at=draw(maybe),
        hold_until=draw(maybe),
        resolved_at=draw(maybe),
        resolved_by=draw(st.none() | hostile),
        exhausted=draw(st.booleans()),
        members=members,
    )


@st.composite
def any_news(draw: st.DrawFn) -> News:
    entries = (opened(), *(level_reached(n + 2, n) for n in range(draw(st.integers(0, 30)))))
    annotations = st.dictionaries(st.sampled_from(["value", "summary", "description", "dashboard_url"]), hostile)
    alert = story.detail(annotations=draw(annotations), generator_url=draw(hostile))
    plain_news = story.news(
        "e1",
        draw(states()),
        entries=entries,
        sentences=tuple(draw(hostile) for _ in entries),
        alerts=(alert,) * draw(st.integers(0, 2)),
    )
    return replace(
        plain_news,
        objective=draw(hostile),
        runbook=draw(hostile),
        url=draw(hostile),
        notice=draw(hostile),
        next_level=draw(st.none() | hostile.map(Person)),
    )


def texts(value: object) -> Iterator[str]:
    """Every text of the blocks that Slack parses for markup."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield str(value["text"])
        yield from (text for each in value.values() for text in texts(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in texts(each))


def assert_sound(message: Message, text_limit: int = 4000) -> None:
    assert block_errors(json.loads(json.dumps(message.blocks))) == []
    assert len(message.text) <= text_limit
    parsed = [message.text, *texts(message.blocks)]
    assert sum(len(text) for text in texts(message.blocks)) < TOTAL
    for text in parsed:
        assert not re.search(r"[<>]", OWN.sub("", text)), text
        assert not re.search(r"&(?!amp;|lt;|gt;)", text), text


@settings(max_examples=150, deadline=None)
@given(any_news(), st.booleans())
def test_any_card_is_inside_the_limits_and_nothing_in_it_is_markup(news: News, first: bool) -> None:
    assert_sound(card(news, first=first))
    assert_sound(farewell(news, news.url))


@settings(max_examples=100, deadline=None)
@given(any_news(), st.integers(0, 40))
def test_any_reply_is_inside_the_limits_and_nothing_in_it_is_markup(news: News, after: int) -> None:
    said = reply(news, after)
    assert (said is None) == (after >= news.entries[-1].number)
    if said is not None:
        assert_sound(said.message)


@pytest.mark.parametrize("text", INJECTIONS)
def test_markup_in_an_annotation_is_shown_literally(text: str) -> None:
    alert = story.detail(annotations={"summary": text, "value": text})
    blocks = card(story.news("e1", incident(title=text), alerts=(alert,))).blocks
    literal = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert any(literal in each for each in texts(blocks))


def test_an_annotation_of_100_kb_still_makes_a_card() -> None:
    alert = story.detail(annotations={"summary": "<&>" * 35_000, "value": "9" * 100_000})
    assert_sound(card(story.news("e1", alerts=(alert,))))


def test_a_storm_of_entries_is_one_reply_that_says_what_it_leaves_out() -> None:
    entries = tuple(noted(number) for number in range(2, 502))
    said = reply(story.news("e1", entries=entries), 1)
    assert said is not None
    assert said.number == 501
    assert "490 earlier entries" in said.message.text
    assert "Sentence 501." in said.message.text


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("<b>", 9, "&lt;b&gt;"),
        ("<b>", 8, "&lt;b…"),
        ("&&", 9, "&amp;…"),
        ("𝒳𝒳", 4, "𝒳𝒳"),
        ("𝒳𝒳", 3, "𝒳…"),
        ("", 3, ""),
    ],
)
def test_escaping_cuts_between_characters_and_never_exceeds_the_limit(text: str, limit: int, expected: str) -> None:
    assert escape(text, limit) == expected


@given(hostile, st.integers(1, 200))
def test_escaped_text_fits_and_holds_no_markup(text: str, limit: int) -> None:
    for made in (escape(text, limit), line(text, limit)):
        assert len(made.encode("utf-16-le")) // 2 <= limit
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", made)
    assert len(plain(text, limit).encode("utf-16-le")) // 2 <= limit


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ("U0ABC", "<@U0ABC>"),
        ("<@U0ABC>", "<@U0ABC>"),
        ("S0TEAM", "<!subteam^S0TEAM>"),
        ("<!subteam^S0TEAM>", "<!subteam^S0TEAM>"),
        ("here", "<!here>"),
        ("@channel", "<!channel>"),
        ("<!here>", "<!here>"),
        ("", ""),
        ("Ann", ""),
        ("<https://evil|x>", ""),
        ("U0ABC> <!channel", ""),
    ],
)
def test_a_mention_is_an_id_of_our_own_configuration_or_nothing(configured: str, expected: str) -> None:
    assert mention(configured) == expected


def test_an_instant_reads_in_the_readers_zone_and_falls_back_to_utc() -> None:
    assert moment(story.NOW) == "<!date^1795262400^{date_short_pretty} {time_secs}|2026-11-21 12:00:00 UTC>"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://grafana.example/d/1?a=b&c=d#x", True),
        ("http://10.0.0.1:9090/graph?g0.expr=up%7Bjob%3D%22a%22%7D", True),
        ("javascript:alert(1)", False),
        ("JavaScript://x/%0aalert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example", False),
        ("https:///nohost", False),
        ("https://a|Acknowledge", False),
        ("https://a>b", False),
        ("https://a b", False),
        ("https://a\nb", False),
        ("https://[::1", False),
        ("https://x/" + "y" * 3000, False),
        ("", False),
    ],
)
def test_only_complete_web_addresses_become_links(url: str, safe: bool) -> None:
    assert safe_href(url) == (url if safe else None)
