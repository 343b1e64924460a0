"""Alerts from a file that somebody wrote by hand or captured."""

import json
from datetime import datetime

from incidentd.alert import Alert
from incidentd.errors import IntakeError
from incidentd.intake import parse


def alerts_in(raw: bytes, now: datetime) -> list[Alert]:
    """The alerts of a whole webhook body, of one alert, or of ``{"labels": …, "annotations": …}``.

    Raises:
        IntakeError: it is none of them, or an alert in it can't be understood.
    """
    try:
        alerts, faults = parse(_as_body(raw, now), now)
    except IntakeError as error:
        raise IntakeError(error.status, error.reason, f"{error}{_place(raw)}") from None
    if faults:
        raise IntakeError(400, faults[0].reason, faults[0].detail)
    return list(alerts)


def _place(raw: bytes) -> str:
    """Where it stops being JSON; empty where it is JSON, or that can't be told."""
    try:
        json.loads(raw)
    except json.JSONDecodeError as error:
        return f" from line {error.lineno}, column {error.colno} on"
    except (ValueError, RecursionError):
        return ""
    return ""


def _as_body(raw: bytes, now: datetime) -> bytes:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(content, dict) or "labels" not in content:
        return raw
    one = {"status": "firing", "annotations": {}, "startsAt": now.isoformat(), **content}
    return json.dumps({"alerts": [one]}).encode()
