"""What a comparison with Alertmanager found becomes entries, by the same way that notifications go."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.channels.view import Listed
from incidentd.errors import StoreError
from incidentd.incident.command import Observed
from incidentd.incident.state import Incident
from incidentd.jobs import Work
from incidentd.lifecycle.comparison import Believed, is_told
from incidentd.lifecycle.heard import Heard, weighed
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.meter import Meter
from incidentd.meter.meter import CLOSED, SILENCED, TOLD, UNSILENCED
from incidentd.store import alerts, incidents, sightings
from incidentd.store.engine import Store
from incidentd.timeline import Reconciled, Silenced

TOGETHER = 200
"""Alerts, or incidents, that one transaction takes in."""

Done = Sequence[tuple[str, str, Collection[str]]]
"""Action, incident and fingerprints."""
T = TypeVar("T")

log = structlog.get_logger("incidentd.reconcile")


@dataclass(frozen=True, slots=True)
class Amender:
    """Looks again in each transaction: what a notification said meanwhile stands."""

    store: Store
    rulebook: Rulebook
    new_id: NewId
    mark: timedelta
    hand_over: Callable[[Work], None]
    meter: Meter

    def close(self, over: Mapping[Believed, datetime], now: datetime) -> None:
        """These alerts fire no more. Their incidents follow by themselves: recovering, then resolved.

        Raises:
            StoreError: the database can't be written.
        """
        self._in_parts(sorted(over), lambda some: partial(self._close, {each: over[each] for each in some}, now), now)

    def take_in(self, untold: Sequence[tuple[Listed, datetime]], now: datetime) -> None:
        """These alerts fire. They go the way of a notification.

        Raises:
            StoreError: the database can't be written.
        """
        self._in_parts(untold, lambda some: partial(self._take_in, some, now), now)

    def silence(self, quiet: Mapping[str, Mapping[str, str]], now: datetime) -> None:
        """``quiet``: by incident, why each of its alerts that is listed is quiet; empty where it is not.

        Raises:
            StoreError: the database can't be asked or written.
        """
        known = self.store.read(lambda tx: incidents.load(tx, quiet)) if quiet else {}
        changed = [id_ for id_, (_, found) in sorted(known.items()) if _silenced(found, quiet[id_]) is not None]
        self._in_parts(changed, lambda some: partial(self._silence, some, quiet, now), now)

    def _in_parts(
        self,
        everything: Sequence[T],
        work: Callable[[Sequence[T]], Callable[[Ledger], Done]],
        now: datetime,
    ) -> None:
        for start in range(0, len(everything), TOGETHER):
            some = everything[start : start + TOGETHER]
            try:
                self._write(work(some), now)
            except StoreError:
                raise
            except Exception:  # noqa: BLE001 - whatever it is, it must not keep the others; told below
                for each in some:
                    self._singly(work([each]), now)

    def _singly(self, work: Callable[[Ledger], Done], now: datetime) -> None:
        try:
            self._write(work, now)
        except StoreError:
            raise
        except Exception:
            log.exception("unreconcilable")

    def _write(self, work: Callable[[Ledger], Done], now: datetime) -> None:
        def transaction(tx: Connection) -> tuple[Ledger, Work, Done]:
            ledger = Ledger(tx, self.rulebook, now, self.mark)
            done = work(ledger)
            return ledger, ledger.flush(), done

        ledger, handed, done = self.store.write(transaction)
        self.hand_over(handed)
        for tier in ledger.opened:
            self.meter.opened.add(tier)
        for tier in ledger.observed:
            self.meter.observed.add(tier)
        for action, incident_id, fingerprints in done:
            self.meter.reconciled.add(action, amount=max(1, len(fingerprints)))
            log.info("reconciled", action=action, incident=incident_id, alerts=sorted(fingerprints))

    def _weighed(self, found: Iterable[Alert], now: datetime) -> list[Heard]:
        return [weighed(each, self.rulebook.classifier(each).at(now)) for each in found]

    def _close(self, over: Mapping[Believed, datetime], now: datetime, ledger: Ledger) -> Done:
        known = alerts.latest(ledger.tx, {each.fingerprint for each in over})
        still = {
            each.fingerprint: each
            for each in over
            if (latest := known.get(each.fingerprint))
            and (latest.firing, latest.open) == (True, True)
            and (latest.starts_at, latest.incident_id) == (each.starts_at, each.incident_id)
        }
        ended = [replace(each, ends_at=now, firing=False) for each in sightings.stored(ledger.tx, still)]
        by_incident = _grouped((still[each.fingerprint].incident_id, each.fingerprint) for each in ended)
        ledger.load(ids=by_incident)
        for incident_id, fingerprints in by_incident.items():
            since = min(over[still[each]] for each in fingerprints)
            ledger.decide(incident_id, Observed(Reconciled(True, fingerprints, since)))
        receive(ledger, [self._weighed(ended, ledger.now)], self.new_id)
        return [(CLOSED, incident_id, fingerprints) for incident_id, fingerprints in by_incident.items()]

    def _take_in(self, untold: Sequence[tuple[Listed, datetime]], _now: datetime, ledger: Ledger) -> Done:
        known = alerts.latest(ledger.tx, {each.fingerprint for each, _ in untold})
        news = {each.fingerprint: since for each, since in untold if not is_told(each, known.get(each.fingerprint))}
        firing = [each.alert for each, _ in untold if each.fingerprint in news and each.alert]
        receive(ledger, [self._weighed(firing, ledger.now)], self.new_id)
        taken = alerts.latest(ledger.tx, news)
        by_incident = _grouped((each.incident_id, each.fingerprint) for each in taken.values() if each.incident_id)
        done = []
        for incident_id, fingerprints in by_incident.items():
            since = min(news[each] for each in fingerprints)
            incident = ledger.get(incident_id)
            if incident and ledger.decide(incident_id, Observed(Reconciled(False, fingerprints, since))):
                done.append((TOLD, incident_id, fingerprints))
        return done

    def _silence(
        self, ids: Collection[str], quiet: Mapping[str, Mapping[str, str]], _now: datetime, ledger: Ledger
    ) -> Done:
        ledger.load(ids=ids)
        done = []
        for incident_id in ids:
            incident = ledger.get(incident_id)
            fact = _silenced(incident, quiet[incident_id]) if incident else None
            if fact and ledger.decide(incident_id, Observed(fact)):
                done.append((SILENCED if fact.alerts else UNSILENCED, incident_id, fact.alerts))
        return done


def _silenced(incident: Incident, quiet: Mapping[str, str]) -> Silenced | None:
    """What is to be written down of this incident; None where it is so already. What nobody lists stays as it was."""
    if incident.resolved_at is not None:
        return None
    firing = {each.fingerprint for each in incident.firing}
    why = {each: quiet.get(each, incident.silence if each in incident.silenced else "") for each in firing}
    silenced = tuple(sorted(each for each, reason in why.items() if reason))
    reason = why[silenced[0]] if silenced else ""
    if (frozenset(silenced), reason) == (incident.silenced, incident.silence):
        return None
    return Silenced(silenced, reason)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Fingerprints by incident, both sorted."""
    found: dict[str, tuple[str, ...]] = {}
    for incident_id, fingerprint in sorted(pairs):
        found[incident_id] = (*found.get(incident_id, ()), fingerprint)
    return found
