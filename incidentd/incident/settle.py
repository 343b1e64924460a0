"""What time alone has brought, in its fixed order (model 11), before any command is looked at."""

from dataclasses import replace
from datetime import datetime

from incidentd.incident.draft import Draft
from incidentd.incident.join import join
from incidentd.incident.levels import lapse
from incidentd.incident.merge import is_over
from incidentd.incident.opening import reopen
from incidentd.incident.state import State
from incidentd.timeline import MACHINE, AlertsChanged, Member, Resolved, ResponseMissed


def settle(draft: Draft) -> None:
    """Alerts that expired or count from now on, hold-down and grace over, acknowledgement lapsed, response missed."""
    _turn_alerts(draft)
    _hold_down_over(draft)
    lapse(draft)
    _miss(draft, draft.now)


def _turn_alerts(draft: Draft) -> None:
    """Alerts that fired again too soon after their resolve, or in a grace, count (model 23, 24); others expire."""
    incident, now = draft.incident, draft.now
    resolved = incident.state is State.RESOLVED
    due = [(at, m) for m in incident.members.values() if (at := _turns_at(m, resolved=resolved)) and at <= now]
    if not due:
        return
    turned = tuple(_turned(member, now) for _, member in due)
    due_at = min(at for at, _ in due)
    if not resolved:
        join(draft, turned, MACHINE, due_at)
    elif any(member.firing for member in turned):
        reopen(draft, turned)
    else:
        draft.add(AlertsChanged(turned), due_at=due_at)


def _turns_at(member: Member, *, resolved: bool) -> datetime | None:
    if member.firing:
        return None if resolved else member.expires_at
    return member.counts_at


def _turned(member: Member, now: datetime) -> Member:
    if is_over(member, now):
        return replace(member, firing=False, counts_at=None, closed_at=now, expires_at=None)
    return replace(member, firing=True, counts_at=None, closed_at=None)


def _hold_down_over(draft: Draft) -> None:
    incident = draft.incident
    due = incident.hold_until
    if incident.state is State.RECOVERING and due is not None and due <= draft.now:
        _miss(draft, due)
        draft.add(Resolved(by_person=False), due_at=due)


def _miss(draft: Draft, at: datetime) -> None:
    incident = draft.incident
    due = incident.respond_by
    if incident.state is not State.RESOLVED and incident.responded_in_time is None and due is not None and due < at:
        draft.add(ResponseMissed(), due_at=due)
