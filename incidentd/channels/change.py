"""Where only changes of state are told, as a message each: what of an incident's news is one, and what it is called."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.link import dashboard, lead, safe_href
from incidentd.incident.slot import parse_episode
from incidentd.incident.state import State
from incidentd.timeline import (
    Acknowledged,
    Entry,
    FiringAgain,
    LevelReached,
    Opened,
    Recovering,
    Resolved,
    RoundBegan,
    TakenOver,
    TierRose,
    TierSet,
    Unanswered,
)

_CHANGES = (
    Acknowledged,
    FiringAgain,
    LevelReached,
    Opened,
    Recovering,
    Resolved,
    RoundBegan,
    TakenOver,
    TierRose,
    TierSet,
    Unanswered,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_change(entry: Entry) -> bool:
    """Whether the incident's state, tier, level or owner changed by it. Notes and single alerts change none of them."""
    return isinstance(entry.data, _CHANGES)


def nothing_to_tell(news: News) -> Receipt | None:
    """What comes of news that hold no change of state, without asking anything of the receiver; None where they do."""
    is_past = parse_episode(news.slot) < news.incident.episode
    if not is_past and (news.uncertain or any(map(is_change, news.entries)) or (news.entries and not news.reference)):
        return None
    return Receipt(news.reference, sent=False, asked=False)


def number(news: News) -> int:
    """The number of the last entry that is told: with incident, destination and slot it names a message."""
    return news.entries[-1].number if news.entries else news.incident.news


def message_id(destination: Destination, news: News) -> str:
    """The same 32 digits for the same news at each try and from every process."""
    named = json.dumps([news.incident.id, destination.name, news.slot, number(news)])
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def event_type(news: News) -> str:
    """``opened``, ``resolved`` or ``changed``: what the news come to in their sum."""
    if news.incident.state is State.RESOLVED:
        return "resolved"
    return "opened" if any(isinstance(each.data, Opened) for each in news.entries) else "changed"


def headline(news: News) -> str:
    """One line: tier, number, title and state."""
    incident = news.incident
    return one_line(f"{incident.tier} #{news.number} {incident.title}: {standing(news)}", 300)


def standing(news: News) -> str:
    """The state in a few words."""
    incident = news.incident
    if incident.state is State.ACKNOWLEDGED and incident.acknowledgement:
        return f"acknowledged by {incident.acknowledgement.by}"
    if incident.state is State.RESOLVED and incident.resolved_by:
        return f"resolved by {incident.resolved_by}"
    return incident.state.value


def clean(text: str) -> str:
    """The text without characters that control anything, such as its direction; line breaks and tabs stay."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str, limit: int) -> str:
    """The text on one line, without characters that control anything."""
    line = _CONTROL.sub("", " ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def picture(destination: Destination, news: News, reference: str = "") -> Mapping[str, Any]:
    """The incident as plain values, by the names that templates use (``incidentd/template.py``)."""
    alert = lead(news)
    annotations = alert.annotations if alert else {}
    return {
        "event": {
            "id": f"msg_{message_id(destination, news)}",
            "type": event_type(news),
            "number": number(news),
            "at": (news.entries[-1].at if news.entries else news.incident.opened_at).isoformat(),
        },
        "incident": _incident(news),
        "news": [
            {"number": e.number, "at": e.at.isoformat(), "kind": e.data.kind, "actor": e.actor, "sentence": clean(s)}
            for e, s in zip(news.entries, news.sentences, strict=True)
        ],
        "alerts": [
            {
                "fingerprint": each.fingerprint,
                "starts_at": each.starts_at.isoformat(),
                "firing": each.firing,
                "labels": dict(each.labels),
                "annotations": dict(each.annotations),
                "generator_url": each.generator_url,
            }
            for each in news.alerts
        ],
        "headline": headline(news),
        "summary": clean(annotations.get("summary", "")),
        "text": "\n".join(clean(each) for each in news.sentences if each.strip()),
        "url": news.url,
        "runbook": safe_href(news.runbook or annotations.get("runbook_url", "")) or "",
        "dashboard": safe_href(dashboard(annotations)) or "",
        "objective": news.objective,
        "notice": news.notice,
        "reference": reference,
    }


def _incident(news: News) -> Mapping[str, Any]:
    incident, has = news.incident, news.incident.acknowledgement
    instants = {
        "opened_at": incident.opened_at,
        "respond_by": incident.respond_by,
        "next_at": incident.next_at,
        "acknowledged_at": has.at if has else None,
        "resolved_at": incident.resolved_at,
    }
    return {
        "id": incident.id,
        "number": news.number,
        "key": incident.key,
        "title": incident.title,
        "system": incident.system,
        "slo": incident.slo,
        "tier": str(incident.tier),
        "state": incident.state.value,
        "level": incident.level,
        "scope": list(incident.scope),
        "row": incident.row,
        "reason": incident.reason,
        "next": news.next_level.name if news.next_level else None,
        "acknowledged_by": has.by if has else None,
        "resolved_by": incident.resolved_by,
        **{name: at.isoformat() if at else None for name, at in instants.items()},
    }
