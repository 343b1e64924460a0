"""A page that its receiver's limit keeps waiting goes out on its fallback too, as one that fails does.

Any number of timekeepers may look: what stands in already is left as it is.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from sqlalchemy.engine import Connection

from incidentd.clock import Clock
from incidentd.incident.command import Delivered
from incidentd.incident.state import Incident, State
from incidentd.jobs import Work
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.parcel import specification
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.store import unpaged
from incidentd.store.cursors import Name
from incidentd.store.engine import Store
from incidentd.timeline import FellBack

TOO_LONG = timedelta(minutes=1)
"""How long a page may wait for its receiver's limit before its fallback is told."""
CAUSE = "its limit has kept the page waiting for over a minute"
LOOK_SECONDS = 5.0
_TOGETHER = 100
_MOST = 2000

log = structlog.get_logger("incidentd.stand_in")


def missing_stand_in(rulebook: Rulebook, incident: Incident | None, destination: str) -> str | None:
    """The destination that is to stand in for a page of this one; None where none is, or it does already."""
    if incident is None or incident.state is not State.TRIGGERED:
        return None
    spec = specification(rulebook, incident, destination)
    if spec is None or spec.fallback is None or (destination, spec.fallback) in incident.stand_ins:
        return None
    return spec.fallback


class Patience:
    """What one timekeeper knows of pages in line. Not safe for use by several threads."""

    def __init__(
        self, store: Store, rulebook: Rulebook, clock: Clock, mark: timedelta, hand_over: Callable[[Work], None]
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._mark = mark
        self._hand_over = hand_over
        self._seen: set[Name] = set()
        self._looked_at: float | None = None

    def look(self) -> None:
        """Let the fallback of each page that has waited for too long stand in. At most every 5 s; costs a read.

        Raises:
            StoreError: the database can't be asked or written.
        """
        if self._looked_at is not None and self._clock.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self._clock.monotonic()
        since = self._clock.now() - TOO_LONG
        late = self._store.read(lambda tx: unpaged.in_line(tx, since, _MOST))
        fresh = [each for each in late if each not in self._seen]
        for start in range(0, len(fresh), _TOGETHER):
            self._tell(fresh[start : start + _TOGETHER])
        self._seen = set(late)

    def _tell(self, late: Sequence[Name]) -> None:
        work, told = self._store.write(lambda tx: self._decide(tx, late))
        self._hand_over(work)
        if told:
            log.warning("page_waits_too_long", pages=told, destinations=sorted({name[1] for name in late}))

    def _decide(self, tx: Connection, late: Sequence[Name]) -> tuple[Work, int]:
        ledger = Ledger(tx, self._rulebook, self._clock.now(), self._mark)
        ledger.load(ids={incident_id for incident_id, _, _ in late})
        told = 0
        for incident_id, destination, _ in late:
            if fallback := missing_stand_in(self._rulebook, ledger.get(incident_id), destination):
                ledger.decide(incident_id, Delivered(FellBack(destination, fallback, CAUSE)))
                told += 1
        return ledger.flush(), told
