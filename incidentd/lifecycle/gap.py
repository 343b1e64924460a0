"""Time in which nobody listened, or that never was: silence in it means nothing."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from incidentd.clock import DOUBT, JUMP
from incidentd.store.heartbeats import Heartbeat

LEAST = timedelta(seconds=10)
"""A shorter pause of all timekeepers is none: whoever was to be heard comes again."""
SETTLED = DOUBT + timedelta(seconds=5)
"""After so long every process goes by the same time again: none believes another any longer than the doubt lasts."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From an instant to another, between which there is nothing; ``end`` lies before ``begin`` after a jump back."""

    begin: datetime
    end: datetime

    @property
    def lasted(self) -> timedelta:
        """How much longer silence may last for it."""
        return self.end - self.begin

    @property
    def is_settled_at(self) -> datetime:
        """When every process will have noticed."""
        return self.end + SETTLED

    def across(self, heartbeat: Heartbeat) -> Heartbeat:
        """The heartbeat as it counts behind the gap; the same, where it does so already.

        What counts from before the gap counts from as long before its end, and is due when all have settled, at the
        earliest. What counts from a time that is yet to come counts from now.
        """
        if self.lasted < timedelta(0):
            return self._back(heartbeat)
        if heartbeat.missing_since or self._is_crossed_by(heartbeat):
            return heartbeat
        counts_from = heartbeat.counts_from + self.lasted
        due_at = max(counts_from + heartbeat.every, self.is_settled_at)
        return replace(heartbeat, counts_from=counts_from, due_at=due_at, carried_to=self.end)

    def _is_crossed_by(self, heartbeat: Heartbeat) -> bool:
        """Heard behind it, or brought across; another process may have seen it begin and end a little apart."""
        carried_to = heartbeat.carried_to
        if carried_to is not None and abs(carried_to - self.end) < LEAST:
            return True
        return heartbeat.counts_from >= self.begin + self.lasted / 2

    def _back(self, heartbeat: Heartbeat) -> Heartbeat:
        if heartbeat.counts_from <= self.end + LEAST:
            return heartbeat
        again = heartbeat.due_at if heartbeat.missing_since else self.end + heartbeat.every
        return replace(heartbeat, counts_from=self.end, due_at=max(again, self.is_settled_at))


@dataclass(frozen=True, slots=True)
class Look:
    """When somebody last looked: by the wall, and by the monotonic clock in seconds."""

    at: datetime
    monotonic: float


def gap_between(before: Look, after: Look, last_cycle: datetime | None) -> Gap | None:
    """The gap between two looks of one process, if there is one. ``last_cycle`` is any timekeeper's newest.

    Where the wall clock ran on alone, or back, it leapt. Where both ran on, this process stood still, and the time is
    lost only as far as no other kept it.
    """
    passed = after.at - before.at
    leapt = passed - timedelta(seconds=after.monotonic - before.monotonic)
    if abs(leapt) > JUMP:
        return Gap(before.at, after.at)
    return gap_since(max(before.at, last_cycle or before.at), after.at)


def gap_since(last_cycle: datetime | None, now: datetime) -> Gap | None:
    """The gap between the newest cycle of any timekeeper and now, if there is one."""
    if last_cycle is None or now - last_cycle <= LEAST:
        return None
    return Gap(last_cycle, now)
