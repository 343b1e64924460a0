"""Business time: adding a duration while the clock stands still outside opening hours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import takewhile

from incidentd.errors import IncidentdError

_HORIZON_DAYS = 3660


class CalendarError(IncidentdError):
    """A calendar that never opens again within ten years."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Opening hours in a zone. Instants in and out are aware UTC.

    ``weekdays`` are 0 (Monday) to 6; ``closes`` None means the end of the day;
    ``is_holiday`` answers for a local date. ``always`` makes all else moot.
    """

    name: str
    zone: tzinfo = UTC
    weekdays: frozenset[int] = frozenset(range(7))
    opens: time = time(0, 0)
    closes: time | None = None
    is_holiday: Callable[[date], bool] | None = None
    always: bool = False

    def is_open(self, at: datetime) -> bool:
        """Whether the clocks run at ``at``."""
        return self.next_open(at) == at

    def next_open(self, at: datetime) -> datetime:
        """``at`` itself when open, else the next opening."""
        return self.add(at, timedelta(0))

    def add(self, start: datetime, duration: timedelta) -> datetime:
        """The instant at which ``duration`` of open time has passed since ``start``."""
        if self.always:
            return start + duration
        left = duration
        for opening, closing in self._windows(start):
            begin = max(start, opening)
            if begin >= closing:
                continue
            if begin + left < closing or (left and begin + left == closing):
                return begin + left
            left -= closing - begin
        raise CalendarError(f"calendar {self.name} does not open again")

    def openings(self, start: datetime, end: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """From when until when the clocks run, between two instants."""
        if self.always:
            return ((start, end),)
        found = takewhile(lambda window: window[0] < end, self._windows(start))
        return tuple((max(start, opens), min(end, closes)) for opens, closes in found if closes > start)

    def add_days(self, start: datetime, days: int) -> datetime:
        """``days`` whole local business days later, at the same local time.

        A start outside business days counts from the next one's first moment (Saturday + 1 is Tuesday 00:00).
        """
        local = start.astimezone(self.zone)
        day, at = local.date(), local.time()
        if not self._is_business_day(day):
            day, at = self._following(day), time(0, 0)
        for _ in range(days):
            day = self._following(day)
        return self._instant(day, at)

    def _windows(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        first = start.astimezone(self.zone).date()
        for offset in range(_HORIZON_DAYS):
            day = first + timedelta(days=offset)
            if self._is_business_day(day):
                end = self._instant(day + timedelta(days=1), time(0, 0))
                yield self._instant(day, self.opens), self._instant(day, self.closes) if self.closes else end

    def _following(self, day: date) -> date:
        for offset in range(1, _HORIZON_DAYS):
            if self._is_business_day(day + timedelta(days=offset)):
                return day + timedelta(days=offset)
        raise CalendarError(f"calendar {self.name} has no business day")

    def _is_business_day(self, day: date) -> bool:
        return day.weekday() in self.weekdays and not (self.is_holiday and self.is_holiday(day))

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)


ALWAYS = Calendar(name="always", always=True)
