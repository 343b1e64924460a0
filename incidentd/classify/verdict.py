"""What the rules table says of one alert."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from incidentd.classify.observing import Observing
from incidentd.tier import Tier
from incidentd.timeline import Scope


@dataclass(frozen=True)
class Verdict:
    """The row that took the alert, and everything the incident needs to know of it.

    It holds nothing of the alert but what rules may ask for, so that alerts which differ in nothing else share one.

    ``row`` is ``<file stem>/<row name>`` (``avalo/core-api-below-99.5``), or ``severity`` when no row matched.
    ``reason`` is one line with the numbers (``availability 99.4 < 99.5``). ``version`` is the table's hash. ``title``
    is the row's, with its placeholders still in it; ``title_of`` fills them. ``observing``: nobody is told.
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
    observing: Observing | None = None

    def at(self, now: datetime) -> "Verdict":
        """As it counts now: observing may have come to its end."""
        return self if self.observing is None or self.observing.lasts(now) else replace(self, observing=None)

    @cached_property
    def shown(self) -> str:
        """All of it that is stored or shown of an alert, as one text."""
        shown = repr((self.row, self.tier, self.region, self.scope, self.destinations, self.runbook))
        return f"{shown} observed" if self.observing else shown
