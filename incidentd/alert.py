"""One alert as the rest can trust it: parsed and cleaned at the edge.

Source: the webhook body of version "4" (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert in one of its episodes (``fingerprint``, ``starts_at``).

    Instants are aware UTC. ``ends_at`` is None where the sender knows of no end;
    Alertmanager sends the year 1 for that while an alert fires.
    """

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    firing: bool
    generator_url: str = ""
