"""An incident as one Slack message: Block Kit, inside its limits.

https://docs.slack.dev/reference/block-kit/blocks: header 150, section text 3,000, 10 fields of 2,000, 50 blocks, button
value 2,000. All blocks together stay below some 12,000 characters, from where on Slack refuses with
``msg_blocks_too_long``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from incidentd.channels.channel import News
from incidentd.channels.link import lead, links, safe_href
from incidentd.channels.mrkdwn import escape, line, link, mention, moment, plain
from incidentd.incident.state import Incident, State
from incidentd.tier import Tier

ACKNOWLEDGE = "incidentd_acknowledge"
TAKE_OVER = "incidentd_take_over"
RESOLVE = "incidentd_resolve"
ESCALATE = "incidentd_escalate"
STILL_ON = "incidentd_still_on"

Block = dict[str, object]

_HEADER = 150
_TEXT = 400
_STORY = 10
_TIERS = {Tier.P0: "🔴", Tier.P1: "🟠", Tier.P2: "🟡", Tier.P3: "🔵"}
_STATES = {State.ACKNOWLEDGED: "👀", State.RECOVERING: "🌤️", State.RESOLVED: "✅"}


@dataclass(frozen=True, slots=True)
class Message:
    """``text`` is what notifications and screen readers get; ``blocks`` what everybody sees."""

    text: str
    blocks: list[Block]


def card(news: News, *, first: bool = False) -> Message:
    """The incident as it now stands. ``first``: it also tells the story so far, and mentions whom it concerns."""
    incident = news.incident
    blocks = [
        header(_title(incident)),
        *_notice(news),
        section(_state(incident)),
        *_breach(news),
        *_fields(news),
        *(_story(news) if first and len(news.sentences) > 1 else ()),
        *_footer(news),
        *_buttons(incident),
    ]
    told = concerned(news, {incident.told_level or incident.level}) if first else ""
    return Message(" ".join(filter(None, (escape(_title(incident), 1000), told))), blocks)


def farewell(news: News, href: str) -> Message:
    """The card of an episode that is over, pointing to where the incident goes on (model 33)."""
    incident = news.incident
    title = f"📁 {incident.tier} {incident.title}"
    onward = safe_href(href)
    where = link(onward, "a new card") if onward else "a new card"
    said = section(f"This episode is over. The incident was opened again and goes on in {where}.")
    return Message(f"{escape(title, 1000)}: goes on in a new card", [header(title), said])


def concerned(news: News, levels: set[int]) -> str:
    """Mentions of those at these levels, as far as our configuration names them; none once somebody has answered."""
    if news.incident.state is not State.TRIGGERED:
        return ""
    people = [news.people[level] for level in sorted(levels) if level in news.people]
    return " ".join(dict.fromkeys(filter(None, (mention(each.mention.get("slack", "")) for each in people))))


def section(text: str) -> Block:
    """One section of marked-up text. ``verbatim``: Slack makes no links and mentions of its own out of it."""
    return {"type": "section", "text": _marked_up(text)}


def _marked_up(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(title: str) -> Block:
    """A title, cut to what Slack takes."""
    return {"type": "header", "text": {"type": "plain_text", "text": plain(title, _HEADER), "emoji": False}}


def _title(incident: Incident) -> str:
    mark = _STATES.get(incident.state, _TIERS[incident.tier])
    return f"{mark} {incident.tier} · {incident.title}"


def _notice(news: News) -> Iterator[Block]:
    if news.notice:
        yield section(f"⚠️ *{line(news.notice, _TEXT)}*")


def _state(incident: Incident) -> str:
    match incident.state:
        case State.TRIGGERED if incident.exhausted:
            return "*Unanswered.* Everybody has been told, several times."
        case State.TRIGGERED:
            return "*Triggered.* Nobody has answered yet."
        case State.ACKNOWLEDGED:
            return _acknowledged(incident)
        case State.RECOVERING:
            until = f" Resolved {moment(incident.hold_until)} unless one fires again." if incident.hold_until else ""
            return f"*Recovering.* No alert fires any more.{until}"
        case State.RESOLVED:
            by = f" by *{line(incident.resolved_by, 100)}*" if incident.resolved_by else ""
            return f"*Resolved*{by}{f', {moment(incident.resolved_at)}' if incident.resolved_at else ''}."


def _acknowledged(incident: Incident) -> str:
    has = incident.acknowledgement
    if has is None:
        return "*Acknowledged.*"
    until = f", until {moment(has.until)}" if has.until else ""
    return f"*Acknowledged* by *{line(has.by, 100)}*, {moment(has.at)}{until}."


def _breach(news: News) -> Iterator[Block]:
    alert = lead(news)
    annotations = alert.annotations if alert else {}
    value = annotations.get("value", "")
    objective = f", objective *{line(news.objective, 100)}*" if news.objective else ""
    sli = line(alert.labels.get("sli", ""), 100) if alert else ""
    measured = f"{f': {sli}' if sli else ''} is *{line(value, 100)}*" if value else ""
    what = f"*{line(news.incident.slo, 200) or 'What is measured'}*{measured}{objective}"
    said = annotations.get("summary") or annotations.get("description") or ""
    more = f"\n{escape(said, _TEXT)}" if said.strip() else ""
    if measured or objective or more:
        yield section(what + more)


def _fields(news: News) -> Iterator[Block]:
    fields = [_marked_up(f"*{name}*\n{text}") for name, text in _facts(news) if text]
    if fields:
        yield {"type": "section", "fields": fields}


def _facts(news: News) -> Iterator[tuple[str, str]]:
    incident = news.incident
    yield "Regions", line(", ".join(incident.scope), _TEXT)
    yield "System", line(incident.system, 200)
    if incident.state is not State.RESOLVED:
        yield "Level", _level(news)
        yield "Next", _next(news) if incident.state is State.TRIGGERED else ""
    yield "Response", _response(incident)
    yield "Quiet in Alertmanager", _quiet(incident)


def _level(news: News) -> str:
    level = news.incident.told_level or news.incident.level
    if not level:
        return "nobody told yet"
    person = news.people.get(level)
    who = concerned(news, {level}) or (line(person.name, 200) if person else "")
    return f"{level} · {who}" if who else str(level)


def _next(news: News) -> str:
    if news.incident.next_at is None:
        return ""
    who = line(news.next_level.name, 200) if news.next_level else "reminder"
    return f"{who}, {moment(news.incident.next_at)}"


def _quiet(incident: Incident) -> str:
    if not incident.silenced:
        return ""
    return f"{len(incident.silenced)} of {len(incident.firing)} firing, {line(incident.silence, _TEXT)}"


def _response(incident: Incident) -> str:
    if incident.responded_in_time is not None:
        return "answered in time" if incident.responded_in_time else "missed"
    return f"due by {moment(incident.respond_by)}" if incident.respond_by and not incident.resolved_at else ""


def _story(news: News) -> Iterator[Block]:
    latest = news.sentences[-_STORY:]
    omitted = len(news.sentences) - len(latest)
    head = [f"_{omitted} earlier entries are on the incident's page._"] if omitted else []
    yield section("\n".join(["*So far*", *head, *(f"• {line(each, 200)}" for each in latest)]))


def _footer(news: News) -> Iterator[Block]:
    incident = news.incident
    known = links(news)
    if known:
        yield section(" · ".join(link(each.href, each.text) for each in known))
    counted = f"#{news.number} · {_count(len(incident.members))}, {len(incident.firing)} firing"
    # Not marked up: patterns such as =~".*" in a reason would come out bold and struck through.
    why = {"type": "plain_text", "text": plain(f"{incident.row}: {incident.reason}", _TEXT), "emoji": False}
    opened = f"opened {moment(incident.episode_at)}"
    yield {"type": "context", "elements": [why, _marked_up(f"{counted} · {opened}")]}


def _count(alerts: int) -> str:
    return "1 alert" if alerts == 1 else f"{alerts} alerts"


def _buttons(incident: Incident) -> Iterator[Block]:
    if incident.state is State.RESOLVED:
        return
    value = json.dumps({"incident": incident.id, "episode": incident.episode})
    buttons = [
        button("Take over", TAKE_OVER, value)
        if incident.acknowledgement
        else button("Acknowledge", ACKNOWLEDGE, value, style="primary"),
        button("Resolve", RESOLVE, value),
    ]
    if incident.state is not State.RECOVERING:
        buttons.append(button("Escalate", ESCALATE, value, style="danger"))
    yield {"type": "actions", "elements": buttons}


def question(incident: Incident) -> Block:
    """The answers to whether alerts that nothing is heard of still fire."""
    value = json.dumps({"incident": incident.id, "episode": incident.episode})
    return {
        "type": "actions",
        "elements": [button("Still on", STILL_ON, value), button("Resolve", RESOLVE, value)],
    }


def button(text: str, action_id: str, value: str, **more: str) -> Block:
    """A button; ``value`` comes back with the click."""
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": text},
        "action_id": action_id,
        "value": value,
        **more,
    }
