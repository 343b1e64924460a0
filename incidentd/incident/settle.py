"""What time alone has brought, in its fixed order (model 11), before any command is looked at."""

from dataclasses import replace
from datetime import datetime

from incidentd.incident.draft import Draft
from incidentd.incident.hear import join, recover, reopen
from incidentd.incident.levels import begin_round
from incidentd.incident.state import State
from incidentd.timeline import AlertsChanged, Ended, Member, Resolved, ResponseMissed


def settle(draft: Draft) -> None:
    """Expired alerts, waiting alerts, hold-down and grace over, acknowledgement lapsed, response missed."""
    _expire(draft)
    _count(draft)
    _hold_down_over(draft)
    _lapse(draft)
    _miss(draft, draft.now)


def _expire(draft: Draft) -> None:
    if draft.incident.state is State.RESOLVED:
        return
    over = [m for m in draft.incident.members.values() if m.firing and m.expires_at and m.expires_at <= draft.now]
    if over:
        ended = tuple(replace(m, firing=False, closed_at=draft.now, expires_at=None) for m in over)
        draft.add(AlertsChanged(ended), due_at=min(m.expires_at for m in over if m.expires_at))
        recover(draft)


def _count(draft: Draft) -> None:
    """Alerts that fired again too soon after their resolve, or in a grace, count from now on (model 23, 24)."""
    waiting = [m for m in draft.incident.members.values() if m.counts_at and m.counts_at <= draft.now]
    if not waiting:
        return
    counting = tuple(_counted(member) for member in waiting)
    if draft.incident.state is State.RESOLVED:
        reopen(draft, counting)
    else:
        join(draft, counting)


def _counted(member: Member) -> Member:
    return replace(member, firing=True, counts_at=None, closed_at=None)


def _hold_down_over(draft: Draft) -> None:
    incident = draft.incident
    due = incident.hold_until
    if incident.state is State.RECOVERING and due is not None and due <= draft.now:
        _miss(draft, due)
        draft.add(Resolved(by_person=False), due_at=due)


def _lapse(draft: Draft) -> None:
    incident = draft.incident
    if incident.state is not State.ACKNOWLEDGED or incident.acknowledgement is None:
        return
    until = incident.acknowledgement.until
    if until is not None and until <= draft.now:
        begin_round(draft, Ended.LAPSED, difference=f"{incident.acknowledgement.by} was not heard of again", due=until)


def _miss(draft: Draft, at: datetime) -> None:
    incident = draft.incident
    due = incident.respond_by
    if incident.state is not State.RESOLVED and incident.responded_in_time is None and due is not None and due < at:
        draft.add(ResponseMissed(), due_at=due)
