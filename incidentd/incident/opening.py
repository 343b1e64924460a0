"""An incident begins, or begins anew (model 1, 5, 22, 24)."""

from collections.abc import Iterable
from dataclasses import replace

from incidentd.incident.command import Identity
from incidentd.incident.draft import Draft
from incidentd.incident.join import ALERTMANAGER
from incidentd.incident.levels import start
from incidentd.incident.merge import is_over
from incidentd.incident.state import urgency
from incidentd.incident.tiering import because, lifts, natural_tier, title_of
from incidentd.tier import Tier
from incidentd.timeline import AlertsChanged, Member, Opened


def begin(draft: Draft, members: tuple[Member, ...], identity: Identity) -> None:
    """The first episode; nothing, where no alert fires."""
    if any(member.firing for member in members):
        _open(draft, members, identity, episode=1, round_=1)


def reopen(draft: Draft, changed: tuple[Member, ...]) -> None:
    """The next episode, with all that fires; nothing, where what fired has expired."""
    incident = draft.incident
    members = {**incident.members, **{member.fingerprint: member for member in changed}}
    news = {member.fingerprint for member in changed}
    heard = tuple(_unless_over(m, draft) for m in members.values() if m.firing or m.fingerprint in news)
    if any(member.firing for member in heard):
        identity = Identity(incident.id, incident.key, incident.system, incident.slo)
        _open(draft, heard, identity, episode=incident.episode + 1, round_=incident.round + 1)
    else:
        draft.add(AlertsChanged(heard), actor=ALERTMANAGER)


def _unless_over(member: Member, draft: Draft) -> Member:
    if member.firing and is_over(member, draft.now):
        return replace(member, firing=False, closed_at=draft.now, expires_at=None)
    return member


def _open(draft: Draft, members: Iterable[Member], identity: Identity, *, episode: int, round_: int) -> None:
    ordered = sorted(members, key=urgency)
    firing = tuple(member for member in ordered if member.firing)
    # Who has been told of it once is not left without news.
    observed = all(member.observed for member in firing) and (draft.before is None or draft.incident.observed)
    telling = draft.policy.for_next_round
    policy = draft.policy = telling.observing if observed else telling
    tier = _tier(draft, firing)
    tier_policy = policy.tiers[tier]
    first = start(tier_policy, policy, draft.now)
    draft.add(
        Opened(
            incident=identity.id,
            key=identity.key,
            title=title_of(identity.system, identity.slo, firing),
            system=identity.system,
            slo=identity.slo,
            tier=tier,
            row=firing[0].row,
            reason=because(firing),
            policy=policy.name,
            version=policy.version,
            episode=episode,
            round=round_,
            origin=min(member.starts_at for member in firing),
            alerts=(*firing, *(member for member in ordered if not member.firing)),
            level=first.level,
            skipped=first.skipped,
            next_at=first.next_at,
            respond_by=tier_policy.response.deadline(draft.now, tier_policy.calendar),
            observed=observed,
            update_at=draft.now + tier_policy.updates if tier_policy.updates else None,
        ),
        actor=ALERTMANAGER,
    )


def _tier(draft: Draft, firing: tuple[Member, ...]) -> Tier:
    ceiling = draft.incident.ceiling if draft.before else None
    if ceiling and not any(lifts(member, ceiling) for member in firing):
        return ceiling.tier
    return natural_tier(firing)
