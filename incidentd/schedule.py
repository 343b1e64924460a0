"""When something recurs by a local clock, once a day at most, summer time included."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

HORIZON_DAYS = 400


@dataclass(frozen=True, slots=True)
class Schedule:
    """On these ``weekdays`` (0 is Monday) ``at`` this time of day in ``zone``, but for holidays.

    Where the clock leaps over ``at``, it is as long after midnight as it would have been; where ``at`` comes twice,
    the first one counts (PEP 495). Instants in and out are aware UTC.
    """

    weekdays: frozenset[int]
    at: time
    zone: tzinfo
    is_holiday: Callable[[date], bool] | None = None

    def next_after(self, instant: datetime) -> datetime | None:
        """The first time after ``instant``; None when there is none for over a year."""
        return next((each for each in self._from(instant) if each > instant), None)

    def within(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        """The last ``most`` times from ``since`` to ``until``, both included, oldest first."""
        found: list[datetime] = []
        moment = self.next_after(since - timedelta(microseconds=1))
        while moment is not None and moment <= until:
            found = [*found, moment][-most:]
            moment = self.next_after(moment)
        return found

    def _from(self, instant: datetime) -> Iterator[datetime]:
        """Times from the day before on: midnight there may be another day here."""
        day = instant.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(HORIZON_DAYS + 2):
            if day.weekday() in self.weekdays and not (self.is_holiday and self.is_holiday(day)):
                yield datetime.combine(day, self.at, self.zone).astimezone(UTC)
            day += timedelta(days=1)
