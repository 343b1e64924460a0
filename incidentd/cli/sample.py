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
    alerts, faults = parse(_as_body(raw, now), now)
    if faults:
        raise IntakeError(400, faults[0].reason, faults[0].detail)
    return list(alerts)


def _as_body(raw: bytes, now: datetime) -> bytes:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(content, dict) or "labels" not in content:
        return raw
    one = {"status": "firing", "annotations": {}, "startsAt": now.isoformat(), **content}
    return json.dumps({"alerts": [one]}).encode()
