"""What was done to a page at the service that paged: by a person, or by the service itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Did(StrEnum):
    """What was done."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    RESOLVED = "resolved"
    NOTED = "noted"


STATES = (Did.ACKNOWLEDGED, Did.UNACKNOWLEDGED, Did.RESOLVED)
"""What a later one of these makes out of date."""

TOLD_FOR = timedelta(days=3)
"""PagerDuty tells for 48 h of what was not taken: https://developer.pagerduty.com/docs/webhooks-overview

What was done longer ago is told by nobody but whoever keeps what he once overheard.
"""


@dataclass(frozen=True, slots=True)
class Reaction:
    """One thing that was done. ``id`` is the service's own, the same each time that it tells of it.

    ``page`` is the service's id of what it paged for, and ``keys`` are ours of the alerts in it, as far as it told.
    ``who`` is its id of the person, empty where no person did it; ``name`` is what it calls them. ``text`` is a note.
    """

    id: str
    did: Did
    at: datetime
    page: str
    keys: tuple[str, ...] = ()
    who: str = ""
    name: str = ""
    text: str = ""

    @property
    def by_person(self) -> bool:
        """Whether somebody did it, rather than the service or we ourselves."""
        return bool(self.who)
