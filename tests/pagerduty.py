"""PagerDuty's webhooks v3 as its documentation shows them.

https://developer.pagerduty.com/docs/webhooks-overview
"""

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from tests import canary

SECRET = canary.of("INCIDENTD_PAGERDUTY_WEBHOOK_SECRET")
KEY = "incidentd:" + "0" * 64
ANN = {
    "html_url": "https://acme.pagerduty.com/users/PLH1HKV",
    "id": "PLH1HKV",
    "self": "https://api.pagerduty.com/users/PLH1HKV",
    "summary": "Ann Mason",
    "type": "user_reference",
}
SERVICE = {"id": "PF9KMXH", "type": "service_reference", "summary": "API Service"}


def event(kind: str = "incident.acknowledged", **changes: Any) -> dict[str, Any]:
    """An event about an incident; ``data`` are further members of it, other changes of the event itself."""
    data = {
        "id": "PGR0VU2",
        "type": "incident",
        "self": "https://api.pagerduty.com/incidents/PGR0VU2",
        "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2",
        "number": 2,
        "status": "acknowledged",
        "incident_key": KEY,
        "created_at": "2026-03-02T11:59:00Z",
        "title": "P0 avalo/core-api is in breach (level 1)",
        "service": SERVICE,
        "assignees": [{**ANN, "id": "PTUXL6G", "summary": "Ben Okoro"}],
        "escalation_policy": {"id": "PUS0KTE", "type": "escalation_policy_reference", "summary": "Default"},
        "teams": [],
        "priority": None,
        "urgency": "high",
        "conference_bridge": None,
        "resolve_reason": None,
        **changes.pop("data", {}),
    }
    return {
        "id": "01BFRZ0BYEDGFUTCZMKLGUOFPH",
        "event_type": kind,
        "resource_type": "incident",
        "occurred_at": "2026-03-02T11:59:30.456Z",
        "agent": ANN,
        "client": None,
        "data": data,
        **changes,
    }


def note(content: str = "it is the cache", **changes: Any) -> dict[str, Any]:
    """A note: its incident is a mere reference."""
    about = {"id": "PGR0VU2", "type": "incident_reference", "summary": "P0 avalo/core-api"}
    data = {"incident": about, "id": "PWL7QXS", "content": content, "trimmed": False, "type": "incident_note"}
    return event("incident.annotated") | {"data": data} | changes


def body(told: Any) -> bytes:
    """The event on the wire."""
    return json.dumps({"event": told}).encode()


def signature(raw: bytes, secret: str = SECRET) -> str:
    """One value of the header."""
    return "v1=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def at(seconds: float, since: datetime) -> str:
    """An instant as PagerDuty writes it."""
    return datetime.fromtimestamp(since.timestamp() + seconds, since.tzinfo).isoformat(timespec="milliseconds")
