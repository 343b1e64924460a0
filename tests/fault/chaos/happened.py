"""What was done to incidentd, and when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

TAIL = timedelta(seconds=3)
"""How long a fault that is over is still reckoned with: processes start again, connections are made anew."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One fault as it was: ``ended_at`` None while it lasts."""

    name: str
    began_at: datetime
    ended_at: datetime | None
    detail: str = ""


def during(faults: Iterable[Happened], since: datetime, until: datetime) -> Iterator[Happened]:
    """Those that were in force, or just over, at any time between two instants."""
    for fault in faults:
        over_at = (fault.ended_at or until) + TAIL
        if fault.began_at <= until and over_at >= since:
            yield fault
