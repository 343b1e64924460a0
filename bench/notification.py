"""Notifications as Alertmanager posts them, ready to be put on the wire."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from incidentd.intake import fingerprint

PATH = "/api/v1/alertmanager"
TOKEN = "a-webhook-token-of-the-benchmarks"  # noqa: S105 (known to nobody but the processes of one run)

MARK = re.compile(rb"mark (\d+)")
"""How a receiver finds out which alert a page is about."""

_numbers = count(1)


def fresh(how_many: int) -> list[int]:
    """Numbers that no alert of this run has had yet."""
    return [next(_numbers) for _ in range(how_many)]


def distinct(numbers: Sequence[int], severity: str = "critical") -> list[dict[str, Any]]:
    """One alert for each number, each of an incident of its own. ``critical`` is P1, ``warning`` is P2."""
    return [_alert(f"slo-{number}", number, "eu-1", severity) for number in numbers]


def together(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """One alert for each number, all of the first one's incident."""
    return [_alert(f"slo-{numbers[0]}", number, f"node-{number}", "critical") for number in numbers]


def notification(alerts: Sequence[dict[str, Any]]) -> bytes:
    """The body of one notification."""
    body = {
        "receiver": "incidentd",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": {"alertname": "ErrorBudgetBurn"},
        "commonLabels": {"alertname": "ErrorBudgetBurn", "system": "shop"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "version": "4",
        "groupKey": '{}:{alertname="ErrorBudgetBurn"}',
        "truncatedAlerts": 0,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def requests(bodies: Sequence[bytes]) -> Iterator[bytes]:
    """The bodies as HTTP requests on connections that are kept."""
    for body in bodies:
        yield (
            f"POST {PATH} HTTP/1.1\r\nHost: incidentd.example.com\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"User-Agent: Alertmanager/0.28.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


def _alert(slo: str, number: int, instance: str, severity: str) -> dict[str, Any]:
    labels = {
        "alertname": "ErrorBudgetBurn",
        "system": "shop",
        "slo": slo,
        "instance": instance,
        "region": "eu",
        "severity": severity,
        "job": "checkout",
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {
            "summary": f"The error budget burns too fast (mark {number})",
            "description": "Over the last 30 minutes 0.6 % of the requests failed.",
            "value": "99.4",
            "runbook_url": "https://runbooks.example.com/shop/checkout",
        },
        "startsAt": "2026-11-20T08:00:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=error_budget_burn&g0.tab=1",
        "fingerprint": fingerprint(labels),
    }
