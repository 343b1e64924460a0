"""Alertmanager's payload, alert by alert, as values that the rest can trust.

Source: the webhook body of version "4" (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as received: cleaned, bounded, its instants aware UTC. (``fingerprint``, ``starts_at``) is its episode.

    ``fingerprint`` is 16 hex digits. ``ends_at`` is None while it fires, unless the sender gave an end.
    ``generator_url`` is what the sender named: it is shown, never fetched.
    """

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: bool
    starts_at: datetime
    ends_at: datetime | None
    received_at: datetime
    generator_url: str = ""
