"""A timekeeper vouches to an outsider that pages get out: he alarms when nobody does."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from incidentd.errors import DeliveryError, IncidentdError
from incidentd.meter import Meter
from incidentd.meter.meter import FAILED, PINGED, WITHHELD
from incidentd.store import pings
from incidentd.store.engine import Store

LOOK_SECONDS = 1.0

log = structlog.get_logger("incidentd.vouch")


class Outsider(Protocol):
    """Who is pinged."""

    def ping(self, seconds: float) -> None:
        """Ping once.

        Raises:
            DeliveryError: it was not accepted.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Voucher:
    """Pings in a thread of its own, which begins with the first cycle: whatever becomes of it, nothing else waits.

    ``gets_out`` is nearly what `/-/delivering` answers: pages in a line that moves are no fault.
    """

    def __init__(
        self,
        outsider: Outsider,
        interval: timedelta,
        seconds: float,
        store: Store,
        now: Callable[[], datetime],
        gets_out: Callable[[], tuple[bool, str]],
        meter: Meter,
    ) -> None:
        self._outsider = outsider
        self._interval = interval
        self._seconds = seconds
        self._store = store
        self._now = now
        self._gets_out = gets_out
        self._meter = meter
        self._last = ""
        # The last turns that this process knows of, for when the database can't be asked.
        self._turn_at: datetime | None = None
        self._withheld_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """A timekeeper goes round in this process: vouch from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="voucher", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ping no more. One that is on its way ends by itself."""
        self._stopping.set()
        if self._thread is None:
            self._outsider.close()

    def vouch(self) -> None:
        """Ping, if it is time, nobody else has, and pages get out; else say why not. Never raises one of our errors."""
        try:
            self._turn_at = self._store.read(lambda tx: pings.last(tx, pings.OUTSIDE))
            if not self._is_over(self._turn_at):
                return
            fine, why = self._gets_out()
            if not fine:
                self._withhold(why, counts=self._takes(pings.WITHHELD))
            elif self._take(pings.OUTSIDE):
                self._turn_at = self._now()
                self._ping()
        except IncidentdError as error:
            if self._is_over(self._turn_at):
                self._withhold(type(error).__name__, counts=self._is_over(self._withheld_at))

    def _is_over(self, at: datetime | None) -> bool:
        return pings.is_over(at, self._now(), self._interval)

    def _takes(self, name: str) -> bool:
        """Asks first: pages that don't get out are looked at each second, and each look would be a write."""
        return self._store.read(lambda tx: pings.is_due(tx, self._now(), self._interval, name)) and self._take(name)

    def _take(self, name: str) -> bool:
        return self._store.write(lambda tx: pings.take(tx, self._now(), self._interval, name))

    def _ping(self) -> None:
        try:
            self._outsider.ping(self._seconds)
        except DeliveryError as error:
            self._meter.pings.add(FAILED)
            if self._last != FAILED:
                log.warning("ping_failed", cause=str(error))
            self._last = FAILED
            return
        self._meter.pings.add(PINGED)
        if self._last != PINGED:
            log.info("ping_accepted")
        self._last = PINGED

    def _withhold(self, cause: str, *, counts: bool) -> None:
        """``counts``: for this interval it was not counted yet, here or elsewhere."""
        if counts:
            self._meter.pings.add(WITHHELD)
            self._withheld_at = self._now()
        if self._last != WITHHELD:
            log.warning("ping_withheld", cause=cause)
        self._last = WITHHELD

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.vouch()
            except Exception:
                log.exception("ping_crashed")
                self._stopping.wait(self._interval.total_seconds())
        self._outsider.close()
