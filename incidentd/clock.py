"""The only place that reads the wall clock."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

JUMP = timedelta(seconds=5)


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some instant. Never jumps; says nothing about the date."""
        ...


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since the machine's start or so."""
        return time.monotonic()


@dataclass
class ManualClock:
    """A clock that stands still until told otherwise, for tests and simulations."""

    at: datetime = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
    _elapsed: float = field(default=0.0)

    def now(self) -> datetime:
        """The instant at which it stands."""
        return self.at

    def monotonic(self) -> float:
        """Seconds that it was advanced by so far."""
        return self._elapsed

    def advance(self, by: timedelta) -> datetime:
        """Let ``by`` pass, on the wall and in truth. Returns the new instant."""
        self._elapsed += by.total_seconds()
        return self.jump(by)

    def jump(self, by: timedelta) -> datetime:
        """Set the wall clock off by ``by`` while no time passes. Returns the new instant."""
        self.at += by
        return self.at


class JumpDetector:
    """Notices when the wall clock moved by more than 5 s against the monotonic one (model, rule 40)."""

    def __init__(self, clock: Clock, threshold: timedelta = JUMP) -> None:
        self._clock = clock
        self._threshold = threshold
        self._seen = clock.now(), clock.monotonic()

    def observe(self) -> timedelta | None:
        """How far the wall clock jumped since the last look, negative for back; None when it didn't."""
        wall, steady = self._seen
        self._seen = now, later = self._clock.now(), self._clock.monotonic()
        jump = (now - wall) - timedelta(seconds=later - steady)
        return jump if abs(jump) > self._threshold else None
