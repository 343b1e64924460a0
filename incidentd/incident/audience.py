"""Who is to follow an incident, and in which slot (model 31)."""

from incidentd.incident.slot import PageSlot, Slot
from incidentd.incident.state import Incident
from incidentd.policy import Policy, TierPolicy


def audience(incident: Incident, policy: Policy) -> set[Slot]:
    """The slots that must exist now. Those of earlier rounds stay as they are until they are brought to their end.

    None for one that is only observed, whoever its rows name.
    """
    if incident.observed:
        return set()
    tier = policy.tiers[incident.tier]
    readers = _readers(incident, tier) - policy.pages
    return {Slot(name, f"e{incident.episode}", paging=False) for name in readers} | {
        Slot(name, str(slot), paging=True)
        for slot in _page_slots(incident)
        for name in _with_stand_ins(incident, _stand_at(incident, tier, slot.level)) & policy.pages
    }


def _readers(incident: Incident, tier: TierPolicy) -> set[str]:
    levels = {name for number in range(1, incident.level + 1) for name in _told_at(tier, number)}
    return {*tier.opening, *levels, *incident.followers, *incident.fallbacks}


def _page_slots(incident: Incident) -> list[PageSlot]:
    if incident.held:
        return []
    slots = [PageSlot(incident.episode, incident.round, level) for level in range(1, incident.level + 1)]
    if incident.repeat:
        slots.append(PageSlot(incident.episode, incident.round, incident.told_level, incident.repeat))
    return slots


def _stand_at(incident: Incident, tier: TierPolicy, level: int) -> set[str]:
    """Whom a level tells; those to be told at once are told with the first, where they are woken by pages."""
    at_once = {*tier.opening, *incident.followers} if level == 1 else set()
    return at_once.union(_told_at(tier, level))


def _with_stand_ins(incident: Incident, names: set[str]) -> set[str]:
    return names | {fallback for failed, fallback in incident.stand_ins if failed in names}


def _told_at(tier: TierPolicy, level: int) -> tuple[str, ...]:
    return tier.levels[level - 1].tell if level <= len(tier.levels) else ()
