"""While an incident is open, what holds is said again at intervals, whether anything changed or not (model 19)."""

from datetime import datetime

from incidentd.incident.draft import Draft
from incidentd.incident.state import Incident
from incidentd.incident.wake import update_due
from incidentd.policy import TierPolicy
from incidentd.timeline import Told, Updated


def next_update(draft: Draft, tier: TierPolicy) -> datetime | None:
    """When an open incident's next update comes under this tier: never later than it stands, if there is one at all."""
    if tier.updates is None:
        return None
    at = draft.now + tier.updates
    return min(draft.incident.update_at or at, at)


def update(draft: Draft) -> None:
    """Say what holds, once, when it is time: along with other news, or else a while after the last of them.

    The clock stands still for nothing but the end of the incident: not for an answer, and not outside the calendar.
    """
    incident = draft.incident
    at = incident.update_at
    if at is None or at > draft.now:
        return
    due_at = (update_due(draft.before) if draft.before else None) or at
    if due_at <= draft.now or any(entry.data.told is not Told.NO for entry in draft.entries):
        draft.add(_standing(incident, _next(draft, at)), due_at=min(due_at, draft.now))


def _next(draft: Draft, at: datetime) -> datetime | None:
    """On its timetable, at least half of its time away: what was missed is not made up for."""
    every = draft.tier.updates
    if every is None:
        return None
    following = at + every * ((draft.now - at) // every + 1)
    return following if following - draft.now >= every / 2 else following + every


def _standing(incident: Incident, next_at: datetime | None) -> Updated:
    answer = incident.acknowledgement
    return Updated(
        count=incident.updates + 1,
        next_at=next_at,
        tier=incident.tier,
        since=incident.episode_at,
        level=incident.told_level or incident.level,
        by=answer.by if answer else "",
        snoozed_until=answer.until if answer and answer.snoozed else None,
        alerts=len(incident.firing),
        regions=incident.scope,
        reason=incident.reason,
    )
