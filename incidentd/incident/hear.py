"""What the alerts just heard mean for an incident (model 2, 5, 22 to 24)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from incidentd.incident.command import AlertsHeard
from incidentd.incident.draft import Draft
from incidentd.incident.join import ALERTMANAGER, join
from incidentd.incident.merge import merged
from incidentd.incident.opening import begin, reopen
from incidentd.incident.state import Incident, State
from incidentd.policy import Policy
from incidentd.timeline import AlertsChanged, Member


def hear(draft: Draft, heard: AlertsHeard) -> None:
    """Take in alerts as received and classified; the order within one notification doesn't matter."""
    if draft.before is None:
        begin(draft, merged({}, heard.alerts, draft, None), heard.identity)
        return
    incident = draft.incident
    changed = merged(incident.members, heard.alerts, draft, incident.hold_until)
    if incident.state is not State.RESOLVED:
        join(draft, changed)
    elif incident.grace_until and draft.now < incident.grace_until:
        _hear_in_grace(draft, changed, incident.grace_until)
    else:
        _hear_when_resolved(draft, heard.alerts, changed)


def takes(incident: Incident, alerts: Iterable[Member], policy: Policy, now: datetime) -> bool:
    """Whether the incident that holds the key takes these alerts, or a new one is to be opened (model 2, 22, 24).

    One that waits to go on by itself takes them at any time: else two incidents would hold the key. What was only
    observed is not reopened by what people are told of, nor the other way round, unless a person's resolve holds it.
    """
    if incident.resolved_at is None or any(member.counts_at for member in incident.members.values()):
        return True
    firing = [alert for alert in alerts if alert.firing]
    in_grace = incident.grace_until is not None and now < incident.grace_until
    if firing and not in_grace and all(alert.observed for alert in firing) != incident.observed:
        return False
    if now <= incident.resolved_at + policy.reopen_window:
        return True
    return all(_known(incident, alert) for alert in firing)


def is_late_copy(closed_at: datetime, now: datetime, policy: Policy) -> bool:
    """Whether a firing copy came so soon after its episode's resolve that it may just be late (model 5, 23)."""
    return now < closed_at + policy.late_copy


def _hear_in_grace(draft: Draft, changed: tuple[Member, ...], until: datetime) -> None:
    """What the person resolved over goes on unheard; what begins only now waits for the grace's end."""
    members = draft.incident.members
    waiting = tuple(_wait(member, until) for member in changed if not _fires_already(members, member))
    if waiting:
        draft.add(AlertsChanged(waiting), actor=ALERTMANAGER)


def _hear_when_resolved(draft: Draft, alerts: Iterable[Member], changed: tuple[Member, ...]) -> None:
    before = draft.incident.members
    after = {**before, **{member.fingerprint: member for member in changed}}
    again = any(_fires_already(before, alert) and _fires_already(after, alert) for alert in alerts)
    if again or any(member.firing for member in changed):
        reopen(draft, changed)
    elif changed:
        draft.add(AlertsChanged(changed), actor=ALERTMANAGER)


def _wait(member: Member, until: datetime) -> Member:
    """It is never discarded."""
    if member.firing or member.counts_at:
        return replace(member, firing=False, counts_at=until)
    return member


def _known(incident: Incident, alert: Member) -> bool:
    member = incident.members.get(alert.fingerprint)
    return incident.resolved_by is not None and member is not None and _is_of(member, alert)


def _fires_already(members: Mapping[str, Member], alert: Member) -> bool:
    member = members.get(alert.fingerprint)
    return alert.firing and member is not None and member.firing and _is_of(member, alert)


def _is_of(member: Member, alert: Member) -> bool:
    """Whether a firing alert is the episode that the incident has; its start may have moved back (model 4)."""
    return member.starts_at == alert.starts_at or (member.firing and alert.starts_at < member.starts_at)
