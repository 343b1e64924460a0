"""A destination that accepts nothing for minutes is an incident of its own, told elsewhere; over when it accepts again.

One for each destination. A refusal for good has one of its own, which who met it raises at once. Any number of
timekeepers may look.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from incidentd.clock import Clock
from incidentd.jobs import Work
from incidentd.lifecycle.degraded import Receiver
from incidentd.lifecycle.heard import INTERNAL_SYSTEM, Heard, internal
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.reception import Reception
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Complaint
from incidentd.meter import Meter
from incidentd.store import incidents
from incidentd.store.engine import Store
from incidentd.tier import Tier

REASON = "away"
OUTAGE_AFTER = timedelta(minutes=5)
"""How long a destination may accept nothing before that is an incident."""
AGAIN = timedelta(minutes=10)
"""How often an outage that lasts is said again: what nobody says for half an hour is over."""
LOOK_SECONDS = 5.0

log = structlog.get_logger("incidentd.outage")


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look came to."""

    work: Work
    opened: tuple[Tier, ...]


class Outage:
    """What one timekeeper knows of destinations that are away. Not safe for use by several threads."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        clock: Clock,
        new_id: NewId,
        mark: timedelta,
        hand_over: Callable[[Work], None],
        meter: Meter,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._new_id = new_id
        self._mark = mark
        self._hand_over = hand_over
        self._meter = meter
        self._reception = Reception()
        self._said_at: dict[str, datetime] = {}
        self._looked_at: float | None = None

    def look(self) -> None:
        """Say what is away for too long, and what is back. At most every 5 s; costs some reads.

        Raises:
            StoreError: the database can't be asked or written.
        """
        if self._looked_at is not None and self._clock.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self._clock.monotonic()
        now, destinations = self._clock.now(), self._rulebook.in_force.destinations
        receivers, raised = self._store.read(
            lambda tx: (self._reception.look(tx, destinations), incidents.holding(tx, [*map(key, destinations)]))
        )
        heard = [*self._away(receivers, now), *self._back(receivers, raised, now)]
        if heard:
            found = self._store.write(lambda tx: self._receive(tx, heard, now))
            self._hand_over(found.work)
            for tier in found.opened:
                self._meter.opened.add(tier)

    def _away(self, receivers: Iterable[Receiver], now: datetime) -> list[Heard]:
        away = [each for each in receivers if is_outage(each, now)]
        due = [each for each in away if self._is_to_be_said(each.name, now)]
        self._said_at = {each.name: self._said_at.get(each.name, now) for each in away}
        self._said_at |= {each.name: now for each in due}
        return [alarm(each, now) for each in due]

    def _back(self, receivers: Iterable[Receiver], raised: frozenset[str], now: datetime) -> list[Heard]:
        """Those of which an incident tells although they accept again."""
        back = [each for each in receivers if each.failing_since is None and key(each.name) in raised]
        return [_end(alarm(each, now)) for each in back if self._reception.accepted_at(each.name)]

    def _is_to_be_said(self, name: str, now: datetime) -> bool:
        said_at = self._said_at.get(name)
        return said_at is None or not timedelta(0) <= now - said_at < AGAIN

    def _receive(self, tx: Connection, heard: list[Heard], now: datetime) -> _Found:
        ledger = Ledger(tx, self._rulebook, now, self._mark)
        receive(ledger, [[each] for each in heard], self._new_id)
        return _Found(ledger.flush(), tuple(ledger.opened))


def is_outage(receiver: Receiver, now: datetime) -> bool:
    """Whether it is away for so long that somebody is to know; a refusal for good is told at once, by who met it."""
    since = receiver.failing_since
    away = receiver.is_away(now) and not receiver.is_refusing(now)
    return away and since is not None and now - since >= OUTAGE_AFTER


def key(name: str) -> str:
    """The key of the incident that tells of this destination."""
    return f"{INTERNAL_SYSTEM}/{REASON}/{name}"


def alarm(receiver: Receiver, now: datetime) -> Heard:
    """The alert that this destination is away; the detail stays as it is for as long as that lasts."""
    since = receiver.failing_since or now
    detail = f"destination {receiver.name} has accepted nothing since {since:%H:%M:%S} UTC"
    return internal(Complaint(REASON, detail), receiver.name, now)


def _end(heard: Heard) -> Heard:
    return heard._replace(alert=replace(heard.alert, firing=False, ends_at=heard.alert.starts_at))
