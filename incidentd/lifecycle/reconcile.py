"""Truth from Alertmanager: one of all timekeepers asks, compares, and has brought in line what was lost on the way."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from incidentd.channels.view import View
from incidentd.classify import taken_by
from incidentd.errors import DeliveryError
from incidentd.lifecycle.amend import Amender
from incidentd.lifecycle.comparison import Believed, Comparison, Patience, compare, fault_of, is_for
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.store import alerts, pings, sightings
from incidentd.store.engine import Store
from incidentd.store.sightings import Answering

log = structlog.get_logger("incidentd.reconcile")


class Upstream(Protocol):
    """One Alertmanager. What is asked raises DeliveryError."""

    name: str

    def view(self, seconds: float) -> View:
        """All that it lists."""
        ...

    def muted(self, receiver: str, seconds: float) -> frozenset[str] | None:
        """What an interval of time keeps from this receiver; None where it doesn't say."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Manner:
    """Which receivers are ours, how often to look, how long to wait for an answer, how long what is seen must last."""

    receivers: tuple[str, ...]
    interval: timedelta
    seconds: float
    patience: Patience


class Reconciler:
    """Used by one thread. ``note`` is told the fingerprints that somebody lists: those are heard of."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        manner: Manner,
        store: Store,
        rulebook: Rulebook,
        now: Callable[[], datetime],
        amender: Amender,
        note: Callable[[Iterable[str]], None],
    ) -> None:
        self._upstreams = upstreams
        self._manner = manner
        self._store = store
        self._rulebook = rulebook
        self._now = now
        self._amender = amender
        self._note = note
        self._faults: dict[str, str] = {}

    def close(self) -> None:
        """Let go of connections."""
        for each in self._upstreams:
            each.close()

    def look(self) -> None:
        """Compare, if it is time and nobody else has.

        Raises:
            StoreError: the database can't be asked or written; what was found is found again.
        """
        now, interval = self._now(), self._manner.interval
        if not self._upstreams:
            self._forget()
            return
        if not self._store.read(lambda tx: pings.is_due(tx, now, interval, pings.ALERTMANAGER)):
            return
        if not self._store.write(lambda tx: pings.take(tx, now, interval, pings.ALERTMANAGER)):
            return
        views = self._ask()
        if views:
            self._reconcile(views, self._now())

    def _forget(self) -> None:
        """Nothing is compared any more: nothing that is known of it goes on ageing."""
        if self._store.read(sightings.answering):
            self._store.write(lambda tx: sightings.note_answers(tx, (), ()))

    def _ask(self) -> list[View]:
        """What those show that answer. How each answers is stored, and logged when it changes."""
        with ThreadPoolExecutor(len(self._upstreams), "alertmanager") as pool:
            heard = list(pool.map(self._view, self._upstreams))
        now = self._now()
        before = {each.name: each for each in self._store.read(sightings.answering)}
        answers = []
        for upstream, came in zip(self._upstreams, heard, strict=True):
            fault = fault_of(came) if isinstance(came, View) else str(came)
            known = before.get(upstream.name)
            answered_at = now if not fault else known and known.answered_at
            first_asked_at = known.first_asked_at if known else now
            answers.append(Answering(upstream.name, first_asked_at, answered_at, fault))
            self._log(upstream.name, fault)
        names = [each.name for each in self._upstreams]
        self._store.write(lambda tx: sightings.note_answers(tx, answers, names))
        return [each for each in heard if isinstance(each, View)]

    def _view(self, upstream: Upstream) -> View | DeliveryError:
        try:
            return upstream.view(self._manner.seconds)
        except DeliveryError as error:
            return error

    def _log(self, name: str, fault: str) -> None:
        if fault and self._faults.get(name) != fault:
            log.warning("alertmanager_unusable", alertmanager=name, cause=fault)
        if not fault and self._faults.get(name, "begin"):
            log.info("alertmanager_answers", alertmanager=name)
        self._faults[name] = fault

    def _reconcile(self, views: Sequence[View], now: datetime) -> None:
        manner = self._manner
        names = {upstream.name for upstream in self._upstreams}
        before = self._store.read(sightings.all_of_them)
        known = {key: each for key, each in before.items() if key[1] in names}
        believed = [Believed(*each) for each in self._store.read(sightings.firing)]
        ours = self._ours(views)
        heard = self._store.read(lambda tx: alerts.latest(tx, ours))
        found = compare(views, believed, heard, ours, known, now, manner.patience)
        self._note(found.quiet)
        self._amender.close(found.over, now)
        muted = self._muted(views) if found.untold else frozenset()
        self._amender.take_in([each for each in found.untold if each[0].fingerprint not in muted], now)
        self._amender.silence(_quiet(found, believed, {key[0] for key, each in known.items() if each.quiet}), now)
        if found.seen != before:
            self._store.write(lambda tx: sightings.write(tx, before, found.seen))

    def _ours(self, views: Iterable[View]) -> frozenset[str]:
        """The fingerprints of what is told to our receivers. What counts as a sign of life must come by itself."""
        expected = self._rulebook.in_force.heartbeats
        return frozenset(
            each.fingerprint
            for view in views
            for each in view.listed.values()
            if is_for(each, self._manner.receivers) and each.alert and not taken_by(each.alert, expected)
        )

    def _muted(self, views: Sequence[View]) -> frozenset[str]:
        """What an interval of time may keep from us, on any Alertmanager: where one doesn't say, all that it lists."""
        muted: set[str] = set()
        by_name = {upstream.name: upstream for upstream in self._upstreams}
        for view in views:
            if view.mutes:
                muted |= self._muted_by(by_name[view.name], view)
        return frozenset(muted)

    def _muted_by(self, upstream: Upstream, view: View) -> frozenset[str]:
        try:
            said = [upstream.muted(receiver, self._manner.seconds) for receiver in self._manner.receivers]
        except DeliveryError as error:
            log.warning("alertmanager_unusable", alertmanager=view.name, cause=str(error))
            return frozenset(view.listed)
        if None in said:
            return frozenset(view.listed)
        # For one of our receivers it is told.
        return frozenset.intersection(*(each for each in said if each is not None))


def _quiet(found: Comparison, believed: Iterable[Believed], before: set[str]) -> dict[str, dict[str, str]]:
    """By incident, why each of its listed alerts is quiet: of incidents in which one is, or was at the last look."""
    by_incident: dict[str, dict[str, str]] = {}
    for each in believed:
        if each.fingerprint in found.quiet:
            by_incident.setdefault(each.incident_id, {})[each.fingerprint] = found.quiet[each.fingerprint]
    return {
        incident_id: quiet
        for incident_id, quiet in by_incident.items()
        if any(quiet.values()) or not before.isdisjoint(quiet)
    }
