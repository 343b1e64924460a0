"""Alerts of which nothing has been heard for long: people are asked, and nothing is closed."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from incidentd.incident.command import Observed
from incidentd.jobs import Work
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.meter import Meter
from incidentd.meter.meter import ASKED
from incidentd.store import hearings, incidents, pings
from incidentd.store.engine import Store
from incidentd.timeline import Stale

LOOK_EVERY = timedelta(minutes=5)
TOGETHER = 100

log = structlog.get_logger("incidentd.stale")


class Asker:
    """Asks once in each ``patience`` about an incident none of whose firing alerts was heard of for as long.

    ``pause``: how long what was heard may not be stored yet.
    """

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        now: Callable[[], datetime],
        patience: timedelta,
        pause: timedelta,
        mark: timedelta,
        hand_over: Callable[[Work], None],
        meter: Meter,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._now = now
        self._patience = patience
        self._silence = patience + pause
        self._every = min(LOOK_EVERY, patience / 10)
        self._mark = mark
        self._hand_over = hand_over
        self._meter = meter

    def look(self) -> None:
        """Ask about what is stale by now, if it is time and nobody else has.

        Raises:
            StoreError: the database can't be asked or written.
        """
        now = self._now()
        if not self._store.read(lambda tx: pings.is_due(tx, now, self._every, pings.STALE)):
            return
        if not self._store.write(lambda tx: pings.take(tx, now, self._every, pings.STALE)):
            return
        silent = self._store.read(lambda tx: hearings.silent(tx, now - self._silence))
        for start in range(0, len(silent), TOGETHER):
            self._ask(sorted(silent)[start : start + TOGETHER], now)
        self._store.write(lambda tx: hearings.forget(tx, now))

    def _ask(self, ids: Collection[str], now: datetime) -> None:
        known = self._store.read(lambda tx: incidents.load(tx, ids))
        due = [each.id for _, each in known.values() if _is_due(each.stale_at, now, self._patience)]
        if not due:
            return
        work, asked = self._store.write(lambda tx: self._write(tx, due, now))
        self._hand_over(work)
        self._meter.reconciled.add(ASKED, amount=len(asked))
        for incident_id, heard_at in asked.items():
            log.info("reconciled", action=ASKED, incident=incident_id, heard_at=heard_at.isoformat())

    def _write(self, tx: Connection, ids: Collection[str], now: datetime) -> tuple[Work, dict[str, datetime]]:
        ledger = Ledger(tx, self._rulebook, now, self._mark)
        ledger.load(ids=ids)
        silent = hearings.silent(tx, now - self._silence)
        asked = {}
        for incident_id in ids:
            incident, heard_at = ledger.get(incident_id), silent.get(incident_id)
            if incident is None or heard_at is None or not _is_due(incident.stale_at, now, self._patience):
                continue
            if any(isinstance(each.data, Stale) for each in ledger.decide(incident_id, Observed(Stale(heard_at)))):
                asked[incident_id] = heard_at
        return ledger.flush(), asked


def _is_due(asked_at: datetime | None, now: datetime, patience: timedelta) -> bool:
    """An instant that a false clock set keeps nobody from asking."""
    return asked_at is None or not now - patience < asked_at <= now
