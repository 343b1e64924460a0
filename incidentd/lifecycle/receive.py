"""A notification becomes incidents: leave out what is no news, group the rest by incident, decide."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from incidentd.incident.command import AlertsHeard, Identity
from incidentd.incident.hear import is_late_copy, takes
from incidentd.incident.state import urgency
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.rulebook import DEFAULT_POLICY
from incidentd.store import alerts
from incidentd.store.alerts import Episode, Known

NewId = Callable[[], str]


def receive(ledger: Ledger, notifications: Sequence[Sequence[Heard]], new_id: NewId) -> None:
    """Take in notifications one after the other; the alerts of each belong together."""
    reception = Reception(ledger, new_id)
    reception.prepare([heard for notification in notifications for heard in notification])
    for notification in notifications:
        reception.take(notification)
    reception.write()


class Reception:
    """The alert episodes of one transaction, as stored and as they become."""

    def __init__(self, ledger: Ledger, new_id: NewId) -> None:
        self._ledger = ledger
        self._new_id = new_id
        self._known: dict[str, Known] = {}
        self._written: dict[tuple[str, object], Episode] = {}

    def prepare(self, all_heard: Sequence[Heard]) -> None:
        """Read what all notifications need, in two statements."""
        self._known = alerts.latest(self._ledger.tx, {heard.alert.fingerprint for heard in all_heard})
        self._ledger.load(
            ids={known.incident_id for known in self._known.values() if known.open and known.incident_id},
            keys={heard.verdict.key for heard in all_heard},
        )

    def take(self, notification: Sequence[Heard]) -> None:
        """One notification: each incident hears its alerts of it at once."""
        groups: dict[str, list[Heard]] = {}
        for each in notification:
            heard = self._continued(each)
            if not self._is_no_news(heard):
                groups.setdefault(self._key(heard), []).append(heard)
        for key in sorted(groups):
            self._hear(key, groups[key])

    def write(self) -> None:
        """Store the episodes that were news."""
        alerts.write(self._ledger.tx, list(self._written.values()), self._ledger.now)

    def _continued(self, heard: Heard) -> Heard:
        """An alert that brings no start of its own goes on as the episode that fires already."""
        known = self._known.get(heard.alert.fingerprint)
        if heard.is_undated and known and known.open and known.firing:
            return replace(heard, alert=replace(heard.alert, starts_at=known.starts_at))
        return heard

    def _is_no_news(self, heard: Heard) -> bool:
        known = self._known.get(heard.alert.fingerprint)
        return known is not None and (heard.alert.starts_at < known.starts_at or heard.is_repeat_of(known))

    def _key(self, heard: Heard) -> str:
        """The key of the open incident that has the fingerprint, else the verdict's (model 3)."""
        known = self._known.get(heard.alert.fingerprint)
        incident = self._ledger.get(known.incident_id) if known and known.incident_id else None
        return incident.key if incident and incident.resolved_at is None else heard.verdict.key

    def _hear(self, key: str, group: list[Heard]) -> None:
        ledger = self._ledger
        members = tuple(heard.member(ledger.now) for heard in group)
        holder = ledger.holder(key)
        if holder is not None and not takes(holder, members, ledger.rulebook.policy(holder), ledger.now):
            ledger.supersede(holder)
            holder = None
        if holder is None:
            self._open(group)
            return
        ledger.decide(holder.id, AlertsHeard(members, Identity(holder.id, holder.key, holder.system, holder.slo)))
        self._keep(group, holder.id)

    def _open(self, group: list[Heard]) -> None:
        on_time = [heard for heard in group if not self._is_late(heard)]
        firing = sorted((h for h in on_time if h.alert.firing), key=lambda h: urgency(h.member(self._ledger.now)))
        self._keep([heard for heard in on_time if not heard.alert.firing], None)
        if firing:
            lead = firing[0].verdict
            identity = Identity(self._new_id(), lead.key, lead.system, lead.slo)
            policies = self._ledger.rulebook.in_force.policies
            policy = policies.get(lead.policy) or policies[DEFAULT_POLICY]
            members = tuple(heard.member(self._ledger.now) for heard in firing)
            self._ledger.decide(identity.id, AlertsHeard(members, identity), policy)
            self._keep(firing, identity.id)

    def _is_late(self, heard: Heard) -> bool:
        """A firing copy of an episode whose resolved came first and that no incident ever had (model 5)."""
        known = self._known.get(heard.alert.fingerprint)
        if known is None or known.starts_at != heard.alert.starts_at or known.incident_id or not known.closed_at:
            return False
        policy = self._ledger.rulebook.in_force.policies[DEFAULT_POLICY]
        return heard.alert.firing and is_late_copy(known.closed_at, self._ledger.now, policy)

    def _keep(self, group: list[Heard], incident_id: str | None) -> None:
        incident = self._ledger.get(incident_id) if incident_id else None
        for heard in group:
            alert = heard.alert
            member = incident.members.get(alert.fingerprint) if incident else None
            # A waiting alert is to be looked at each time it is heard, so nothing counts as its repeat.
            digest = 0 if member and member.counts_at else heard.digest
            known = self._known.get(alert.fingerprint)
            episode = Episode(alert, heard.verdict, digest, incident_id, known)
            self._written[(alert.fingerprint, alert.starts_at)] = episode
            self._known[alert.fingerprint] = Known(
                fingerprint=alert.fingerprint,
                starts_at=alert.starts_at,
                incident_id=incident_id,
                firing=alert.firing,
                closed_at=None if alert.firing else self._ledger.now,
                digest=digest,
                open=incident is not None and incident.resolved_at is None,
                readings=alerts.readings(episode, self._ledger.now),
            )
