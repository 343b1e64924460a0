"""Incidents kept in memory, under one table: what a transaction's ledger is to the product."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from incidentd.classify import DEFAULT_POLICY, Rules
from incidentd.incident.command import Command
from incidentd.incident.decide import decision
from incidentd.incident.state import Incident
from incidentd.policy import Policy
from incidentd.timeline import Entry


@dataclass(frozen=True, slots=True)
class Step:
    """One decision that came to something. ``policy`` is the one that it was made under."""

    at: datetime
    before: Incident | None
    after: Incident
    entries: tuple[Entry, ...]
    policy: Policy


@dataclass(frozen=True, slots=True)
class OneTable:
    """The only table that there is: nothing newer comes into force."""

    in_force: Rules

    def policy(self, incident: Incident) -> Policy:
        """What the incident follows."""
        return self.named(incident.policy)

    def named(self, name: str) -> Policy:
        """A policy, or the default one in place of one that the table lacks."""
        policies = self.in_force.policies
        return policies.get(name) or policies[DEFAULT_POLICY]


class Book:
    """A ``Desk``. Its clock, ``now``, is set by whoever replays."""

    def __init__(self, rules: Rules, now: datetime) -> None:
        self.now = now
        self.rulebook = OneTable(rules)
        self._incidents: dict[str, Incident] = {}
        self._holders: dict[str, str] = {}
        self._steps: list[Step] = []

    def get(self, incident_id: str) -> Incident | None:
        """The incident as it stands; None once another one has taken its key."""
        return self._incidents.get(incident_id)

    def holder(self, key: str) -> Incident | None:
        """The incident that holds a key."""
        holder = self._holders.get(key)
        return self._incidents[holder] if holder else None

    def supersede(self, incident: Incident) -> None:
        """It lets go of its key. Nothing can open it again, so it need not be kept."""
        del self._holders[incident.key]
        del self._incidents[incident.id]

    def decide(self, incident_id: str, command: Command, policy: Policy | None = None) -> list[Entry]:
        """Decide, and keep what it came to.

        Raises:
            RefusedError: as ``decide`` does; nothing is kept then.
        """
        before = self._incidents.get(incident_id)
        if policy is None:
            policy = self.rulebook.policy(self._incidents[incident_id])
        draft = decision(before, command, policy, self.now)
        if draft.after is not None and draft.entries:
            self._incidents[incident_id] = draft.after
            self._holders[draft.after.key] = incident_id
            self._steps.append(Step(self.now, before, draft.after, tuple(draft.entries), draft.policy))
        return draft.entries

    def taken(self) -> Iterator[Step]:
        """The steps since this was last asked, in their order."""
        steps, self._steps = self._steps, []
        yield from steps
