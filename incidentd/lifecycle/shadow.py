"""A second table, tried on each new alert beside the one in force. It never acts: what differs is counted and kept.

All of it happens in a thread of its own, after the alerts are stored and on their way: whatever goes wrong here, no
webhook waits for it and no page does.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.engine import Connection

from incidentd.classify import Classifier, Rules, load, parse
from incidentd.drill import is_drill
from incidentd.errors import RulesError, StoreError
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.shadow_verdict import Kind, compared, example_of
from incidentd.lifecycle.tally_sheet import TallySheet
from incidentd.meter import Meter
from incidentd.meter.meter import FAILED, REFUSED, SKIPPED, TAKEN
from incidentd.store import rules as stored
from incidentd.store import shadow
from incidentd.store.engine import Store

WAITING = 20_000
"""Alerts that may wait to be compared; beyond that they are skipped, and counted as such."""
AT_ONCE = 500
PAUSE_SECONDS = 0.2
"""So many alerts at once, and then a pause: in a storm the interpreter belongs to the webhooks."""
STORE_SECONDS = 2.0
FOLLOW_SECONDS = 1.0
_REMEMBERED = 50_000

log = structlog.get_logger("incidentd.shadow")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading the folder. ``version`` is the shadow table now, None without one."""

    version: str | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload put in force. ``shadow`` None: there is none."""

    version: str
    warnings: tuple[str, ...]
    shadow: Loaded | None = None


@dataclass(frozen=True, slots=True)
class _Tried:
    rules: Rules
    classify: Classifier


class Shadow:
    """Belongs to a web process; without a folder it does nothing. Safe to be called by several threads."""

    def __init__(
        self, folder: Path | None, store: Store, rulebook: Rulebook, now: Callable[[], datetime], meter: Meter
    ) -> None:
        self._folder = folder
        self._store = store
        self._rulebook = rulebook
        self._now = now
        self._meter = meter
        self._tried: _Tried | None = None
        self._refused = ""
        self._waiting: deque[tuple[Heard, datetime]] = deque()
        self._failing = False
        self._seen: set[tuple[str, datetime]] = set()
        self._sheet = TallySheet()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def rules(self) -> Rules | None:
        """The shadow table; None without one."""
        return self._tried.rules if self._tried else None

    def start(self) -> None:
        """Read the folder, and compare from now on."""
        if self._folder is not None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Store what is counted; compare no more."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def compare(self, news: Iterable[Heard]) -> None:
        """Put new alerts in line to be compared. Never waits, never fails."""
        if self._tried is None:
            return
        now = self._now()
        for each in news:
            if len(self._waiting) >= WAITING:
                self._meter.shadow_alerts.add(SKIPPED)
            elif each.alert.firing and each.quiet is None and not is_drill(each.verdict.system):
                self._waiting.append((each, now))

    def reload(self) -> Loaded | None:
        """Read the folder anew; an unsound one leaves the table that was tried so far. None where none is set."""
        if self._folder is None:
            return None
        try:
            found = load(self._folder)
            self._store.write(lambda tx: _put(tx, found, self._now()))
        except (RulesError, StoreError, OSError) as error:
            self._meter.shadow_reloads.add(REFUSED)
            log.warning("shadow_rules_refused", cause=str(error))
            faults = tuple(map(str, error.faults)) if isinstance(error, RulesError) else (type(error).__name__,)
            return Loaded(self.rules.version if self.rules else None, faults)
        self._meter.shadow_reloads.add(TAKEN)
        self._take(found)
        return Loaded(found.version)

    def work(self) -> None:
        """Compare what waits, and store what differs. For one process's thread, and for tests."""
        while self._waiting:
            self._compare_some()
        self.store_counts()

    def store_counts(self) -> None:
        """Add what was counted to the database; what can't be stored now is kept until it can."""
        for comparison, differences in self._sheet.pages():
            self._store.write(partial(_add, comparison=comparison, differences=differences))
            self._sheet.drop(comparison)

    def _run(self) -> None:
        """The edge of a thread: nothing that goes wrong in it may end it, or be seen elsewhere."""
        self._attempt(self.reload)
        store_at = follow_at = time.monotonic()
        while not self._stopping.wait(PAUSE_SECONDS):
            self._attempt(self._compare_some)
            if time.monotonic() >= store_at:
                self._attempt(self.store_counts)
                store_at = time.monotonic() + STORE_SECONDS
            if time.monotonic() >= follow_at:
                self._attempt(self._follow)
                follow_at = time.monotonic() + FOLLOW_SECONDS
        self._attempt(self.work)

    @staticmethod
    def _attempt(step: Callable[[], object]) -> None:
        try:
            step()
        except StoreError as error:
            log.warning("shadow_waits", cause=type(error).__name__)
        except Exception:
            log.exception("shadow_failed")

    def _compare_some(self) -> None:
        tried = self._tried
        for _ in range(min(AT_ONCE, len(self._waiting))):
            heard, at = self._waiting.popleft()
            if tried is not None and self._is_first(heard):
                self._compare(heard, tried, at)

    def _compare(self, heard: Heard, tried: _Tried, now: datetime) -> None:
        try:
            in_force = self._rulebook.version(heard.verdict.version)
            verdict = tried.classify(heard.alert).at(now)
            pair = compared(heard.verdict, in_force, verdict, tried.rules, now)
            differs = pair.kind is not Kind.SAME
            example = example_of(heard.alert, heard.verdict, verdict) if differs else ""
        except Exception:
            self._meter.shadow_alerts.add(FAILED)
            # Once for each table: in a storm it would fail on all of them.
            if not self._failing:
                log.exception("shadow_failed", version=tried.rules.version)
            self._failing = True
            return
        self._meter.shadow_alerts.add(pair.kind.value)
        self._sheet.count(in_force.version, tried.rules.version, pair if differs else None, example, now)

    def _is_first(self, heard: Heard) -> bool:
        """Whether this episode was not compared yet: what comes in a storm is not all news."""
        place = (heard.alert.fingerprint, heard.alert.starts_at)
        if place in self._seen:
            return False
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen.add(place)
        return True

    def _follow(self) -> None:
        """Take the shadow table that another process has read."""
        version = self._store.read(shadow.in_force)
        known = self.rules.version if self.rules else None
        if version is None or version in (known, self._refused):
            return
        texts = self._store.read(lambda tx: stored.files(tx, version))
        try:
            if texts is not None:
                self._take(parse(texts))
        except RulesError as error:
            self._refused = version
            log.warning("shadow_rules_refused", version=version, cause=str(error))

    def _take(self, rules: Rules) -> None:
        if self.rules is None or self.rules.version != rules.version:
            self._tried, self._failing = _Tried(rules, Classifier(rules)), False
            log.info("shadow_rules", version=rules.version)


def _put(tx: Connection, rules: Rules, now: datetime) -> None:
    shadow.put(tx, rules.version, rules.files, now)


def _add(tx: Connection, *, comparison: shadow.Comparison, differences: Sequence[shadow.Difference]) -> None:
    shadow.add(tx, comparison, differences)
    shadow.forget_older(tx)
