"""A clock whose leaps are doubted for a minute, as every process's is, and that a test sets."""

from datetime import datetime, timedelta

from incidentd.clock import ManualClock, SteadyClock


class DoubtfulClock(ManualClock):
    """What it tells is what incidentd believes; ``jump`` sets the clock behind it."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self._wall = ManualClock(at)
        self._steady = SteadyClock(self._wall)

    def now(self) -> datetime:
        """The time that is believed."""
        return self._steady.now()

    def monotonic(self) -> float:
        """Seconds that truly passed."""
        return self._wall.monotonic()

    def advance(self, by: timedelta) -> datetime:
        """Let ``by`` pass, second by second: who looks less often would miss that a leap is doubted."""
        while by > timedelta():
            step = min(by, timedelta(seconds=1))
            self._wall.advance(step)
            self._steady.now()
            by -= step
        return self.now()

    def leap(self) -> timedelta | None:
        """By how far it has leapt, once that is believed; told once."""
        return self._steady.leap()

    def jump(self, by: timedelta) -> datetime:
        """Somebody sets the clock; no time passes."""
        self._wall.jump(by)
        return self.now()
