"""What the alerts just heard mean for an incident (model 5, 6, 7, 21 to 26, 30)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from incidentd.incident.command import AlertsHeard, Identity
from incidentd.incident.draft import Draft
from incidentd.incident.levels import begin_round, rise, start
from incidentd.incident.state import Incident, State, urgency
from incidentd.incident.tiering import because, due_tier, lifts, natural_tier
from incidentd.policy import Policy
from incidentd.tier import Tier
from incidentd.timeline import (
    AlertsChanged,
    Ended,
    FiringAgain,
    Member,
    Opened,
    Recovering,
    Resolved,
)

EXPIRY_STEP = timedelta(minutes=1)
"""A repeat moves an expiring alert's end only when it gains this much: repeats are to write next to nothing."""


def hear(draft: Draft, heard: AlertsHeard) -> None:
    """Take in alerts as received and classified; the order within one notification doesn't matter."""
    alerts = in_order(heard.alerts)
    if draft.before is None:
        firing = tuple({alert.fingerprint: alert for alert in alerts if alert.firing}.values())
        if firing:
            _open(draft, firing, heard.identity, episode=1, round_=1)
    elif draft.incident.state is State.RESOLVED:
        _hear_when_resolved(draft, alerts)
    else:
        join(draft, _news(draft, alerts))


def takes(incident: Incident, alerts: Iterable[Member], policy: Policy, now: datetime) -> bool:
    """Whether the incident that holds the key takes these alerts, or a new one is to be opened (model 2, 22, 24)."""
    if incident.resolved_at is None or now <= incident.resolved_at + policy.reopen_window:
        return True
    return not any(alert.firing and not _known(incident, alert) for alert in alerts)


def is_late_copy(closed_at: datetime, now: datetime, policy: Policy) -> bool:
    """Whether a firing copy came so soon after its episode's resolve that it may just be late (model 5, 23)."""
    return now < closed_at + policy.late_copy


def in_order(alerts: Iterable[Member]) -> list[Member]:
    """One order for the alerts of one notification: by episode, firing before resolved."""
    return sorted(alerts, key=lambda alert: (alert.fingerprint, alert.starts_at, not alert.firing))


def join(draft: Draft, changed: tuple[Member, ...]) -> None:
    """Alerts of an open incident changed: tier, scope, acknowledgement and recovery follow."""
    if not changed:
        return
    seen = draft.incident.seen_regions
    joined = tuple(sorted({m.region for m in changed if m.firing and m.region and m.region not in seen}))
    draft.add(AlertsChanged(changed, joined), actor="alertmanager")
    incident = draft.incident
    if incident.state is State.RECOVERING and incident.firing:
        draft.add(FiringAgain(_paused_until(draft)))
    _follow_tier(draft, joined)
    recover(draft)


def recover(draft: Draft) -> None:
    """Begin the hold-down when no alert fires any more (model 21)."""
    incident = draft.incident
    if incident.firing or incident.state in (State.RECOVERING, State.RESOLVED):
        return
    if draft.policy.hold_down:
        draft.add(Recovering(draft.now + draft.policy.hold_down))
    else:
        draft.add(Resolved(by_person=False))


def reopen(draft: Draft, counting: tuple[Member, ...]) -> None:
    """The incident's next episode, with all that fires (model 22, 24)."""
    incident = draft.incident
    members = {**incident.members, **{member.fingerprint: member for member in counting}}
    firing = tuple(replace(m, counts_at=None) for m in members.values() if m.firing)
    identity = Identity(incident.id, incident.key, incident.system, incident.slo)
    _open(draft, firing, identity, episode=incident.episode + 1, round_=incident.round + 1)


def _open(draft: Draft, firing: tuple[Member, ...], identity: Identity, *, episode: int, round_: int) -> None:
    policy = draft.policy = draft.policy.for_next_round
    ordered = tuple(sorted(firing, key=urgency))
    lead = ordered[0]
    tier = _opening_tier(draft, ordered)
    tier_policy = policy.tiers[tier]
    begin = start(tier_policy, policy, draft.now)
    draft.add(
        Opened(
            incident=identity.id,
            key=identity.key,
            title=lead.title,
            system=identity.system,
            slo=identity.slo,
            tier=tier,
            row=lead.row,
            reason=because(ordered),
            policy=policy.name,
            version=policy.version,
            episode=episode,
            round=round_,
            origin=min(member.starts_at for member in ordered),
            alerts=ordered,
            level=begin.level,
            skipped=begin.skipped,
            next_at=begin.next_at,
            respond_by=tier_policy.response.deadline(draft.now, tier_policy.calendar),
        ),
        actor="alertmanager",
    )


