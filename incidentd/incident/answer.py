"""What people ask of an incident (model 7, 18, 24 to 29)."""

from datetime import datetime

from incidentd.errors import RefusedError
from incidentd.incident.command import (
    Acknowledge,
    ChangeTier,
    Escalate,
    Note,
    Resolve,
    StartOver,
    TakeOver,
)
from incidentd.incident.draft import Draft
from incidentd.incident.levels import begin_round, last_level, next_level
from incidentd.incident.shift import calmer, closer
from incidentd.incident.state import Incident, State
from incidentd.incident.update import next_update
from incidentd.policy import TierPolicy
from incidentd.timeline import (
    Acknowledged,
    Ended,
    LevelReached,
    Noted,
    Resolved,
    TakenOver,
    TierSet,
)


def acknowledge(draft: Draft, command: Acknowledge) -> None:
    """The first answer wins; the same person's again changes nothing.

    Raises:
        RefusedError: resolved, of an older episode, somebody else has it, or a snooze that lies in the past.
    """
    incident = draft.incident
    if _is_late(incident, command.dated_at, command.round):
        return
    _refuse_stale(incident, command.episode)
    _refuse_resolved(incident)
    if command.until is not None and command.until <= draft.now:
        raise RefusedError("past", "the snooze would end in the past")
    has = incident.acknowledgement
    if has and has.by != command.by:
        raise RefusedError("taken", f"{has.by} has acknowledged this incident already")
    if has and command.until is None:
        return
    until = command.until or draft.lapse()
    draft.add(Acknowledged(command.via, until, _in_time(draft), snoozed=command.until is not None), command.by)


def take_over(draft: Draft, command: TakeOver) -> None:
    """The incident passes to another person; where nobody has it, this is an acknowledgement."""
    has = draft.incident.acknowledgement
    if has is None:
        acknowledge(draft, Acknowledge(command.by, command.via, episode=command.episode))
        return
    _refuse_stale(draft.incident, command.episode)
    _refuse_resolved(draft.incident)
    if has.by != command.by:
        draft.add(TakenOver(has.by, draft.lapse()), command.by)


def resolve(draft: Draft, command: Resolve) -> None:
    """A person says that it is over; while alerts fire, a grace begins (model 24)."""
    incident = draft.incident
    if _is_late(incident, command.dated_at, command.round):
        return
    _refuse_stale(incident, command.episode)
    if incident.state is State.RESOLVED:
        if incident.resolved_by == command.by:
            return
        raise RefusedError("resolved", f"this incident is resolved already{_by(incident)}")
    fires = incident.firing or any(member.counts_at for member in incident.members.values())
    grace_until = draft.now + draft.policy.grace if fires else None
    draft.add(Resolved(True, _in_time(draft), grace_until, command.via), command.by)


def escalate(draft: Draft, command: Escalate) -> None:
    """The next level now, with its full duration; at the top, the top again (model 18)."""
    incident = draft.incident
    _refuse_stale(incident, command.episode)
    _refuse_resolved(incident)
    if incident.state is State.RECOVERING:
        raise RefusedError("recovering", "no alert fires at present; there is nobody to wake")
    if incident.observed:
        raise RefusedError("observed", "the rules only observe this system; nobody is told of its incidents")
    number, skipped, again = _above(draft)
    level = draft.tier.levels[min(number, len(draft.tier.levels)) - 1]
    draft.add(
        LevelReached(
            level=number,
            name=level.name,
            round=incident.round,
            next_at=draft.tier.calendar.add(draft.now, level.duration),
            skipped=skipped,
            repeat=incident.repeats + 1 if again else 0,
            by_person=True,
        ),
        command.by,
    )


def _above(draft: Draft) -> tuple[int, tuple[int, ...], bool]:
    """The level that an escalation tells, those that it skips, and whether it was told before."""
    incident = draft.incident
    if incident.held:
        return incident.level, (), False
    number, skipped = next_level(draft.tier, incident.level)
    if number is not None:
        return number, skipped, False
    number = last_level(draft.tier)
    if number is None:
        raise RefusedError("nobody", f"{incident.tier} has no level at which anybody could be told")
    return number, (), True


def change_tier(draft: Draft, command: ChangeTier) -> None:
    """A person sets the tier either way (model 7); a raise voids another person's acknowledgement."""
    incident = draft.incident
    _refuse_resolved(incident)
    if command.tier == incident.tier:
        return
    raised = command.tier < incident.tier
    target = draft.policy.tiers[command.tier]
    to = closer(draft, target) if raised else calmer(draft, target)
    has = incident.acknowledgement
    until = _worked(draft, target)
    draft.add(
        TierSet(
            before=incident.tier,
            tier=command.tier,
            reason=command.reason,
            level=to.level,
            next_at=to.next_at,
            respond_by=to.respond_by,
            acknowledged_until=until,
            skipped=to.skipped,
            held=to.held,
            update_at=next_update(draft, target),
        ),
        command.by,
    )
    if raised and has and has.by != command.by:
        begin_round(draft, Ended.VOIDED, difference=f"{incident.tier} became {command.tier}")


def note(draft: Draft, command: Note) -> None:
    """A note is a sign of work: it puts off the lapse (model 27), unless it was written before this round."""
    has = draft.incident.acknowledgement
    late = _is_late(draft.incident, command.dated_at, None)
    draft.add(Noted(command.text, has.until if late and has else _worked(draft, draft.tier)), command.by)


def start_over(draft: Draft, command: StartOver) -> None:
    """What a paging service withdrew: an acknowledgement, or by automation the page itself (model 28)."""
    incident = draft.incident
    if command.round not in (None, incident.round) or _is_late(incident, command.dated_at, command.round):
        return
    if command.automation and incident.state in (State.TRIGGERED, State.ACKNOWLEDGED):
        begin_round(draft, Ended.RESOLVED_BY_AUTOMATION)
    elif not command.automation and incident.acknowledgement and incident.state is not State.RESOLVED:
        begin_round(draft, Ended.WITHDRAWN, difference=f"withdrawn by {command.by}")


def _worked(draft: Draft, tier: TierPolicy) -> datetime | None:
    """A sign of work puts off the lapse, and never brings a longer snooze nearer."""
    has = draft.incident.acknowledgement
    if has is None:
        return None
    lapse = draft.lapse(tier)
    return max(lapse or has.until, has.until) if has.snoozed and has.until else lapse


def _in_time(draft: Draft) -> bool | None:
    """Met, unless that was decided before. Time has been settled already, so undecided means in time."""
    incident = draft.incident
    return None if incident.responded_in_time is not None or incident.respond_by is None else True


def _is_late(incident: Incident, dated_at: datetime | None, round_: int | None) -> bool:
    """Whether this was done before the round began (model 28).

    What was done to a page of this round was done in it, whatever the third party's clock says.
    """
    return dated_at is not None and round_ != incident.round and dated_at < incident.round_at


def _refuse_stale(incident: Incident, episode: int | None) -> None:
    if episode is not None and episode != incident.episode:
        raise RefusedError("stale", "this button belongs to an earlier episode of the incident")


def _refuse_resolved(incident: Incident) -> None:
    if incident.state is State.RESOLVED:
        raise RefusedError("resolved", f"this incident is resolved{_by(incident)}")


def _by(incident: Incident) -> str:
    return f", by {incident.resolved_by}" if incident.resolved_by else ""
