"""What PagerDuty is to be told: which action, under which key, with which event.

https://developer.pagerduty.com/docs/send-alert-event and ``docs/events-api-v2-overview``
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal

from incidentd.channels.channel import AlertDetail, News
from incidentd.channels.link import lead, links
from incidentd.incident.slot import PageSlot, parse_page_slot
from incidentd.incident.state import Incident, State
from incidentd.tier import Tier
from incidentd.timeline import Opened

Action = Literal["trigger", "acknowledge", "resolve"]

SUMMARY_LIMIT = 1024
BODY_LIMIT = 500_000
"""Below PagerDuty's 512 KB, with room for the routing key and the frame of the event."""

SEVERITIES = {Tier.P0: "critical", Tier.P1: "error", Tier.P2: "warning", Tier.P3: "info"}
_ALERTS = 20
_FIELDS = 64
_TEXT = 1000
_NOTICE = 200
_OWN = "Incident"


def action(incident: Incident, slot: str, reference: Mapping[str, str], *, uncertain: bool = False) -> Action | None:
    """What brings the page of this slot up to date, or None (model 21, 32, 34).

    ``uncertain``: PagerDuty may hold more than ``reference`` says, so what ends or answers a page is told regardless.
    """
    page = parse_page_slot(slot)
    sent = reference.get("sent", "")
    if _is_over(incident, page):
        return _if_open("resolve", sent, uncertain=uncertain)
    if incident.acknowledgement is not None:
        return _if_open("acknowledge", sent, uncertain=uncertain)
    if incident.state is State.TRIGGERED and _is_current(incident, page):
        return _trigger(incident, sent, reference.get("tier", ""), uncertain=uncertain)
    return None


def _is_over(incident: Incident, page: PageSlot) -> bool:
    superseded = page.round < incident.round and incident.paged_round > page.round
    return incident.state is State.RESOLVED or page.episode < incident.episode or superseded


def _is_current(incident: Incident, page: PageSlot) -> bool:
    return page.episode == incident.episode and page.round == incident.round


def _if_open(wanted: Action, sent: str, *, uncertain: bool) -> Action | None:
    """Nothing was triggered, or it was resolved, or this was told already: then there is nothing to say."""
    if uncertain:
        return wanted
    return wanted if sent not in ("", "resolve", wanted) else None


def _trigger(incident: Incident, sent: str, tier: str, *, uncertain: bool) -> Action | None:
    if sent in ("acknowledge", "resolve"):
        return None
    return "trigger" if not sent or tier != incident.tier or uncertain else None


def dedup_key(incident: Incident, slot: str, origin: datetime | None = None) -> str:
    """The key of this slot's page (model 34): the same from every process, also from one without the database.

    ``origin`` is that of the slot's episode, where it isn't the incident's present one.
    """
    page = parse_page_slot(slot)
    began_at = (origin or incident.origin).astimezone(UTC).isoformat()
    parts = [incident.key, began_at, page.round, page.level, page.repeat]
    return f"incidentd:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


def remembered_key(news: News) -> str | None:
    """The dedup_key that this slot's page has, also where the incident has moved on to another episode."""
    if "dedup_key" in news.reference:
        return news.reference["dedup_key"]
    episode = parse_page_slot(news.slot).episode
    if episode == news.incident.episode:
        return dedup_key(news.incident, news.slot)
    opened = (e.data for e in news.entries if isinstance(e.data, Opened) and e.data.episode == episode)
    return next((dedup_key(news.incident, news.slot, data.origin) for data in opened), None)


def event(news: News, source: str) -> dict[str, object]:
    """The properties of a trigger, its body below PagerDuty's limit."""
    base, shown, alerts = _payload(news, source), _links(news), list(_alerts(news.alerts[:_ALERTS]))
    while True:
        payload = {**base, "custom_details": _details(news, alerts)}
        full: dict[str, object] = {"payload": payload, "links": shown, **_client(shown), "client": "incidentd"}
        if size(full) <= BODY_LIMIT or not alerts:
            return full
        alerts = alerts[: len(alerts) // 2]


def smallest(news: News, source: str) -> dict[str, object]:
    """The properties of a trigger in the smallest form that still wakes somebody."""
    own = [link for link in _links(news) if link["text"] == _OWN]
    payload = {"summary": summary(news), "source": source, "severity": SEVERITIES[news.incident.tier]}
    return {"payload": payload, "links": own, **_client(own)}


def _links(news: News) -> list[dict[str, str]]:
    return [{"href": link.href, "text": link.text} for link in links(news)]


def _client(shown: list[dict[str, str]]) -> dict[str, str]:
    return next(({"client_url": link["href"]} for link in shown if link["text"] == _OWN), {})


def size(properties: Mapping[str, object]) -> int:
    """Bytes of the body that requests makes of it."""
    return len(json.dumps(properties))


def summary(news: News) -> str:
    """One line, cut to PagerDuty's limit: notice, tier, title, level."""
    incident = news.incident
    level = parse_page_slot(news.slot).level
    person = news.people.get(level)
    told = f"level {level}, {person.name}" if person else f"level {level}"
    notice = f"[{_cut(news.notice, _NOTICE)}] " if news.notice else ""
    tail = f" ({_cut(told, _NOTICE)})"
    line = " ".join(f"{notice}{incident.tier} {incident.title}".split())
    return _cut(line, SUMMARY_LIMIT - len(tail)) + tail


def _payload(news: News, source: str) -> dict[str, object]:
    incident = news.incident
    named = {
        "component": _cut(incident.slo, _TEXT),
        "group": _cut(incident.system, _TEXT),
        "class": _cut(incident.row, _TEXT),
        "timestamp": incident.episode_at.isoformat(),
    }
    base = {"summary": summary(news), "source": source, "severity": SEVERITIES[incident.tier]}
    return {**base, **{name: value for name, value in named.items() if value}}


def _details(news: News, alerts: list[dict[str, object]]) -> dict[str, object]:
    incident = news.incident
    alert = lead(news)
    level = parse_page_slot(news.slot).level
    person = news.people.get(level)
    said: dict[str, object] = {
        "notice": _cut(news.notice, _TEXT),
        "level": level,
        "who": _cut(person.name, _TEXT) if person else "",
        "regions": _cut(", ".join(incident.scope), _TEXT),
        "value": _cut(alert.annotations.get("value", ""), _TEXT) if alert else "",
        "objective": _cut(news.objective, _TEXT),
        "summary": _cut(alert.annotations.get("summary", ""), _TEXT) if alert else "",
        "row": _cut(incident.row, _TEXT),
        "reason": _cut(incident.reason, _TEXT),
        "incident": news.number or "",
        "incident_id": incident.id,
        "alerts": alerts,
        "alerts_in_all": len(news.alerts),
    }
    return {name: value for name, value in said.items() if value != ""}


def _alerts(alerts: tuple[AlertDetail, ...]) -> Iterator[dict[str, object]]:
    for alert in alerts:
        yield {
            "starts_at": alert.starts_at.isoformat(),
            "firing": alert.firing,
            "labels": _short(alert.labels),
            "annotations": _short(alert.annotations),
        }


def _short(texts: Mapping[str, str]) -> dict[str, str]:
    return {_cut(name, _TEXT): _cut(text, _TEXT) for name, text in list(texts.items())[:_FIELDS]}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
