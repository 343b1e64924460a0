"""A notification becomes incidents: leave out what is no news, group the rest by incident, decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from incidentd.classify import DEFAULT_POLICY, Rules
from incidentd.incident.command import AlertsHeard, Command, Identity
from incidentd.incident.hear import is_late_copy, takes
from incidentd.incident.state import Incident, urgency
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.ledger import Ledger
from incidentd.policy import Policy
from incidentd.store import alerts
from incidentd.store.alerts import Episode, Known
from incidentd.timeline import Entry, Member

NewId = Callable[[], str]


class Tables(Protocol):
    """The rules that incidents follow."""

    @property
    def in_force(self) -> Rules:
        """The table that new incidents take."""
        ...

    def policy(self, incident: Incident) -> Policy:
        """What this incident's round follows."""
        ...


class Desk(Protocol):
    """Where incidents are kept while alerts are taken in: a transaction's ledger, or a replay's memory."""

    @property
    def now(self) -> datetime:
        """The instant of all that is decided."""
        ...

    @property
    def rulebook(self) -> Tables:
        """The tables at hand."""
        ...

    def get(self, incident_id: str) -> Incident | None:
        """An incident that is at hand."""
        ...

    def holder(self, key: str) -> Incident | None:
        """The incident that holds a key."""
        ...

    def supersede(self, incident: Incident) -> None:
        """A resolved incident lets go of its key."""
        ...

    def decide(self, incident_id: str, command: Command, policy: Policy | None = None) -> list[Entry]:
        """Decide and keep the outcome. ``policy`` is for an opening."""
        ...


def receive(ledger: Ledger, notifications: Sequence[Sequence[Heard]], new_id: NewId) -> list[int]:
    """Take in notifications one after the other; the alerts of each belong together.

    Returns how many alerts of each were news.
    """
    all_heard = [heard for notification in notifications for heard in notification]
    known = alerts.latest(ledger.tx, {heard.alert.fingerprint for heard in all_heard})
    ledger.load(
        ids={each.incident_id for each in known.values() if each.open and each.incident_id},
        keys={heard.verdict.key for heard in all_heard},
    )
    reception = Reception(ledger, new_id, known)
    news = [reception.take(notification) for notification in notifications]
    alerts.write(ledger.tx, reception.written, ledger.now)
    return news


