"""A digest as one Slack message, inside the limits of Block Kit, and what is said in its thread."""

import json
from collections.abc import Iterator, Sequence

from incidentd.channels.digest import Call, DigestNews, Named
from incidentd.channels.link import safe_href
from incidentd.channels.mrkdwn import line, link, mention, moment
from incidentd.channels.slack_card import Block, Message, button, header, section
from incidentd.incident.state import State
from incidentd.tier import Tier

ACKNOWLEDGE_ALL = "incidentd_acknowledge_all"

_TITLE = 200
_NOTICE = 500
_OPEN = (State.TRIGGERED, State.ACKNOWLEDGED, State.RECOVERING)


def digest_card(news: DigestNews, *, first: bool = False) -> Message:
    """The digest as its incidents now stand. ``first``: it mentions whom it concerns."""
    title = _title(news)
    blocks = [
        header(title),
        *_notice(news),
        section(_states(news)),
        section("\n".join(_tiers(news)) or "No incident is left in it."),
        *_foremost(news),
        *_footer(news),
        *_buttons(news),
    ]
    told = _mentions(news, {1}) if first and news.of(State.TRIGGERED) else ""
    return Message(" ".join(filter(None, (title, told))), blocks)


def digest_reply(news: DigestNews, calls: Sequence[Call]) -> Message:
    """What is loud and new, in one sum, with a mention of each whom it concerns."""
    mentions = _mentions(news, {call.level for call in calls})
    sums: dict[tuple[int, Tier], int] = {}
    for call in calls:
        sums[call.level, call.tier] = sums.get((call.level, call.tier), 0) + call.count
    said = [f"*{_incidents(count)}* ({tier}): level {level} is told." for (level, tier), count in sorted(sums.items())]
    notice = f"⚠️ *{line(news.notice, _NOTICE)}*" if news.notice else ""
    body = "\n".join([*filter(None, [mentions, notice]), *said, *map(_named, news.called)])
    return Message(body, [section(body)])


def _title(news: DigestNews) -> str:
    open_ones = news.of(*_OPEN)
    if not open_ones:
        return f"✅ Alert storm: all {news.total:,} incidents are resolved"
    return f"⛈️ Alert storm: {_incidents(open_ones)} open, told in this one message"


def _notice(news: DigestNews) -> Iterator[Block]:
    if news.notice:
        yield section(f"⚠️ *{line(news.notice, _NOTICE)}*")


def _states(news: DigestNews) -> str:
    counted = [f"*{news.of(state):,}* {state.value}" for state in State if news.of(state)]
    return f"{' · '.join(counted)}\nSince {moment(news.opened_at)}. These have no cards of their own."


def _tiers(news: DigestNews) -> Iterator[str]:
    for tier in Tier:
        total = sum(count for (each, _), count in news.counts.items() if each is tier)
        if total:
            triggered = news.counts.get((tier, State.TRIGGERED), 0)
            yield f"*{tier}*: {_incidents(total)}, {triggered:,} unanswered"


def _foremost(news: DigestNews) -> Iterator[Block]:
    if news.foremost and news.of(*_OPEN):
        yield section("\n".join(["*Most urgent*", *map(_named, news.foremost)]))


def _named(named: Named) -> str:
    href = safe_href(named.url)
    number = link(href, f"#{named.number}") if href else f"#{named.number}"
    return f"• {named.tier} {number} {line(named.title, _TITLE)}: {named.state.value}"


def _footer(news: DigestNews) -> Iterator[Block]:
    if href := safe_href(news.url):
        yield section(link(href, "All incidents of this message"))


def _buttons(news: DigestNews) -> Iterator[Block]:
    if news.of(State.TRIGGERED):
        value = json.dumps({"digest": news.id})
        yield {"type": "actions", "elements": [button("Acknowledge all", ACKNOWLEDGE_ALL, value, style="primary")]}


def _mentions(news: DigestNews, levels: set[int]) -> str:
    people = [news.people[level] for level in sorted(levels) if level in news.people]
    return " ".join(dict.fromkeys(filter(None, (mention(each.mention.get("slack", "")) for each in people))))


def _incidents(count: int) -> str:
    return "1 incident" if count == 1 else f"{count:,} incidents"
