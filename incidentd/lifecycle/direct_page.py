"""A page that is sent without the database: made of one notification and the rules in memory, nothing else."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from incidentd.alert import Alert
from incidentd.channels.pagerduty_event import dedup_key
from incidentd.classify import DEFAULT_POLICY
from incidentd.incident.audience import audience
from incidentd.incident.command import AlertsHeard, Identity
from incidentd.incident.decide import decision
from incidentd.incident.state import Incident
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.tier import Tier


@dataclass(frozen=True, slots=True)
class DirectPage:
    """``incident`` is the one that the alerts would open, without an id.

    ``dedup_key`` is the one that the first page of that incident would have: if it is opened later, both are one alert
    at the receiver (model 34). ``tried_at`` and ``paged_at``: when it was sent, and accepted, as far as this says.
    """

    destination: str
    slot: str
    dedup_key: str
    source: str
    incident: Incident
    alerts: tuple[Alert, ...]
    tried_at: datetime | None = None
    paged_at: datetime | None = None

    @property
    def name(self) -> str:
        """One for each alert at each receiver, fit for a file."""
        return hashlib.sha256(f"{self.destination}\n{self.dedup_key}".encode()).hexdigest()[:32]


_PAGE = TypeAdapter(DirectPage)


def dump(page: DirectPage) -> str:
    """As JSON."""
    return _PAGE.dump_json(page).decode()


def load(text: str) -> DirectPage:
    """From JSON.

    Raises:
        ValueError: it is none.
    """
    return _PAGE.validate_json(text)


def direct_pages(heard: Sequence[Heard], source: str, rulebook: Rulebook, now: datetime) -> list[DirectPage]:
    """The pages of the P0 incidents that these alerts would open if there were no others."""
    groups: dict[str, list[Heard]] = {}
    for each in heard:
        if each.alert.firing and each.quiet is None:
            groups.setdefault(each.verdict.key, []).append(each)
    return [page for group in groups.values() for page in _of_one(group, source, rulebook, now)]


def _of_one(group: Sequence[Heard], source: str, rulebook: Rulebook, now: datetime) -> list[DirectPage]:
    lead = min(group, key=lambda heard: heard.verdict.tier).verdict
    policies = rulebook.in_force.policies
    policy = policies.get(lead.policy) or policies[DEFAULT_POLICY]
    members = tuple(heard.member(now) for heard in group)
    incident = decision(None, AlertsHeard(members, Identity("", lead.key, lead.system, lead.slo)), policy, now).after
    if incident is None or incident.tier is not Tier.P0:
        return []
    alerts = tuple(heard.alert for heard in group)
    slots = sorted((slot.destination, slot.name) for slot in audience(incident, policy) if slot.paging)
    return [DirectPage(where, slot, dedup_key(incident, slot), source, incident, alerts) for where, slot in slots]


def is_own(incident: Incident | None, page: DirectPage) -> bool:
    """Whether this is the very alert that the incident has at the receiver, so that it goes on as its own."""
    if incident is None or incident.resolved_at is not None:
        return False
    return (incident.episode, incident.round) == (1, 1) and dedup_key(incident, page.slot) == page.dedup_key


def ended(incident: Incident, now: datetime) -> Incident:
    """The incident as it is told to a receiver that was paged in vain."""
    return replace(incident, resolved_at=now)
