"""The times that a run is made with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Pace:
    """``lease``, ``http`` and ``quiet`` in seconds; ``quiet`` is the end of a run, without faults, at its longest."""

    name: str
    lease: float
    http: float
    quiet: float
    settings: Mapping[str, str]

    @property
    def in_flight(self) -> timedelta:
        """How long a request may be under way."""
        return timedelta(seconds=self.http + 1)

    def attack(self, seconds: float) -> float:
        """How much of a run has faults in it: the longest quiet needs, but never less than half."""
        return max(seconds - self.quiet, seconds / 2)


DEFAULT = Pace("default", lease=30, http=10, quiet=100, settings={})
"""The product's own times: a sender that dies is missed for 30 s, a refusal is honoured for up to 60 s."""

SHORT = Pace(
    "short",
    # A busy machine takes its time for a request that is under way, too: one cut off comes twice.
    lease=6,
    http=3,
    quiet=75,
    settings={
        "INCIDENTD_LEASE_SECONDS": "6",
        "INCIDENTD_HTTP_SECONDS": "3",
        "INCIDENTD_MARK_DELIVER_SECONDS": "0.5",
        "INCIDENTD_MARK_ESCALATE_SECONDS": "0.3",
    },
)

PACES = {pace.name: pace for pace in (DEFAULT, SHORT)}
