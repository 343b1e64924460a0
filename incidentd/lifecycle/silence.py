"""A timekeeper watches for heartbeats that are missing. Any number may: rows are locked, and looked at again then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from incidentd.classify import HeartbeatSpec, Rules
from incidentd.clock import Clock
from incidentd.jobs import Work
from incidentd.lifecycle.gap import Gap, Look, gap_between, gap_since
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.heartbeat import fingerprint_of, silence, sound
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.meter import Meter
from incidentd.store import alerts, cycles, heartbeats
from incidentd.store import rules as stored
from incidentd.store.engine import Store
from incidentd.store.heartbeats import Heartbeat
from incidentd.tier import Tier

AGAIN = timedelta(minutes=5)
"""How often a silence that lasts is said again: what a person resolved over then opens anew, as any alert does."""

log = structlog.get_logger("incidentd.heartbeat")


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look came to."""

    work: Work
    lateness: Sequence[timedelta]
    opened: Sequence[Tier]


class Silence:
    """What one timekeeper knows of heartbeats. Not safe for use by several threads."""

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
        self._looked: Look | None = None
        self._gap: Gap | None = None
        self._version = ""

    def look(self) -> None:
        """Find what is missing by now. Costs a read while nothing is, and nothing where nothing is expected.

        Raises:
            StoreError: the database can't be asked or written; what is due stays so.
        """
        now, rules = self._clock.now(), self._rulebook.in_force
        if rules.version != self._version and not self._adopt(rules, now):
            return
        if not rules.heartbeats:
            self._looked = None
            return
        self._note_gap(Look(now, self._clock.monotonic()))
        self._cross(now)
        if not self._store.read(lambda tx: heartbeats.any_due(tx, now)):
            return
        found = self._store.write(lambda tx: self._tell(tx, rules, now))
        self._hand_over(found.work)
        for late in found.lateness:
            self._meter.lateness.observe(late.total_seconds())
        for tier in found.opened:
            self._meter.opened.add(tier)

    def _note_gap(self, look: Look) -> None:
        before, self._looked = self._looked, look
        gap = None
        if before is None:
            gap = gap_since(self._last_cycle(look.at), look.at)
        elif gap_between(before, look, None):
            gap = gap_between(before, look, self._last_cycle(look.at))
        if gap:
            log.warning("time_lost", seconds=round(gap.lasted.total_seconds(), 1))
            self._gap = gap

    def _last_cycle(self, now: datetime) -> datetime | None:
        return self._store.read(lambda tx: cycles.last(tx, now))

    def _cross(self, now: datetime) -> None:
        """Bring all heartbeats behind the gap, again and again until every process goes by the same time."""
        gap = self._gap
        if gap is None:
            return
        known = self._store.read(heartbeats.all_of_them)
        if any(gap.across(each) != each for each in known):
            self._store.write(lambda tx: _carry(tx, gap))
        if not gap.end <= now < gap.is_settled_at:
            self._gap = None

    def _adopt(self, rules: Rules, now: datetime) -> bool:
        """Expect what the rules expect; False while another table is in force already."""
        if self._store.read(stored.in_force) != rules.version:
            return False
        adopted = self._store.write(lambda tx: self._expect(tx, rules, now))
        if adopted is None:
            return False
        self._version = rules.version
        self._hand_over(adopted)
        return True

    def _expect(self, tx: Connection, rules: Rules, now: datetime) -> Work | None:
        rows = heartbeats.lock(tx)
        if stored.in_force(tx) != rules.version:
            return None
        expected = rules.heartbeats
        heartbeats.insert(tx, [Heartbeat.expected(n, s.every, now) for n, s in expected.items() if n not in rows])
        changed = [r for name, r in rows.items() if name in expected and r.every != expected[name].every]
        heartbeats.update(tx, [row.allowed(expected[row.name].every) for row in changed])
        gone = [row for name, row in rows.items() if name not in expected]
        heartbeats.delete(tx, [row.name for row in gone])
        return self._receive(tx, [_ended(row, now, rules.version) for row in gone if row.missing_since], now).work

    def _tell(self, tx: Connection, rules: Rules, now: datetime) -> _Found:
        rows = heartbeats.due(tx, now)
        if not rows or stored.in_force(tx) != rules.version:
            return _Found({}, (), ())
        heartbeats.delete(tx, [row.name for row in rows if row.name not in rules.heartbeats])
        due = [row for row in rows if row.name in rules.heartbeats]
        fresh = [row for row in due if row.missing_since is None]
        since = {row.name: row.missing_since or row.due_at for row in due} | _starts(tx, fresh)
        heartbeats.update(tx, [replace(row, missing_since=since[row.name], due_at=now + AGAIN) for row in due])
        heard = [silence(rules.heartbeats[row.name], row, since[row.name], rules.version) for row in due]
        found = self._receive(tx, heard, now)
        return replace(found, lateness=[now - row.due_at for row in fresh])

    def _receive(self, tx: Connection, heard: Sequence[Heard], now: datetime) -> _Found:
        if not heard:
            return _Found({}, (), ())
        ledger = Ledger(tx, self._rulebook, now, self._mark)
        receive(ledger, [[each] for each in heard], self._new_id)
        return _Found(ledger.flush(), (), ledger.opened)


def _carry(tx: Connection, gap: Gap) -> None:
    rows = heartbeats.lock(tx)
    heartbeats.update(tx, [after for row in rows.values() if (after := gap.across(row)) != row])


def _ended(row: Heartbeat, now: datetime, version: str) -> Heard:
    """The end of a silence that nobody minds any more: its heartbeat is gone from the rules."""
    return sound(HeartbeatSpec(row.name, row.every, Tier.P3), row.missing_since or now, now, version)


def _starts(tx: Connection, rows: Sequence[Heartbeat]) -> dict[str, datetime]:
    """When each silence began to be one: after the one before, whatever the clock said then."""
    names = {fingerprint_of(row.name): row for row in rows}
    known = alerts.latest(tx, names)
    moment = timedelta(microseconds=1)
    return {
        row.name: max(row.due_at, known[each].starts_at + moment) if each in known else row.due_at
        for each, row in names.items()
    }