class Reception:
    """The alert episodes of one transaction, as they were ``known`` and as they become."""

    def __init__(self, desk: Desk, new_id: NewId, known: Mapping[str, Known]) -> None:
        self._desk = desk
        self._new_id = new_id
        self._stored = known
        self._known: dict[str, Known] = dict(known)
        self._written: dict[tuple[str, object], Episode] = {}

    @property
    def known(self) -> Mapping[str, Known]:
        """The latest episode of each fingerprint, after what was taken in."""
        return self._known

    @property
    def written(self) -> list[Episode]:
        """The episodes that were news, in the order in which they were heard."""
        return list(self._written.values())

    def take(self, notification: Sequence[Heard]) -> int:
        """One notification: each incident hears its alerts of it at once. Returns how many were news."""
        groups: dict[str, list[Heard]] = {}
        for each in notification:
            heard = self._continued(each)
            if not self._is_no_news(heard):
                groups.setdefault(self._key(heard), []).append(heard)
        for key in sorted(groups):
            self._hear(key, groups[key])
        return sum(map(len, groups.values()))

    def _continued(self, heard: Heard) -> Heard:
        """An alert of the known episode bears that one's start, so that all that follows knows it for the same.

        So does a firing copy with an earlier start that comes so soon after the end that it may just be late: else
        each copy of a replica would be an episode that nobody closes.
        """
        known = self._known.get(heard.alert.fingerprint)
        if known and (heard.continues(known) or (heard.is_earlier_firing(known) and self._is_soon(known))):
            return heard._replace(alert=replace(heard.alert, starts_at=known.starts_at))
        return heard

    def _is_no_news(self, heard: Heard) -> bool:
        known = self._known.get(heard.alert.fingerprint)
        return known is not None and (heard.is_bygone(known) or heard.is_repeat_of(known))

    def _key(self, heard: Heard) -> str:
        """The key of the open incident that has the fingerprint, else the verdict's (model 3)."""
        known = self._known.get(heard.alert.fingerprint)
        incident = self._desk.get(known.incident_id) if known and known.incident_id else None
        return incident.key if incident and incident.resolved_at is None else heard.verdict.key

    def _hear(self, key: str, group: list[Heard]) -> None:
        desk = self._desk
        pairs = [(heard, heard.member(desk.now)) for heard in group]
        members = tuple(member for _, member in pairs)
        holder = desk.holder(key)
        if holder is not None and not takes(holder, members, desk.rulebook.policy(holder), desk.now):
            desk.supersede(holder)
            holder = None
        if holder is None:
            self._open(pairs)
            return
        desk.decide(holder.id, AlertsHeard(members, Identity(holder.id, holder.key, holder.system, holder.slo)))
        self._keep(group, holder.id)

    def _open(self, pairs: Sequence[tuple[Heard, Member]]) -> None:
        on_time = [pair for pair in pairs if not self._is_late(pair[0])]
        over = [heard for heard, member in on_time if not member.firing]
        ended = {(heard.alert.fingerprint, heard.alert.starts_at) for heard in over}
        fires = [(h, m) for h, m in on_time if m.firing and (m.fingerprint, m.starts_at) not in ended]
        firing = sorted(fires, key=lambda pair: urgency(pair[1]))
        self._keep(over, None)
        if firing:
            lead = firing[0][0].verdict
            identity = Identity(self._new_id(), lead.key, lead.system, lead.slo)
            policies = self._desk.rulebook.in_force.policies
            policy = policies.get(lead.policy) or policies[DEFAULT_POLICY]
            members = tuple(member for _, member in firing)
            self._desk.decide(identity.id, AlertsHeard(members, identity), policy)
            self._keep([heard for heard, _ in firing], identity.id)

    def _is_late(self, heard: Heard) -> bool:
        """A firing copy of an episode whose resolved came first and that no incident ever had (model 5)."""
        known = self._known.get(heard.alert.fingerprint)
        if known is None or known.starts_at != heard.alert.starts_at or known.incident_id:
            return False
        return heard.alert.firing and self._is_soon(known)

    def _is_soon(self, known: Known) -> bool:
        policy = self._desk.rulebook.in_force.policies[DEFAULT_POLICY]
        return known.closed_at is not None and is_late_copy(known.closed_at, self._desk.now, policy)

    def _keep(self, group: list[Heard], incident_id: str | None) -> None:
        incident = self._desk.get(incident_id) if incident_id else None
        for heard in sorted(group, key=_order):
            member = incident.members.get(heard.alert.fingerprint) if incident else None
            # A late copy that counts for nothing leaves its episode closed, as if it had never come.
            if member is None or member.firing or member.counts_at or not heard.alert.firing:
                # A waiting alert is to be looked at each time it is heard, so nothing counts as its repeat.
                self._note(heard, incident, 0 if member and member.counts_at else heard.digest)

    def _note(self, heard: Heard, incident: Incident | None, digest: int) -> None:
        alert, now = heard.alert, self._desk.now
        known, stored = self._known.get(alert.fingerprint), self._stored.get(alert.fingerprint)
        replaces = stored.starts_at if stored and stored.starts_at != alert.starts_at else None
        readings = alerts.readings(alert, known, now)
        incident_id = incident.id if incident else None
        episode = Episode(alert, heard.verdict, digest, incident_id, readings, replaces, first=stored is None)
        self._written.pop((alert.fingerprint, alert.starts_at), None)
        self._written[(alert.fingerprint, alert.starts_at)] = episode
        self._known[alert.fingerprint] = Known(
            fingerprint=alert.fingerprint,
            starts_at=alert.starts_at,
            begun_at=known.begun_at if known and known.starts_at == alert.starts_at else min(alert.starts_at, now),
            incident_id=episode.incident_id,
            firing=alert.firing,
            closed_at=None if alert.firing else now,
            digest=digest,
            open=incident is not None and incident.resolved_at is None,
            readings=readings,
        )


def _order(heard: Heard) -> tuple[object, ...]:
    """As the incident takes doubled alerts of one notification: by episode, firing before resolved."""
    return (heard.alert.fingerprint, heard.alert.starts_at, not heard.alert.firing)
