"""When it is night, and where: a page at night costs more than one by day."""

from datetime import UTC, datetime, time, tzinfo

from incidentd.classify import Rules
from incidentd.policy import TierPolicy

BEGINS, ENDS = time(22, 0), time(7, 0)
"""Local time: from the one until just before the other, people sleep."""


def is_night(at: datetime, zone: tzinfo) -> bool:
    """Whether people there sleep at this instant."""
    local = at.astimezone(zone).time()
    return local >= BEGINS or local < ENDS


def zone_of(rules: Rules, tier: TierPolicy, level: int) -> tzinfo:
    """Where those of a level live: as ``people`` says, else the zone of the tier's calendar, else UTC."""
    person = rules.people.get(level)
    if person is not None and person.zone is not None:
        return person.zone
    return UTC if tier.calendar.always else tier.calendar.zone


def name_of(zone: tzinfo) -> str:
    """``Europe/Warsaw``, ``UTC``."""
    return str(zone)
