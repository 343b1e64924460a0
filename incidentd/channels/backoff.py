"""When a delivery that failed is tried again."""

from collections.abc import Callable
from datetime import datetime, timedelta

from incidentd.channels.retry_after import LONGEST

FIRST = timedelta(seconds=1)
CAP = timedelta(seconds=30)
_DOUBLINGS = 5


def next_try(attempts: int, retry_after: timedelta | None, now: datetime, random: Callable[[], float]) -> datetime:
    """The instant of the next try after ``attempts`` failures in a row.

    The wait doubles from 1 s to at most 30 s, and lies anywhere in its upper half, so that senders that failed together
    don't return together. A receiver's Retry-After is kept, up to 60 s. ``random`` gives a number from 0 to 1.
    """
    wait = min(CAP, FIRST * (1 << min(max(attempts - 1, 0), _DOUBLINGS)))
    jittered = wait * (0.5 + random() / 2)
    return now + max(jittered, min(retry_after or timedelta(0), LONGEST))
