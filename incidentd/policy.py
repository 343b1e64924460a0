"""What a tier asks: who is told at once and at each level, how fast, and in which calendar."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from incidentd.calendars import ALWAYS, Calendar
from incidentd.tier import Tier


@dataclass(frozen=True, slots=True)
class Level:
    """One step of the escalation. ``tell`` names destinations; empty means nobody is there."""

    name: str
    duration: timedelta
    tell: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """How soon somebody must answer: ``within`` in the calendar, or whole business ``days``."""

    within: timedelta | None = None
    days: int = 0

    def deadline(self, start: datetime, calendar: Calendar) -> datetime | None:
        """The instant until which an answer is in time; None when this tier asks for none."""
        if self.days:
            return calendar.add_days(start, self.days)
        return None if self.within is None else calendar.add(start, self.within)


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """One tier under one policy. ``acknowledgement`` None: an acknowledgement never lapses.

    ``updates`` is how often what holds is said again while an incident is open; None: never.
    """

    response: ResponseTime
    acknowledgement: timedelta | None
    opening: tuple[str, ...]
    levels: tuple[Level, ...]
    calendar: Calendar = ALWAYS
    updates: timedelta | None = None

    @property
    def observing(self) -> "TierPolicy":
        """This tier where nobody is told and no clock runs."""
        return TierPolicy(ResponseTime(), None, (), (), self.calendar)


@dataclass(frozen=True, slots=True)
class Policy:
    """The clocks and the people for each tier. Numbers are ``model.md``'s defaults.

    ``pages`` names those destinations that wake people; the others are read when somebody looks.
    ``newer`` is what the next round takes when a newer table is in force. ``enforced`` is set on what only observes.
    """

    name: str
    version: str
    tiers: Mapping[Tier, TierPolicy]
    pages: frozenset[str] = frozenset()
    rounds: int = 3
    reminder: timedelta = timedelta(hours=1)
    hold_down: timedelta = timedelta(minutes=5)
    reopen_window: timedelta = timedelta(minutes=30)
    grace: timedelta = timedelta(minutes=10)
    late_copy: timedelta = timedelta(seconds=60)
    closest: timedelta = timedelta(seconds=60)
    newer: "Policy | None" = field(default=None, compare=False)
    enforced: "Policy | None" = field(default=None, compare=False)

    @property
    def for_next_round(self) -> "Policy":
        """The policy that a round beginning now follows: one that tells people, also where this one only observes."""
        telling = self.enforced or self
        return telling.newer or telling

    @property
    def without_updates(self) -> "Policy":
        """This policy where what holds is never said again."""
        return replace(self, tiers={tier: replace(each, updates=None) for tier, each in self.tiers.items()})

    @property
    def observing(self) -> "Policy":
        """This policy where incidents are only recorded: nobody is told, no level, no response time, no lapse."""
        if self.enforced:
            return self
        return replace(self, tiers={tier: each.observing for tier, each in self.tiers.items()}, enforced=self)
