"""Time acts on many incidents at once; one that can't be decided keeps no other from climbing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.engine import Connection

from incidentd.errors import StoreError
from incidentd.jobs import Work
from incidentd.lifecycle.act import tick
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Complaint
from incidentd.meter import Meter
from incidentd.process.failpoint import failpoint
from incidentd.store import incidents
from incidentd.store.engine import Store

TOGETHER = 250
LET_ALONE = timedelta(minutes=5)

log = structlog.get_logger("incidentd.tick")


@dataclass(frozen=True, slots=True)
class Ticker:
    """Ticks in transactions of some hundred; where one fails for other reasons than the database, singly."""

    store: Store
    rulebook: Rulebook
    now: Callable[[], datetime]
    mark: timedelta
    hand_over: Callable[[Work], None]
    complain: Callable[[Complaint], object]
    meter: Meter

    def tick(self, ids: Sequence[str]) -> None:
        """Tell these incidents that time has passed.

        Raises:
            StoreError: the database can't be written; the timekeeper comes again.
        """
        for start in range(0, len(ids), TOGETHER):
            some = sorted(ids[start : start + TOGETHER])
            try:
                self._together(some)
            except StoreError:
                raise
            except Exception:  # noqa: BLE001 - whatever it is, the other incidents must climb; told below
                for incident_id in some:
                    self._singly(incident_id)

    def _singly(self, incident_id: str) -> None:
        try:
            self._together([incident_id])
        except StoreError:
            raise
        except Exception:
            log.exception("undecidable", incident=incident_id)
            until = self.now() + LET_ALONE
            self.store.write(lambda tx: incidents.let_alone(tx, incident_id, until))
            self.complain(Complaint("undecidable", "an open incident can't be decided: see the log"))

    def _together(self, ids: Sequence[str]) -> None:
        work, lateness = self.store.write(partial(self._decide, ids))
        failpoint("tick.after_commit")
        self.hand_over(work)
        for late in lateness:
            self.meter.lateness.observe(late.total_seconds())

    def _decide(self, ids: Sequence[str], tx: Connection) -> tuple[Work, list[timedelta]]:
        ledger = Ledger(tx, self.rulebook, self.now(), self.mark)
        lateness = tick(ledger, ids)
        work = ledger.flush()
        failpoint("tick.before_commit")
        return work, lateness
