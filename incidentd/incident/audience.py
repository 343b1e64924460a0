"""Who is to follow an incident, and in which slot (model 31)."""

from incidentd.incident.slot import PageSlot, Slot
from incidentd.incident.state import Incident
from incidentd.policy import Policy, TierPolicy


def audience(incident: Incident, policy: Policy) -> set[Slot]:
    """The slots that must exist now. Those of earlier rounds stay as they are until they are brought to their end."""
    tier = policy.tiers[incident.tier]
    told = {name: f"e{incident.episode}" for name in _followers(incident, tier) if name not in policy.pages}
    posts = {Slot(name, slot, paging=False) for name, slot in told.items()}
    return posts | {
        Slot(name, str(slot), paging=True)
        for slot in _page_slots(incident)
        for name in _told_at(tier, slot.level)
        if name in policy.pages
    }


def _followers(incident: Incident, tier: TierPolicy) -> set[str]:
    rows = {name for member in incident.members.values() for name in member.destinations}
    levels = {name for number in range(1, incident.level + 1) for name in _told_at(tier, number)}
    return {*tier.opening, *levels, *rows, *incident.fallbacks}


def _page_slots(incident: Incident) -> list[PageSlot]:
    slots = [PageSlot(incident.episode, incident.round, level) for level in range(1, incident.level + 1)]
    if incident.repeat:
        slots.append(PageSlot(incident.episode, incident.round, incident.told_level, incident.repeat))
    return slots


def _told_at(tier: TierPolicy, level: int) -> tuple[str, ...]:
    return tier.levels[level - 1].tell if level <= len(tier.levels) else ()
