"""One alert's latest episode, as the notifications so far give it (model 4, 5, 23, 30)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from incidentd.incident.draft import Draft
from incidentd.timeline import Member

EXPIRY_STEP = timedelta(minutes=1)
"""A repeat moves an expiring alert's end only when it gains this much: repeats are to write next to nothing.

So an alert that is to end after 30 quiet minutes ends after 20 to 30 of them.
"""


def merged(
    known: Mapping[str, Member], heard: Iterable[Member], draft: Draft, hold_until: datetime | None
) -> tuple[Member, ...]:
    """The members that one notification adds or changes, by fingerprint, whatever order its alerts came in."""
    changed: dict[str, Member] = {}
    for alert in sorted(heard, key=_order):
        member = _merge(changed.get(alert.fingerprint) or known.get(alert.fingerprint), alert, draft, hold_until)
        if member is not None:
            changed[alert.fingerprint] = member
    return tuple(
        changed[fingerprint] for fingerprint in sorted(changed) if changed[fingerprint] != known.get(fingerprint)
    )


def _order(alert: Member) -> tuple[object, ...]:
    """By episode, firing before resolved; of doubled ones the most urgent last, so that it stays."""
    verdict = (alert.row, alert.reason, alert.title, alert.region or "", alert.destinations)
    return (alert.fingerprint, alert.starts_at, not alert.firing, -alert.tier.rank, verdict)


def _merge(known: Member | None, heard: Member, draft: Draft, hold_until: datetime | None) -> Member | None:
    if known is None or heard.starts_at > known.starts_at:
        return heard if heard.firing else replace(heard, announced=False, closed_at=draft.now)
    if heard.starts_at < known.starts_at:
        return _merge_earlier(known, heard, draft, hold_until)
    if not heard.firing:
        return _closed(known, draft.now)
    return _reclassified(known, heard) if known.firing else _fired_again(known, heard, draft, hold_until)


def _merge_earlier(known: Member, heard: Member, draft: Draft, hold_until: datetime | None) -> Member | None:
    """A start that moved back: an old end is no news, and what fires is the known episode unless that is over.

    An end that speaks of the known episode bears its start already: only the receiver knows when it ended.
    """
    if not heard.firing:
        return None
    if known.firing:
        return _reclassified(known, replace(heard, starts_at=known.starts_at))
    late = draft.now < (known.closed_at or draft.now) + draft.policy.late_copy
    same = replace(heard, starts_at=known.starts_at) if late or known.counts_at else heard
    return _fired_again(known, same, draft, hold_until)


def _closed(known: Member, now: datetime) -> Member | None:
    if known.firing or known.counts_at:
        return replace(known, firing=False, counts_at=None, expires_at=None, closed_at=now)
    return None


def _reclassified(known: Member, heard: Member) -> Member | None:
    """Only a changed verdict is news; an expiring alert lives on with each repeat."""
    later = heard.expires_at and known.expires_at and heard.expires_at - known.expires_at >= EXPIRY_STEP
    return heard if later or _verdict(heard) != _verdict(known) else None


def lives_on(before: Member | None, after: Member) -> bool:
    """Whether an alert that changed only ends later than it would have."""
    if before is None or not before.firing or not after.firing:
        return False
    return before.starts_at == after.starts_at and _verdict(before) == _verdict(after)


def _verdict(member: Member) -> tuple[object, ...]:
    return (member.tier, member.row, member.scope, member.destinations, member.region, member.observed)


def _fired_again(known: Member, heard: Member, draft: Draft, hold_until: datetime | None) -> Member | None:
    """An episode fires that was resolved: perhaps a late copy, perhaps its sender is back.

    One that was never announced is a late copy. Another waits for the hold-down's end, and counts if it still stands.
    """
    policy = draft.policy
    closed_at = known.closed_at or draft.now
    if draft.now >= closed_at + policy.late_copy:
        return heard
    if not known.announced or known.counts_at:
        return None
    counts_at = hold_until or closed_at + policy.hold_down
    return replace(heard, firing=False, counts_at=counts_at, closed_at=closed_at) if counts_at > draft.now else heard


def is_over(member: Member, now: datetime) -> bool:
    """Whether nobody will resolve this alert and its time is up."""
    return member.expires_at is not None and member.expires_at <= now
