"""A token bucket as a pure function: its state is a row, shared by every process."""

from datetime import datetime, timedelta
from typing import NamedTuple


class Taken(NamedTuple):
    """``granted`` of the tokens wanted; ``level`` and ``at`` to be stored; ``next_at`` when one more is there."""

    granted: int
    level: float
    at: datetime
    next_at: datetime


def take(level: float, at: datetime, now: datetime, wanted: int, per_minute: int, burst: int) -> Taken:
    """Take up to ``wanted`` tokens from a bucket that held ``level`` at ``at``.

    It fills by ``per_minute`` up to ``burst`` (at least 1); 0 a minute means that nothing is bounded. A clock that went
    back neither fills nor blocks it.
    """
    if per_minute <= 0:
        return Taken(wanted, float(burst), now, now)
    per_second = per_minute / 60
    elapsed = max(0.0, (now - at).total_seconds())
    full = min(float(max(1, burst)), max(0.0, level) + elapsed * per_second)
    granted = min(wanted, int(full + _GRAIN))
    left = max(0.0, full - granted)
    missing = max(0.0, 1 - left)
    return Taken(granted, left, now, now + timedelta(seconds=missing / per_second))


_GRAIN = 1e-6
"""A token whose time has come counts as whole, although instants are cut to microseconds."""
