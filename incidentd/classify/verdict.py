"""What the rules table says of one alert."""

from dataclasses import dataclass

from incidentd.tier import Tier
from incidentd.timeline import Scope


@dataclass(frozen=True, slots=True)
class Verdict:
    """The row that took the alert, and everything the incident needs to know of it.

    ``row`` is ``<file stem>/<row name>`` (``avalo/core-api-below-99.5``), or ``severity`` when no row matched.
    ``reason`` is one line with the numbers (``availability 99.4 < 99.5``). ``version`` is the table's hash.
    """

    tier: Tier
    key: str
    system: str
    slo: str
    row: str
    reason: str
    title: str
    policy: str
    version: str
    region: str | None = None
    scope: Scope | None = None
    destinations: tuple[str, ...] = ()
    runbook: str = ""
