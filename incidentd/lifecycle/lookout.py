"""A web process looks every few seconds at what it needs, so that pages and metrics can say at once what is missing."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from incidentd.clock import Clock
from incidentd.errors import SchemaError, StoreError
from incidentd.lifecycle.crash_loop import looping
from incidentd.lifecycle.degraded import Degraded, Known, degraded
from incidentd.lifecycle.reception import Reception
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.socket_standing import SocketAway
from incidentd.store import cycles, pings
from incidentd.store.engine import Store

LOOK_SECONDS = 2.0
HANGS_SECONDS = 3.0
"""A look at the database that takes longer gets no answer, for all that anybody can tell."""
MISSES = 2
"""A Redis that is late once is not away."""

log = structlog.get_logger("incidentd.degraded")


class Lookout:
    """Looks in a thread of its own, from ``start`` on; before that, and without it, when ``look`` is called."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        clock: Clock,
        redis_answers: Callable[[], bool | None],
        clock_jump: Callable[[], timedelta | None],
        socket_away: Callable[[], SocketAway | None] = lambda: None,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._now = clock.now
        self._redis_answers = redis_answers
        self._clock_jump = clock_jump
        self._socket_away = socket_away
        self._reception = Reception()
        self._known = Known(began_at=clock.now())
        self._missed = 0
        self._missed_at: datetime | None = None
        self._asking: tuple[float, datetime] | None = None
        self._told: frozenset[tuple[str, str]] = frozenset()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on."""
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more. A look under way ends by itself."""
        self._stopping.set()

    @property
    def degraded(self) -> tuple[Degraded, ...]:
        """What is degraded, as of the newest look; a look that gets no answer counts as one. Never waits."""
        known, asking = self._known, self._asking
        if asking and not known.database_since and self._clock.monotonic() - asking[0] > HANGS_SECONDS:
            known = replace(known, database_since=asking[1])
        return degraded(known, self._now())

    def look(self) -> None:
        """Look once, and say in the log what is new."""
        known = replace(
            self._known,
            redis_since=self._redis_since(),
            clock_since=self._clock_since(),
            socket_away=self._socket_away(),
        )
        self._known = self._with_database(known)
        self._tell()

    def _with_database(self, known: Known) -> Known:
        began_at = self._now()
        self._asking = (self._clock.monotonic(), began_at)
        try:
            return self._store.read(lambda tx: self._read(tx, known))
        except (StoreError, SchemaError):
            return replace(known, database_since=known.database_since or began_at)
        finally:
            self._asking = None

    def _read(self, tx: Connection, known: Known) -> Known:
        receivers = self._reception.look(tx, self._rulebook.in_force.destinations)
        dying = looping(pings.crashes(tx), self._now())
        dying_since = {name: known.dying_since.get(name, self._now()) for name in dying}
        cycle_at = cycles.last(tx, self._now())
        return replace(known, database_since=None, cycle_at=cycle_at, receivers=receivers, dying_since=dying_since)

    def _redis_since(self) -> datetime | None:
        if self._redis_answers() is not False:
            self._missed, self._missed_at = 0, None
            return None
        self._missed += 1
        self._missed_at = self._missed_at or self._now()
        return self._missed_at if self._missed >= MISSES else None

    def _clock_since(self) -> datetime | None:
        return (self._known.clock_since or self._now()) if self._clock_jump() is not None else None

    def _tell(self) -> None:
        now = {(str(each.mode), each.destination): each for each in self.degraded}
        for key in sorted(now.keys() - self._told):
            log.warning("degraded", mode=key[0], destination=key[1], since=now[key].since.isoformat())
        for mode, destination in sorted(self._told - now.keys()):
            log.info("degraded_no_more", mode=mode, destination=destination)
        self._told = frozenset(now)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception:
                log.exception("lookout_failed")
            self._stopping.wait(LOOK_SECONDS)
