"""After a clock that was ahead: what it dated later than now is found, and the deadlines that it set are moved."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.engine import Connection

from incidentd.clock import JUMP
from incidentd.incident.command import CorrectDeadlines
from incidentd.incident.correct import set_after
from incidentd.jobs import Work
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.store import cursors, entries, incidents
from incidentd.store.engine import Store

TOGETHER = 250
LONGEST_TRY = timedelta(seconds=90)
"""Beyond every back-off and every Retry-After that is honoured."""

log = structlog.get_logger("incidentd.clock")


@dataclass(frozen=True, slots=True)
class Correction:
    """Any number of processes may correct, each when it notices: what is right already is left as it is."""

    store: Store
    rulebook: Rulebook
    now: Callable[[], datetime]
    mark: timedelta
    lease: timedelta
    hand_over: Callable[[Work], None]

    def correct(self, by: timedelta | None = None) -> int:
        """Move what was set by a clock that was ``by`` ahead; returns how many incidents had such a deadline.

        None: nobody knows how far it was ahead, as none of us saw it go back. It was at least as far as the latest
        entry lies ahead of now: no deadline then comes too early, some a little late.

        Raises:
            StoreUnavailableError: the database can't be used now.
        """
        horizon = self.now() + JUMP
        ahead = self.store.read(lambda tx: incidents.dated_after(tx, horizon))
        if not ahead and by is None:
            return 0
        off = by or max(ahead.values(), default=horizon) - self.now()
        ids = sorted(ahead)
        moved = sum(self._move(ids[start : start + TOGETHER], off) for start in range(0, len(ids), TOGETHER))
        self.store.write(self._bring_back)
        if moved:
            log.warning("deadlines_moved", incidents=moved, seconds=off.total_seconds())
        return moved

    def _move(self, ids: list[str], by: timedelta) -> int:
        work, moved = self.store.write(partial(self._decide, ids, by))
        self.hand_over(work)
        return moved

    def _decide(self, ids: list[str], by: timedelta, tx: Connection) -> tuple[Work, int]:
        ledger = Ledger(tx, self.rulebook, self.now(), self.mark)
        ledger.load(ids=ids)
        told = entries.load_after(tx, dict.fromkeys(ids, 0))
        false = {id_: set_after(told.get(id_, ()), ledger.now + JUMP) for id_ in ids}
        moved = sum(bool(ledger.decide(id_, CorrectDeadlines(by, false[id_]))) for id_ in ids)
        return ledger.flush(), moved

    def _bring_back(self, tx: Connection) -> None:
        now = self.now()
        cursors.bring_back(tx, now + self.lease + LONGEST_TRY, now + self.mark)
