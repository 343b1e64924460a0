"""Alertmanager's webhook body, of version "4".

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from incidentd.alert import Alert

_NO_END = "0001-01-01T00:00:00Z"
_GROUPED_BY = ("alertname", "slo", "system")


def notification(alerts: Sequence[Alert]) -> dict[str, Any]:
    """What Alertmanager posts for these alerts of one group."""
    labels = [each.labels for each in alerts]
    group = {name: labels[0][name] for name in _GROUPED_BY if labels[0].get(name)}
    return {
        "receiver": "incidentd",
        "status": "firing" if any(each.firing for each in alerts) else "resolved",
        "alerts": [_alert(each) for each in alerts],
        "groupLabels": group,
        "commonLabels": _common(labels),
        "commonAnnotations": _common([each.annotations for each in alerts]),
        "externalURL": "http://alertmanager.example.com:9093",
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{name}="{value}"' for name, value in group.items()) + "}",
        "truncatedAlerts": 0,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "status": "firing" if alert.firing else "resolved",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _instant(alert.starts_at),
        "endsAt": _instant(alert.ends_at) if alert.ends_at else _NO_END,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _instant(at: datetime) -> str:
    """In UTC, to the millisecond, as Prometheus writes them."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _common(sets: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for name, value in sets[0].items() if all(each.get(name) == value for each in sets)}
