"""One page that many incidents share: which action, under which key, with which event."""

import hashlib
import json

from incidentd.channels.digest import DigestNews
from incidentd.channels.link import safe_href
from incidentd.channels.pagerduty_event import SEVERITIES, SUMMARY_LIMIT, Action
from incidentd.incident.state import State
from incidentd.tier import Tier

SOURCE = "incidentd"
_NAMED_IN_SUMMARY = 3
_TITLE = 200


def shared_action(news: DigestNews) -> Action | None:
    """What brings the page up to date, or None.

    It is triggered as long as any of its incidents is unanswered, then acknowledged, and resolved once all are over.
    Answered it wakes nobody again: who joins later has another page.
    """
    sent = news.reference.get("sent", "")
    if news.of(State.TRIGGERED):
        changed = news.uncertain or news.reference.get("said") != shared_content(news)
        return "trigger" if not sent or (sent == "trigger" and changed) else None
    wanted: Action = "acknowledge" if news.of(State.ACKNOWLEDGED) else "resolve"
    if wanted == "resolve" and news.of(State.RECOVERING):
        return None
    if news.uncertain:
        return wanted
    return wanted if sent not in ("", "resolve", wanted) else None


def shared_key(news: DigestNews) -> str:
    """The dedup_key: the same from every process and at each try."""
    return f"incidentd:{hashlib.sha256(json.dumps(['digest', news.id]).encode()).hexdigest()}"


def shared_content(news: DigestNews) -> str:
    """What the page says of how many there are: it is brought up to date when that changes."""
    counted = sorted((str(tier), state.value, count) for (tier, state), count in news.counts.items())
    said = [*counted, news.notice] if news.notice else counted
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def shared_event(news: DigestNews) -> dict[str, object]:
    """The properties of a trigger that lists the most urgent ones, with a link to all of them."""
    details = {
        **({"notice": news.notice} if news.notice else {}),
        "incidents_in_all": news.total,
        "unanswered": news.of(State.TRIGGERED),
        "level": news.level,
        "by_tier": {str(tier): _of_tier(news, tier) for tier in Tier if _of_tier(news, tier)},
        "most_urgent": [
            f"{each.tier} #{each.number} {each.title[:_TITLE]}: {each.state.value}" for each in news.foremost
        ],
        "digest": news.id,
    }
    payload = {**_payload(news), "timestamp": news.opened_at.isoformat(), "custom_details": details}
    return {"payload": payload, "links": _links(news), "client": "incidentd"}


def shared_smallest(news: DigestNews) -> dict[str, object]:
    """The properties in the smallest form that still wakes somebody."""
    return {"payload": _payload(news), "links": _links(news)}


def _payload(news: DigestNews) -> dict[str, object]:
    return {"summary": _summary(news), "source": SOURCE, "severity": SEVERITIES[news.tier]}


def _summary(news: DigestNews) -> str:
    named = "; ".join(each.title for each in news.foremost[:_NAMED_IN_SUMMARY])
    person = news.people.get(news.level)
    tail = f" (level {news.level}{f', {person.name[:_TITLE]}' if person else ''})"
    notice = f"[{news.notice[:_TITLE]}] " if news.notice else ""
    line = " ".join(f"{notice}{news.tier} {news.of(State.TRIGGERED):,} incidents at once: {named}".split())
    room = SUMMARY_LIMIT - len(tail)
    return (line if len(line) <= room else line[: room - 1] + "…") + tail


def _of_tier(news: DigestNews, wanted: Tier) -> int:
    return sum(count for (tier, _), count in news.counts.items() if tier is wanted)


def _links(news: DigestNews) -> list[dict[str, str]]:
    href = safe_href(news.url)
    return [{"href": href, "text": "All incidents of this page"}] if href else []
