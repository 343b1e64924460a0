"""What a change of the tier does to levels and clocks (model 7, 13, 15, 16)."""

from dataclasses import dataclass
from datetime import datetime

from incidentd.incident.draft import Draft
from incidentd.incident.levels import start, step
from incidentd.incident.update import next_update
from incidentd.policy import Policy, TierPolicy
from incidentd.tier import Tier
from incidentd.timeline import TierRose


@dataclass(frozen=True, slots=True)
class Shift:
    """Where the levels and clocks stand under another tier. ``held``: its pages wait for the calendar to open."""

    level: int
    skipped: tuple[int, ...]
    next_at: datetime | None
    respond_by: datetime | None
    held: bool = False


def rise(draft: Draft, target: Tier, row: str, reason: str) -> None:
    """The tier rises by itself: the level stays, the clocks come closer."""
    to = closer(draft, draft.policy.tiers[target])
    before = draft.incident.tier
    update_at = next_update(draft, draft.policy.tiers[target])
    draft.add(
        TierRose(before, target, row, reason, to.level, to.next_at, to.respond_by, to.skipped, to.held, update_at)
    )


def closer(draft: Draft, tier: TierPolicy) -> Shift:
    """Under a more urgent tier: nothing comes later than it stands, and nobody is told whom an answer spares."""
    incident = draft.incident
    respond_by = _earlier(incident.respond_by, tier.response.deadline(draft.now, tier.calendar))
    if incident.acknowledgement:
        return Shift(incident.level, (), incident.next_at, respond_by, incident.held)
    if not _anybody(tier, incident.level):
        first = start(tier, draft.policy, draft.now, above=incident.level)
        if first.level > incident.level:
            return Shift(first.level, first.skipped, first.next_at, respond_by)
        return Shift(incident.level, (), _earlier(incident.next_at, first.next_at), respond_by)
    held = _must_wait(draft, tier)
    next_at = _after_step(draft, tier, incident.level, held=held)
    return Shift(incident.level, (), _earlier(incident.next_at, next_at), respond_by, held)


def calmer(draft: Draft, tier: TierPolicy) -> Shift:
    """Under a less urgent tier: level and response deadline stay, the next step comes at the calmer pace."""
    incident = draft.incident
    respond_by = incident.respond_by
    if incident.acknowledgement:
        return Shift(incident.level, (), incident.next_at, respond_by, incident.held)
    if not tier.levels:
        return Shift(incident.level, (), None, respond_by)
    if incident.level == 0:
        first = start(tier, draft.policy, draft.now)
        return Shift(first.level, first.skipped, first.next_at, respond_by)
    held = _must_wait(draft, tier)
    return Shift(incident.level, (), _after_step(draft, tier, incident.level, held=held), respond_by, held)


def _after_step(draft: Draft, tier: TierPolicy, level: int, *, held: bool) -> datetime:
    return tier.calendar.next_open(draft.now) if held else tier.calendar.add(draft.now, step(tier, level))


def _anybody(tier: TierPolicy, level: int) -> bool:
    return any(each.tell for each in tier.levels[:level])


def _must_wait(draft: Draft, tier: TierPolicy) -> bool:
    """Whether this change would wake somebody whom nothing has woken yet, outside the calendar."""
    if tier.calendar.is_open(draft.now):
        return False
    incident = draft.incident
    woken = frozenset() if incident.held else _woken(draft.tier, incident.level, draft.policy)
    return bool(_woken(tier, incident.level, draft.policy) - woken)


def _woken(tier: TierPolicy, level: int, policy: Policy) -> frozenset[tuple[int, str]]:
    told = ((number, name) for number, each in enumerate(tier.levels[:level], 1) for name in each.tell)
    return frozenset((number, name) for number, name in told if name in policy.pages)


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min((at for at in (first, second) if at is not None), default=None)
