"""What reports need of an incident when its timeline is gone: one line for each episode."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from incidentd.incident.apply import apply
from incidentd.incident.slot import parse_page_slot
from incidentd.incident.state import Incident
from incidentd.tier import Tier
from incidentd.timeline import Accepted, Acknowledged, Entry, Opened, Resolved


@dataclass(frozen=True, slots=True)
class Summary:
    """One episode of an incident, from opening or reopening to resolved.

    ``tier`` is its last one, ``level`` the highest reached, ``acknowledged_at`` the first answer, ``in_time`` whether
    that was within the response time (None: nobody was asked in vain). ``pages`` counts those that receivers accepted.
    """

    incident: str
    episode: int
    key: str
    system: str
    slo: str
    tier: Tier
    opened_at: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    in_time: bool | None
    level: int
    pages: int


@dataclass(slots=True)
class _Count:
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    level: int = 0


def summarise(entries: Iterable[Entry]) -> list[Summary]:
    """The episodes of one incident, whose entries these are, in order.

    Raises:
        ValueError: as ``fold``.
    """
    incident: Incident | None = None
    states: dict[int, tuple[Incident, _Count]] = {}
    pages: dict[int, int] = {}
    for entry in entries:
        incident = apply(incident, entry)
        count = _Count() if isinstance(entry.data, Opened) else states[incident.episode][1]
        _count(count, entry, incident)
        states[incident.episode] = (incident, count)
        if isinstance(entry.data, Accepted) and entry.data.paged:
            episode = parse_page_slot(entry.data.slot).episode
            pages[episode] = pages.get(episode, 0) + 1
    return [_summary(number, *states[number], pages.get(number, 0)) for number in sorted(states)]


def _count(count: _Count, entry: Entry, incident: Incident) -> None:
    count.level = max(count.level, incident.level)
    if isinstance(entry.data, Acknowledged) and count.acknowledged_at is None:
        count.acknowledged_at = entry.at
    if isinstance(entry.data, Resolved):
        count.resolved_at = entry.at


def _summary(episode: int, incident: Incident, count: _Count, pages: int) -> Summary:
    return Summary(
        incident=incident.id,
        episode=episode,
        key=incident.key,
        system=incident.system,
        slo=incident.slo,
        tier=incident.tier,
        opened_at=incident.episode_at,
        acknowledged_at=count.acknowledged_at,
        resolved_at=count.resolved_at,
        in_time=incident.responded_in_time,
        level=count.level,
        pages=pages,
    )
