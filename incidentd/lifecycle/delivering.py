"""Whether what is due gets done: a timekeeper goes round, and nothing is overdue; if not, what waits for what."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from incidentd.lifecycle.crash_loop import in_words, looping
from incidentd.store import cycles, overdue, pings
from incidentd.store.engine import Store
from incidentd.store.overdue import Overdue

NEW_CYCLE_SECONDS = 2.5
_PAUSE_SECONDS = 0.1
NO_CYCLE = "no timekeeper has completed a cycle"


@dataclass(frozen=True, slots=True)
class Delivering:
    """Asked by probes, and by who vouches to an outsider."""

    store: Store
    now: Callable[[], datetime]

    def is_well(self) -> tuple[bool, str]:
        """Whether a timekeeper completes a *new* cycle now and nothing is overdue; else why not. Takes up to 3 s."""
        found = self._overdue()
        if found is None:
            return False, NO_CYCLE
        dying = looping(self.store.read(pings.crashes), self.now())
        return found.count == 0, f"{found.says}; {in_words(dying)}" if dying else found.says

    def gets_out(self) -> tuple[bool, str]:
        """As ``is_well``; but pages in a line that moves before a receiver's limit are no fault: it is a storm."""
        found = self._overdue()
        return (False, NO_CYCLE) if found is None else (found.stuck == 0, found.says)

    def _overdue(self) -> Overdue | None:
        """None: no timekeeper goes round."""
        asked_at = self.now()
        end = time.monotonic() + NEW_CYCLE_SECONDS
        while time.monotonic() < end:
            last = self.store.read(lambda tx: cycles.last(tx, self.now()))
            if last is not None and last > asked_at:
                return self.store.read(lambda tx: overdue.read(tx, asked_at))
            time.sleep(_PAUSE_SECONDS)
        return None
