"""The only place that reads the wall clock."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

JUMP = timedelta(seconds=5)
DOUBT = timedelta(seconds=60)


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


class SteadyClock:
    """A wall clock that does not leap: what it would leap to is believed only after a minute (model, rule 40).

    Drift of less than 5 s between two looks is followed at once. ``jump`` says by how far the clock is off while it is
    not believed: nothing climbs on a time that may be false, and somebody is told.
    """

    def __init__(self, local: Clock, threshold: timedelta = JUMP, doubt: timedelta = DOUBT) -> None:
        self._local = local
        self._threshold = threshold
        self._doubt = doubt
        self._lock = threading.Lock()
        self._believed = local.now()
        self._believed_at = local.monotonic()
        self._doubted_at: float | None = None
        self.jump: timedelta | None = None
        self._leap: timedelta | None = None

    def now(self) -> datetime:
        """The wall clock, or while it is doubted the time counted on from before its jump."""
        with self._lock:
            wall, steady = self._local.now(), self._local.monotonic()
            expected = self._believed + timedelta(seconds=steady - self._believed_at)
            is_leap = abs(wall - expected) > self._threshold
            if not is_leap or self._is_doubt_over(steady):
                self._leap = wall - expected if is_leap else self._leap
                self._believed, self._believed_at = wall, steady
                self._doubted_at, self.jump = None, None
                return wall
            self._doubted_at = steady if self._doubted_at is None else self._doubted_at
            self.jump = wall - expected
            return expected

    def leap(self) -> timedelta | None:
        """By how far the clock has leapt since this was asked last, now that it is believed; None where it has not."""
        with self._lock:
            leap, self._leap = self._leap, None
            return leap

    def monotonic(self) -> float:
        """Seconds since some instant. Never jumps."""
        return self._local.monotonic()

    def _is_doubt_over(self, steady: float) -> bool:
        return self._doubted_at is not None and steady - self._doubted_at >= self._doubt.total_seconds()
