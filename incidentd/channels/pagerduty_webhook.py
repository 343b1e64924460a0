"""PagerDuty's webhooks v3: is one signed, and what does it tell.

https://developer.pagerduty.com/docs/webhooks-overview, ``docs/verifying-webhook-signatures``
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from incidentd.reaction import TOLD_FOR, Did, Reaction

PERSON = "user_reference"
MOST_SIGNATURES = 8
"""Values of one header that are looked at; PagerDuty sends one for each secret that is valid."""

_VERSION = "v1="
_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_NAME = 100
_LONGEST_KEY = 255
_LONGEST_NOTE = 2000
_MERGED = "merge_resolve_reason"
_STATES = {
    "incident.triggered": Did.TRIGGERED,
    "incident.acknowledged": Did.ACKNOWLEDGED,
    "incident.unacknowledged": Did.UNACKNOWLEDGED,
    "incident.resolved": Did.RESOLVED,
}


def is_signed(raw: bytes, header: str, secrets: Collection[str]) -> bool:
    """Whether any ``v1=`` value of the header is the body's HMAC-SHA256 under any of the secrets, in constant time."""
    given = [value.strip().removeprefix(_VERSION).encode() for value in header.split(",", MOST_SIGNATURES)]
    expected = [hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode() for secret in secrets]
    # All of them, so that the time tells nothing of which it was.
    found = [hmac.compare_digest(own, value) for own in expected for value in given[:MOST_SIGNATURES]]
    return any(found)


def parse(raw: bytes, received_at: datetime) -> Reaction | None:
    """What a webhook tells of; None where it is nothing that concerns us, or can't be understood. Never raises."""
    try:
        event = _mapping(_mapping(json.loads(raw)).get("event"))
    except (ValueError, RecursionError):
        return None
    data, agent = _mapping(event.get("data")), _mapping(event.get("agent"))
    kind = _text(event.get("event_type"))
    name, page = _id(event.get("id")), _id(_incident(data).get("id"))
    at = _instant(event.get("occurred_at"), received_at)
    found = _done(kind, data)
    if not name or not page or at is None or found is None:
        return None
    did, text = found
    who = _id(agent.get("id")) if agent.get("type") == PERSON else ""
    if did is Did.NOTED and not (who and text):
        return None
    key = _text(data.get("incident_key"))
    keys = (key,) if key and len(key) <= _LONGEST_KEY and not _NOT_IN_LINE.search(key) else ()
    return Reaction(name, did, at, page, keys, who, (_line(agent.get("summary")) or who) if who else "", text)


def _done(kind: str, data: Mapping[str, Any]) -> tuple[Did, str] | None:
    """What a kind of event means to us, and what is to be noted of it."""
    if kind == "incident.resolved" and _mapping(data.get("resolve_reason")).get("type") == _MERGED:
        return Did.NOTED, "merged it into another incident in PagerDuty"
    if kind in _STATES:
        return _STATES[kind], ""
    told = _NOTES.get(kind)
    return (Did.NOTED, told(data)) if told else None


def _assigned(verb: str) -> Callable[[Mapping[str, Any]], str]:
    def tell(data: Mapping[str, Any]) -> str:
        people = data.get("assignees")
        names = [_line(_mapping(person).get("summary")) for person in (people if isinstance(people, list) else [])[:10]]
        to = ", ".join(name for name in names if name)
        return f"{verb} it in PagerDuty{f' to {to}' if to else ''}"

    return tell


_NOTES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "incident.annotated": lambda data: _note(data.get("content")),
    "incident.status_update_published": lambda data: _note(data.get("message")),
    "incident.reassigned": _assigned("reassigned"),
    "incident.delegated": _assigned("delegated"),
    "incident.escalated": _assigned("escalated"),
    "incident.reopened": lambda _: "reopened it in PagerDuty",
}


def _incident(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The incident of a note or an update stands inside of it."""
    return data if data.get("type") == "incident" else _mapping(data.get("incident"))


def _note(value: object) -> str:
    text = _NOT_IN_TEXT.sub("", _text(value)).strip()
    return text if len(text) <= _LONGEST_NOTE else text[: _LONGEST_NOTE - 1] + "…"


def _instant(value: object, received_at: datetime) -> datetime | None:
    """When it happened: not later than it was told, and not so long ago that nobody would tell of it."""
    try:
        at = datetime.fromisoformat(_text(value))
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return min(at, received_at) if at > received_at - TOLD_FOR else None


def _line(value: object) -> str:
    return " ".join(_NOT_IN_LINE.sub(" ", _text(value)).split())[:_LONGEST_NAME]


def _id(value: object) -> str:
    text = _text(value)
    return text if _ID.fullmatch(text) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
