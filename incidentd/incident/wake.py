"""The next instant at which time alone changes an incident (model 19)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from incidentd.incident.state import Incident, State

MOMENT = timedelta(microseconds=1)
"""An answer at exactly ``respond_by`` is in time (model 15): it is missed from the next moment on."""

APART = timedelta(minutes=1)
"""How long after other news an update comes at the earliest, unless it goes along with them."""


def wake_at(incident: Incident) -> datetime | None:
    """The earliest of the named clocks; None when only an event can change this incident."""
    return min(_clocks(incident), default=None)


def update_due(incident: Incident) -> datetime | None:
    """When what holds is said again if nothing else is told before; None while it isn't."""
    at, news_at = incident.update_at, incident.news_at
    return at if at is None or news_at is None else max(at, news_at + APART)


def _clocks(incident: Incident) -> Iterator[datetime]:
    yield from (member.counts_at for member in incident.members.values() if member.counts_at)
    if incident.state is State.RESOLVED:
        return
    yield from (m.expires_at for m in incident.members.values() if m.firing and m.expires_at)
    if update_at := update_due(incident):
        yield update_at
    if incident.responded_in_time is None and incident.respond_by:
        yield incident.respond_by + MOMENT
    if incident.state is State.RECOVERING and incident.hold_until:
        yield incident.hold_until
    elif incident.state is State.ACKNOWLEDGED and incident.acknowledgement and incident.acknowledgement.until:
        yield incident.acknowledgement.until
    elif incident.state is State.TRIGGERED and incident.next_at:
        yield incident.next_at
