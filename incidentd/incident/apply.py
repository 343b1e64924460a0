"""The state after an entry. Needs no policy: every deadline stands in the entry itself."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from incidentd.incident.state import Acknowledgement, Ceiling, Incident
from incidentd.incident.tiering import because, lifts, title_of
from incidentd.tier import Tier
from incidentd.timeline import (
    Accepted,
    Acknowledged,
    AlertsChanged,
    ClockSetBack,
    DeliveryFailed,
    Ended,
    Entry,
    FellBack,
    FiringAgain,
    GaveUp,
    LevelReached,
    Member,
    Noted,
    Opened,
    PagedDirectly,
    Prolonged,
    Reconciled,
    Recovering,
    Reminded,
    Resolved,
    ResponseMissed,
    RoundBegan,
    Silenced,
    Stale,
    TakenOver,
    TierRose,
    TierSet,
    Told,
    Unanswered,
    Unknown,
    Updated,
)


def apply(incident: Incident | None, entry: Entry) -> Incident:
    """The state after ``entry``.

    Raises:
        ValueError: the entry is not the next one, or a story does not begin with its opening.
    """
    if incident is None:
        if not isinstance(entry.data, Opened) or entry.number != 1:
            raise ValueError("a story begins with entry 1, its opening")
        return _opened(None, entry, entry.data)
    if entry.number != incident.last + 1:
        raise ValueError(f"entry {entry.number} does not follow {incident.last}")
    if entry.data.told is Told.NO:
        return _step(replace(incident, last=entry.number), entry)
    news_at = entry.at if incident.update_at else incident.news_at
    return _step(replace(incident, last=entry.number, news=entry.number, news_at=news_at), entry)


def fold(entries: Iterable[Entry]) -> Incident:
    """The state after all of an incident's entries, in order.

    Raises:
        ValueError: there are none, or one is out of order.
    """
    incident: Incident | None = None
    for entry in entries:
        incident = apply(incident, entry)
    if incident is None:
        raise ValueError("a story has at least its opening")
    return incident


def _step(incident: Incident, entry: Entry) -> Incident:
    match entry.data:
        case Opened() as data:
            return _opened(incident, entry, data)
        case AlertsChanged(alerts=alerts) | Prolonged(alerts=alerts):
            return _with_alerts(incident, alerts)
        case TierRose() as data:
            return _tiered(incident, data)
        case TierSet() as data:
            return _set_by_person(incident, entry, data)
        case Acknowledged() as data:
            return _acknowledged(incident, entry, data)
        case TakenOver(until=until):
            return replace(incident, acknowledgement=_cover(incident, entry, until))
        case RoundBegan() as data:
            return _round(incident, entry, data)
        case LevelReached() as data:
            return _levelled(incident, data)
        case Unanswered(last=last, next_at=next_at):
            return replace(incident, exhausted=last, next_at=next_at)
        case Reminded(count=count, next_at=next_at):
            return replace(incident, reminders=count, next_at=next_at)
        case Updated(count=count, next_at=next_at):
            return replace(incident, updates=count, update_at=next_at)
        case ResponseMissed():
            return replace(incident, responded_in_time=False)
        case Recovering(hold_until=hold_until):
            return replace(incident, recovering_at=entry.at, hold_until=hold_until)
        case FiringAgain(acknowledged_until=until):
            return _until(replace(incident, recovering_at=None, hold_until=None), until)
        case Resolved() as data:
            return _resolved(incident, entry, data)
        case Noted(acknowledged_until=until):
            return _until(incident, until)
        case ClockSetBack() as data:
            return _set_back(incident, entry, data)
        case Accepted(paged=paged, round=round_):
            return replace(incident, paged_round=max(incident.paged_round, round_)) if paged else incident
        case FellBack(destination=destination, fallback=fallback):
            stand_ins = incident.stand_ins | {(destination, fallback)}
            return replace(incident, fallbacks=incident.fallbacks | {fallback}, stand_ins=stand_ins)
        case Silenced(alerts=alerts, why=why):
            return replace(incident, silenced=frozenset(alerts), silence=why)
        case Stale():
            return replace(incident, stale_at=entry.at)
        case DeliveryFailed() | GaveUp() | PagedDirectly() | Reconciled() | Unknown():
            return incident
        case _ as never:
            assert_never(never)


def _opened(before: Incident | None, entry: Entry, data: Opened) -> Incident:
    return Incident(
        id=data.incident,
        key=data.key,
        title=data.title,
        system=data.system,
        slo=data.slo,
        tier=data.tier,
        row=data.row,
        reason=data.reason,
        policy=data.policy,
        version=data.version,
        opened_at=before.opened_at if before else entry.at,
        episode=data.episode,
        episode_at=entry.at,
        origin=data.origin,
        last=entry.number,
        news=entry.number,
        round=data.round,
        round_at=entry.at,
        level=data.level,
        told_level=data.level,
        paged_round=before.paged_round if before else 0,
        next_at=data.next_at,
        respond_by=data.respond_by,
        ceiling=before.ceiling if before and not _any_lifts(data.alerts, before.ceiling) else None,
        members={**_remembered(before), **{member.fingerprint: member for member in data.alerts}},
        seen_regions=_regions(data.alerts),
        followers=_followers(data.alerts),
        unread=before.unread if before else {},
        observed=data.observed,
        update_at=data.update_at,
    )


def _remembered(before: Incident | None) -> dict[str, Member]:
    """What ended during the last episode, or waits: a late copy must not pass for news (model 5, 23)."""
    if before is None:
        return {}
    since = before.episode_at
    members = before.members.items()
    return {name: m for name, m in members if not m.firing and (m.counts_at or (m.closed_at and m.closed_at >= since))}


def _with_alerts(incident: Incident, alerts: tuple[Member, ...]) -> Incident:
    after = replace(
        incident,
        members={**incident.members, **{member.fingerprint: member for member in alerts}},
        seen_regions=incident.seen_regions | _regions(alerts),
        followers=incident.followers | _followers(alerts),
        ceiling=None if _any_lifts(alerts, incident.ceiling) else incident.ceiling,
    )
    firing = after.firing
    after = _still_silenced(after)
    if not firing:
        return after
    return replace(after, title=title_of(after.system, after.slo, firing), row=firing[0].row, reason=because(firing))


def _still_silenced(incident: Incident) -> Incident:
    """A silence is told of as long as an alert under it fires."""
    if not incident.silenced:
        return incident
    still = incident.silenced & {member.fingerprint for member in incident.firing}
    return replace(incident, silenced=still, silence=incident.silence if still else "")


def _tiered(incident: Incident, data: TierRose | TierSet) -> Incident:
    return replace(
        incident,
        tier=data.tier,
        level=data.level,
        told_level=data.level,
        repeat=0,
        held=data.held,
        exhausted=False,
        next_at=data.next_at,
        respond_by=data.respond_by,
        update_at=data.update_at,
    )


def _set_by_person(incident: Incident, entry: Entry, data: TierSet) -> Incident:
    known = [member for member in incident.members.values() if _known(member, incident)]
    ceiling = Ceiling(
        tier=data.tier,
        by=entry.actor,
        worst=min((member.tier for member in known), default=Tier.P3),
        episodes=frozenset((member.fingerprint, member.starts_at) for member in known),
        regions=incident.seen_regions,
    )
    after = _until(replace(_tiered(incident, data), ceiling=ceiling), data.acknowledged_until)
    if after.acknowledgement is None:
        return after
    return replace(after, acknowledgement=replace(after.acknowledgement, tier=data.tier))


def _known(member: Member, incident: Incident) -> bool:
    """Whether an alert has fired in this episode of the incident; perhaps it will again."""
    closed = member.closed_at is None or member.closed_at >= incident.episode_at
    return member.announced and (member.firing or member.counts_at is not None or closed)


def _acknowledged(incident: Incident, entry: Entry, data: Acknowledged) -> Incident:
    return replace(
        incident,
        acknowledgement=_cover(incident, entry, data.until, snoozed=data.snoozed),
        responded_in_time=incident.responded_in_time if data.in_time is None else data.in_time,
    )


def _cover(incident: Incident, entry: Entry, until: datetime | None, *, snoozed: bool = False) -> Acknowledgement:
    return Acknowledgement(entry.actor, entry.at, until, incident.tier, incident.seen_regions, snoozed)


def _until(incident: Incident, until: datetime | None) -> Incident:
    if incident.acknowledgement is None:
        return incident
    return replace(incident, acknowledgement=replace(incident.acknowledgement, until=until))


def _regions(alerts: tuple[Member, ...]) -> frozenset[str]:
    return frozenset(member.region for member in alerts if member.firing and member.region)


def _followers(alerts: tuple[Member, ...]) -> frozenset[str]:
    return frozenset(name for member in alerts if member.firing for name in member.destinations)


def _any_lifts(alerts: tuple[Member, ...], ceiling: Ceiling | None) -> bool:
    return ceiling is not None and any(member.firing and lifts(member, ceiling) for member in alerts)


def _round(incident: Incident, entry: Entry, data: RoundBegan) -> Incident:
    enforced = data.why is Ended.ENFORCED
    return replace(
        incident,
        observed=incident.observed and not enforced,
        members=_told_of(incident.members) if enforced else incident.members,
        respond_by=data.respond_by if enforced else incident.respond_by,
        round=data.round,
        round_at=entry.at,
        attempt=data.attempt,
        exhausted=False,
        reminders=0,
        policy=data.policy,
        version=data.version,
        level=data.level,
        told_level=data.level,
        repeat=0,
        repeats=0,
        held=False,
        next_at=data.next_at,
        acknowledgement=None,
        update_at=data.update_at,
    )


def _told_of(members: Mapping[str, Member]) -> dict[str, Member]:
    """Observing has ended for all of them: hearing so of one again is no news."""
    return {name: replace(member, observed=False) for name, member in members.items()}


def _levelled(incident: Incident, data: LevelReached) -> Incident:
    return replace(
        incident,
        level=max(incident.level, data.level),
        told_level=data.level,
        repeat=data.repeat,
        repeats=max(incident.repeats, data.repeat),
        held=data.held,
        attempt=1 if data.by_person and incident.acknowledgement else incident.attempt,
        next_at=data.next_at,
        exhausted=False,
        acknowledgement=None if data.by_person else incident.acknowledgement,
    )


def _set_back(incident: Incident, entry: Entry, data: ClockSetBack) -> Incident:
    """What lies ahead of the true time was dated by the false one."""

    def back(at: datetime) -> datetime:
        return at - timedelta(seconds=data.seconds) if at > entry.at else at

    answer = incident.acknowledgement
    if answer is not None:
        until = answer.until if answer.snoozed else data.acknowledged_until
        answer = replace(answer, at=back(answer.at), until=until)
    return replace(
        incident,
        opened_at=back(incident.opened_at),
        episode_at=back(incident.episode_at),
        round_at=back(incident.round_at),
        recovering_at=incident.recovering_at and back(incident.recovering_at),
        resolved_at=incident.resolved_at and back(incident.resolved_at),
        next_at=data.next_at,
        respond_by=data.respond_by,
        hold_until=data.hold_until,
        grace_until=data.grace_until,
        update_at=data.update_at,
        acknowledgement=answer,
        members={**incident.members, **{member.fingerprint: member for member in data.alerts}},
    )


def _resolved(incident: Incident, entry: Entry, data: Resolved) -> Incident:
    return replace(
        incident,
        members=_waiting_until(incident.members, data.grace_until),
        resolved_at=entry.at,
        resolved_by=entry.actor if data.by_person else None,
        grace_until=data.grace_until,
        responded_in_time=incident.responded_in_time if data.in_time is None else data.in_time,
        recovering_at=None,
        hold_until=None,
        next_at=None,
        update_at=None,
        silenced=frozenset(),
        silence="",
    )


def _waiting_until(members: Mapping[str, Member], grace_until: datetime | None) -> Mapping[str, Member]:
    """Alerts that wait to count wait for the grace's end too (model 24)."""
    if grace_until is None:
        return members
    return {
        name: replace(m, counts_at=max(m.counts_at, grace_until)) if m.counts_at else m for name, m in members.items()
    }
