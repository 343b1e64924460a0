"""What an incident is at one instant: the fold of its entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from incidentd.tier import Tier
from incidentd.timeline import Member


class State(StrEnum):
    """Derived from facts, so that contradictory states can't exist."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RECOVERING = "recovering"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who answered and what that covers (model 26). ``until`` None: it does not lapse.

    A snooze ends at its own time; a lapse stands still while no alert fires.
    """

    by: str
    at: datetime
    until: datetime | None
    tier: Tier
    regions: frozenset[str]
    snoozed: bool = False


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A tier that a person set: it binds the alerts and regions known then (model 7)."""

    tier: Tier
    by: str
    worst: Tier
    episodes: frozenset[tuple[str, datetime]]
    regions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Incident:
    """State after entry number ``last``; ``news`` is the last entry that people are to be told.

    ``round`` counts rounds of this episode, ``attempt`` the rounds since somebody last answered.
    ``level`` is the highest level reached in this round, ``told_level`` and ``repeat`` the one told last,
    ``repeats`` how often in this round a level was told again. ``held``: pages wait for the calendar to open.
    ``followers`` are the destinations that the rows of this episode's alerts name; ``stand_ins`` pairs each
    destination that failed with its fallback. ``silenced`` are the firing alerts of which Alertmanager tells nobody,
    and ``silence`` says why; ``stale_at`` is when people were last asked about an alert that nothing is heard of.
    ``unread`` are facts that a newer version stored and this one doesn't know, as JSON by name: they are kept.
    ``observed``: it is only recorded, and nobody is told of it. ``update_at`` is when what holds is said again, for the
    ``updates`` + 1st time; where it is, ``news_at`` is when people were last told anything.
    """

    id: str
    key: str
    title: str
    system: str
    slo: str
    tier: Tier
    row: str
    reason: str
    policy: str
    version: str
    opened_at: datetime
    episode: int
    episode_at: datetime
    origin: datetime
    last: int
    news: int
    round: int
    round_at: datetime
    attempt: int = 1
    exhausted: bool = False
    reminders: int = 0
    level: int = 0
    told_level: int = 0
    repeat: int = 0
    repeats: int = 0
    held: bool = False
    paged_round: int = 0
    fallbacks: frozenset[str] = frozenset()
    stand_ins: frozenset[tuple[str, str]] = frozenset()
    followers: frozenset[str] = frozenset()
    next_at: datetime | None = None
    respond_by: datetime | None = None
    responded_in_time: bool | None = None
    acknowledgement: Acknowledgement | None = None
    ceiling: Ceiling | None = None
    recovering_at: datetime | None = None
    hold_until: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    grace_until: datetime | None = None
    members: Mapping[str, Member] = field(default_factory=dict)
    seen_regions: frozenset[str] = frozenset()
    silenced: frozenset[str] = frozenset()
    silence: str = ""
    stale_at: datetime | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    observed: bool = False
    update_at: datetime | None = None
    updates: int = 0
    news_at: datetime | None = None

    @property
    def state(self) -> State:
        """triggered, acknowledged, recovering or resolved (model 20)."""
        if self.resolved_at is not None:
            return State.RESOLVED
        if self.recovering_at is not None:
            return State.RECOVERING
        return State.TRIGGERED if self.acknowledgement is None else State.ACKNOWLEDGED

    @property
    def firing(self) -> tuple[Member, ...]:
        """The alerts that fire, most urgent first; the first one decides."""
        return tuple(sorted((m for m in self.members.values() if m.firing), key=urgency))

    @property
    def scope(self) -> tuple[str, ...]:
        """The regions that fire now, sorted."""
        return tuple(sorted({m.region for m in self.members.values() if m.firing and m.region}))


def urgency(member: Member) -> tuple[Tier, str, str]:
    """Sort key: the most urgent alert first, ties broken the same way whatever the order of arrival."""
    return (member.tier, member.row, member.fingerprint)
