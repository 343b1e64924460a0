"""What follows for an open incident when its alerts change (model 6, 7, 13, 21, 26)."""

from datetime import datetime

from incidentd.incident.draft import Draft
from incidentd.incident.enforce import enforce
from incidentd.incident.levels import begin_round, lapse
from incidentd.incident.merge import lives_on
from incidentd.incident.shift import rise
from incidentd.incident.state import Incident, State
from incidentd.incident.tiering import because, due_tier
from incidentd.tier import Tier
from incidentd.timeline import AlertsChanged, Ended, FiringAgain, Member, Prolonged, Recovering, Resolved

ALERTMANAGER = "alertmanager"


def join(draft: Draft, changed: tuple[Member, ...], actor: str = ALERTMANAGER, due_at: datetime | None = None) -> None:
    """Alerts of an open incident changed: recovery, tier, scope and acknowledgement follow."""
    if not changed:
        return
    known, seen = draft.incident.members, draft.incident.seen_regions
    joined = tuple(sorted({m.region for m in changed if m.firing and m.region and m.region not in seen}))
    only_live_on = all(lives_on(known.get(member.fingerprint), member) for member in changed)
    draft.add(Prolonged(changed) if only_live_on else AlertsChanged(changed, joined), actor, due_at)
    incident = draft.incident
    if incident.state is State.RECOVERING and incident.firing:
        draft.add(FiringAgain(_paused_until(draft)))
        lapse(draft)
    _follow_tier(draft, joined)
    _enforce(draft)
    _recover(draft)


def _enforce(draft: Draft) -> None:
    """Observing has ended: from the first alert that counts in full, people are told as of one that opens now."""
    if any(not member.observed for member in draft.incident.firing):
        enforce(draft)


def _recover(draft: Draft) -> None:
    """Begin the hold-down when no alert fires any more."""
    incident = draft.incident
    if incident.firing or incident.state in (State.RECOVERING, State.RESOLVED):
        return
    if draft.policy.hold_down:
        draft.add(Recovering(draft.now + draft.policy.hold_down))
    else:
        draft.add(Resolved(by_person=False))


def _follow_tier(draft: Draft, joined: tuple[str, ...]) -> None:
    incident = draft.incident
    target = due_tier(incident)
    rose = target < incident.tier
    if rose:
        rise(draft, target, incident.firing[0].row, because(incident.firing))
    if incident.acknowledgement and (rose or joined):
        begin_round(draft, Ended.VOIDED, difference=_difference(incident, target, joined))


def _difference(incident: Incident, target: Tier, joined: tuple[str, ...]) -> str:
    said = [f"{incident.tier} became {target}"] if target < incident.tier else []
    return "; ".join([*said, *(f"region {region} joined" for region in joined)])


def _paused_until(draft: Draft) -> datetime | None:
    """A lapse stands still while recovering; a snooze ends when it was said to."""
    incident = draft.incident
    has = incident.acknowledgement
    if has is None or has.until is None or incident.recovering_at is None:
        return None
    return has.until if has.snoozed else has.until + (draft.now - incident.recovering_at)