def _opening_tier(draft: Draft, firing: tuple[Member, ...]) -> Tier:
    ceiling = draft.before.ceiling if draft.before else None
    if ceiling and not any(lifts(member, ceiling) for member in firing):
        return ceiling.tier
    return natural_tier(firing)


def _hear_when_resolved(draft: Draft, alerts: list[Member]) -> None:
    incident = draft.incident
    changed = _news(draft, alerts)
    if incident.grace_until and draft.now < incident.grace_until:
        changed = tuple(_wait(m, incident.grace_until) for m in changed if not _known_firing(incident, m))
        counting: tuple[Member, ...] = ()
    else:
        again = [alert for alert in alerts if _known_firing(incident, alert)]
        counting = (*(member for member in changed if member.firing), *again)
    if counting:
        reopen(draft, (*changed, *counting))
    elif changed:
        draft.add(AlertsChanged(changed), actor="alertmanager")


def _wait(member: Member, until: datetime) -> Member:
    """A problem that begins in a person's grace waits for its end; it is never discarded."""
    return replace(member, firing=False, counts_at=until) if member.firing else member


def _news(draft: Draft, alerts: Iterable[Member]) -> tuple[Member, ...]:
    members = dict(draft.incident.members)
    for alert in alerts:
        merged = _merge(members.get(alert.fingerprint), alert, draft)
        if merged is not None:
            members[alert.fingerprint] = merged
    before = draft.incident.members
    return tuple(m for fingerprint, m in sorted(members.items()) if before.get(fingerprint) != m)


def _merge(known: Member | None, heard: Member, draft: Draft) -> Member | None:
    if known is None or heard.starts_at > known.starts_at:
        return heard if heard.firing else replace(heard, announced=False, closed_at=draft.now)
    if heard.starts_at < known.starts_at:
        return None
    if not heard.firing:
        return _closed(known, draft.now)
    return _reclassified(known, heard) if known.firing else _fired_again(known, heard, draft)


def _closed(known: Member, now: datetime) -> Member | None:
    if known.firing or known.counts_at:
        return replace(known, firing=False, counts_at=None, expires_at=None, closed_at=now)
    return None


def _reclassified(known: Member, heard: Member) -> Member | None:
    """Only a changed verdict is news (model 30); an expiring alert lives on with each repeat."""
    verdict = (heard.tier, heard.row, heard.scope, heard.destinations, heard.region)
    lives_on = heard.expires_at and known.expires_at and heard.expires_at - known.expires_at >= EXPIRY_STEP
    if lives_on or verdict != (
        known.tier,
        known.row,
        known.scope,
        known.destinations,
        known.region,
    ):
        return heard
    return None


def _fired_again(known: Member, heard: Member, draft: Draft) -> Member | None:
    closed_at = known.closed_at or draft.now
    if not is_late_copy(closed_at, draft.now, draft.policy):
        return heard
    if not known.announced or known.counts_at:
        return None
    counts_at = draft.incident.hold_until or closed_at + draft.policy.hold_down
    return replace(heard, firing=False, counts_at=counts_at, closed_at=closed_at) if counts_at > draft.now else heard


def _follow_tier(draft: Draft, joined: tuple[str, ...]) -> None:
    incident = draft.incident
    target = due_tier(incident)
    acknowledgement = incident.acknowledgement
    rose = target < incident.tier
    if rose:
        lead = incident.firing[0]
        rise(draft, target, lead.row, because(incident.firing))
    if acknowledgement and (rose or joined):
        begin_round(draft, Ended.VOIDED, difference=_difference(incident, target, joined))


def _difference(incident: Incident, target: Tier, joined: tuple[str, ...]) -> str:
    said = [f"{incident.tier} became {target}"] if target < incident.tier else []
    return "; ".join([*said, *(f"region {region} joined" for region in joined)])


def _paused_until(draft: Draft) -> datetime | None:
    """A lapse stands still while recovering (model 21)."""
    incident = draft.incident
    if incident.acknowledgement is None or incident.acknowledgement.until is None or incident.recovering_at is None:
        return None
    return incident.acknowledgement.until + (draft.now - incident.recovering_at)


def _known(incident: Incident, alert: Member) -> bool:
    member = incident.members.get(alert.fingerprint)
    return incident.resolved_by is not None and member is not None and member.starts_at == alert.starts_at


def _known_firing(incident: Incident, alert: Member) -> bool:
    member = incident.members.get(alert.fingerprint)
    return alert.firing and member is not None and member.firing and member.starts_at == alert.starts_at
