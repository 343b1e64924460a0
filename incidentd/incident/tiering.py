"""How urgent an incident is by its alerts (model 6 and 7)."""

from incidentd.incident.state import Ceiling, Incident
from incidentd.tier import Tier, most_urgent
from incidentd.timeline import Member, Scope


def due_tier(incident: Incident) -> Tier:
    """The tier that the incident is to have now: it never falls by itself, and a person's ceiling binds."""
    firing = incident.firing
    if incident.ceiling or not firing:
        return incident.tier
    return min(incident.tier, natural_tier(firing))


def natural_tier(firing: tuple[Member, ...]) -> Tier:
    """The most urgent verdict of the firing alerts, raised by their scope rules."""
    raised = [scope.tier for scope in _scopes(firing) if len(regions_at(firing, scope)) >= scope.regions]
    return most_urgent([*(member.tier for member in firing), *raised])


def title_of(system: str, slo: str, firing: tuple[Member, ...]) -> str:
    """The deciding alert's title; where several regions each have their own, one that speaks for none of them."""
    regions = sorted({member.region for member in firing if member.region})
    if len(regions) < 2 or len({member.title for member in firing}) == 1:
        return firing[0].title
    return f"{system} {slo} in {', '.join(regions)}"


def because(firing: tuple[Member, ...]) -> str:
    """Why the tier is what it is: the deciding alert's numbers, and the scope where that decided."""
    lead = firing[0]
    for scope in sorted(_scopes(firing), key=lambda scope: (scope.tier, scope.minimum, scope.regions)):
        regions = regions_at(firing, scope)
        if scope.tier < lead.tier and len(regions) >= scope.regions:
            return f"{lead.reason}; {scope.minimum} or worse in {len(regions)} regions at once: {', '.join(regions)}"
    return lead.reason


def regions_at(firing: tuple[Member, ...], scope: Scope) -> list[str]:
    """The regions that count for a scope rule, sorted."""
    return sorted({m.region for m in firing if m.region and m.scope == scope and m.tier <= scope.minimum})


def lifts(member: Member, ceiling: Ceiling) -> bool:
    """Whether a firing alert is more than what a person knew when setting the tier."""
    return (
        (member.fingerprint, member.starts_at) not in ceiling.episodes
        or (member.region is not None and member.region not in ceiling.regions)
        or member.tier < ceiling.worst
    )


def _scopes(firing: tuple[Member, ...]) -> set[Scope]:
    return {member.scope for member in firing if member.scope}
