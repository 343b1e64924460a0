"""A clock that was ahead is put right: the deadlines that it had set come back with it (model 40)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from incidentd.incident.apply import apply
from incidentd.incident.command import CorrectDeadlines
from incidentd.incident.draft import Draft
from incidentd.incident.state import Incident, State
from incidentd.timeline import ClockSetBack, Entry, Member

NEXT, RESPOND, ACKNOWLEDGED, HOLD, GRACE = "next_at", "respond_by", "acknowledged_until", "hold_until", "grace_until"
UPDATE = "update_at"


def set_after(entries: Iterable[Entry], horizon: datetime) -> frozenset[str]:
    """The deadlines, named as in ``ClockSetBack``, that an entry dated after ``horizon`` was the last to set."""
    incident: Incident | None = None
    set_at: dict[str, datetime] = {}
    for entry in entries:
        before = _deadlines(incident)
        incident = apply(incident, entry)
        set_at |= {name: entry.at for name, at in _deadlines(incident).items() if at != before.get(name)}
    return frozenset(name for name, at in set_at.items() if at > horizon)


def correct(draft: Draft, command: CorrectDeadlines) -> None:
    """Move what the false time has set. Nothing comes outside the calendar that it was set in."""
    incident = draft.incident
    by = command.by
    now = {name: at and at - by if name in command.deadlines else at for name, at in _deadlines(incident).items()}
    if incident.state is not State.RESOLVED:
        for name in (NEXT, RESPOND):
            at = now[name]
            now[name] = at and draft.tier.calendar.next_open(at) if name in command.deadlines else at
    alerts = tuple(_moved(member, by) for member in incident.members.values() if _is_false(member, draft.now))
    if alerts or now != _deadlines(incident) or _is_dated_ahead(incident, draft.now):
        draft.add(ClockSetBack(seconds=round(by.total_seconds()), alerts=alerts, **now))


def _deadlines(incident: Incident | None) -> dict[str, datetime | None]:
    """What stands. A snooze is none: a person named its end."""
    if incident is None:
        return {}
    answer = incident.acknowledgement
    return {
        NEXT: incident.next_at,
        RESPOND: incident.respond_by,
        ACKNOWLEDGED: None if answer is None or answer.snoozed else answer.until,
        HOLD: incident.hold_until,
        GRACE: incident.grace_until,
        UPDATE: incident.update_at,
    }


def _is_dated_ahead(incident: Incident, now: datetime) -> bool:
    dates = [incident.round_at, incident.recovering_at, incident.resolved_at]
    dates += [incident.acknowledgement.at] if incident.acknowledgement else []
    return any(at is not None and at > now for at in dates)


def _is_false(member: Member, now: datetime) -> bool:
    return member.closed_at is not None and member.closed_at > now


def _moved(member: Member, by: timedelta) -> Member:
    return replace(
        member,
        closed_at=member.closed_at and member.closed_at - by,
        counts_at=member.counts_at and member.counts_at - by,
    )
