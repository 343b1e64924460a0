"""What Alertmanager posts."""

from typing import Any


def notification(slo: str, *, firing: bool = True, **labels: str) -> dict[str, Any]:
    """One alert of the objective; without further labels it is a P0 of avalo."""
    alert = {
        "status": "firing" if firing else "resolved",
        "labels": {"alertname": "Down", "system": "avalo", "slo": slo, **(labels or {"sli": "outage"})},
        "annotations": {"summary": f"{slo} is down", "value": "1"},
        "startsAt": "2026-11-02T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z" if firing else "2026-11-02T10:05:00Z",
        "generatorURL": "http://prometheus.example.com/graph",
    }
    return {"version": "4", "receiver": "incidentd", "status": alert["status"], "alerts": [alert]}
