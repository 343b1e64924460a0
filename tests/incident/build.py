"""Policies, alerts and stories: an incident's life in a few words, without a database or a clock."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from incidentd.calendars import ALWAYS, Calendar
from incidentd.incident.apply import apply
from incidentd.incident.audience import audience
from incidentd.incident.command import (
    Acknowledge,
    AlertsHeard,
    ChangeTier,
    Command,
    Escalate,
    Identity,
    Note,
    Resolve,
    StartOver,
    TakeOver,
    Tick,
)
from incidentd.incident.decide import decide
from incidentd.incident.slot import Slot
from incidentd.incident.state import Incident, State
from incidentd.incident.wake import wake_at
from incidentd.policy import Level, Policy, ResponseTime, TierPolicy
from incidentd.tier import Tier
from incidentd.timeline import Data, Entry, Member, Scope

Kind = TypeVar("Kind", bound=Data)

MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

PAGES = frozenset({"page-engineer", "page-manager", "page-cto"})
BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar("office", BERLIN, frozenset(range(5)), time(9, 0), time(17, 0))
WEEKDAYS = Calendar("weekdays", BERLIN, frozenset(range(5)))
GLOBAL = Scope(minimum=Tier.P1, regions=2, tier=Tier.P0)


def levels(minutes: Iterable[float], *, paged: bool = True) -> tuple[Level, ...]:
    """Engineer, manager and CTO with these durations, paged or told in Slack by name."""
    who = ("engineer", "manager", "cto")
    told = [(f"page-{name}", "incidents") if paged else (f"slack-{name}",) for name in who]
    return tuple(Level(who[n], timedelta(minutes=each), told[n]) for n, each in enumerate(minutes))


def tiers(*, calendar: Calendar = ALWAYS) -> dict[Tier, TierPolicy]:
    """The defaults of the model, with P0 to P2 in the calendar given."""
    return {
        Tier.P0: TierPolicy(
            ResponseTime(5 * MINUTE), 30 * MINUTE, ("incidents", "management"), levels((5, 10, 15)), calendar
        ),
        Tier.P1: TierPolicy(ResponseTime(15 * MINUTE), HOUR, ("incidents",), levels((15, 15, 30)), calendar),
        Tier.P2: TierPolicy(ResponseTime(HOUR), 8 * HOUR, ("incidents",), levels((60, 60), paged=False), calendar),
        Tier.P3: TierPolicy(ResponseTime(days=1), None, ("tickets",), (), WEEKDAYS),
    }


def policy(
    changed: Mapping[Tier, TierPolicy] | None = None,
    *,
    calendar: Calendar = ALWAYS,
    version: str = "v1",
    hold_down: timedelta = 5 * MINUTE,
) -> Policy:
    """The default policy, some tiers of it changed."""
    return Policy(
        name="default",
        version=version,
        tiers={**tiers(calendar=calendar), **(changed or {})},
        pages=PAGES,
        hold_down=hold_down,
    )


def with_levels(which: Tier, *told: tuple[str, ...], minutes: Iterable[float] | None = None) -> Policy:
    """The default policy with other people at a tier's levels; an empty tuple is a level of nobody."""
    before = tiers()[which]
    durations = (
        [timedelta(minutes=each) for each in minutes] if minutes else [level.duration for level in before.levels]
    )
    new = tuple(Level(f"level-{n}", durations[n], tell) for n, tell in enumerate(told))
    return policy({which: replace(before, levels=new)})


def member(
    name: str = "a",
    *,
    tier: Tier = Tier.P1,
    firing: bool = True,
    started: datetime = MONDAY_NOON,
    region: str | None = None,
    scope: Scope | None = None,
    row: str = "row",
    reason: str = "",
    destinations: tuple[str, ...] = (),
    expires_at: datetime | None = None,
) -> Member:
    """One alert, classified."""
    return Member(
        fingerprint=name,
        starts_at=started,
        firing=firing,
        tier=tier,
        row=row,
        reason=reason or f"{name} breached",
        title=f"{name} is broken",
        region=region,
        scope=scope,
        destinations=destinations,
        expires_at=expires_at,
    )


class Story:
    """One incident's life. Every decision is applied, and what it told is kept with the instant it did."""

    def __init__(self, policy_: Policy | None = None, *, at: datetime = MONDAY_NOON) -> None:
        self.in_force = policy_ or policy()
        self.now = at
        self.entries: list[Entry] = []
        self.told: dict[Slot, datetime] = {}
        self._policies = {self.in_force.version: self.in_force}
        self._incident: Incident | None = None
        self._heard: dict[str, Member] = {}

    @property
    def incident(self) -> Incident:
        assert self._incident is not None, "nothing has opened yet"
        return self._incident

    @property
    def opened(self) -> bool:
        return self._incident is not None

    @property
    def state(self) -> State:
        return self.incident.state

    @property
    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]

    @property
    def policy(self) -> Policy:
        """What the present round follows, and what the next one would."""
        return self.in_force if self._incident is None else self.policy_of(self._incident)

    def policy_of(self, incident: Incident) -> Policy:
        own = self._policies[incident.version]
        return own if own is self.in_force else replace(own, newer=self.in_force)

    def reload(self, newer: Policy) -> None:
        self.in_force = newer
        self._policies[newer.version] = newer

    def do(self, command: Command) -> list[Data]:
        decided = decide(self._incident, command, self.policy, self.now)
        for entry in decided:
            self._incident = apply(self._incident, entry)
        self.entries += decided
        if self._incident:
            for slot in audience(self._incident, self.policy):
                self.told.setdefault(slot, self.now)
        return [entry.data for entry in decided]

    def hear(self, *alerts: Member) -> list[Data]:
        self._heard.update({alert.fingerprint: alert for alert in alerts})
        return self.do(AlertsHeard(alerts, Identity("id", "avalo/core-api", "avalo", "core-api")))

    def fire(
        self, name: str = "a", *, tier: Tier = Tier.P1, started: datetime | None = None, **more: object
    ) -> list[Data]:
        """An alert fires; by default an episode that begins now."""
        return self.hear(member(name, tier=tier, started=started or self.now, **more))  # type: ignore[arg-type]

    def repeat(self, name: str = "a") -> list[Data]:
        """The last firing notification of this alert once more, in the same episode."""
        return self.hear(replace(self._heard[name], firing=True))

    def resolve_alert(self, name: str = "a") -> list[Data]:
        return self.hear(replace(self._heard[name], firing=False))

    def acknowledge(self, by: str = "ann", *, until: datetime | None = None, **more: object) -> list[Data]:
        return self.do(Acknowledge(by, until=until, **more))  # type: ignore[arg-type]

    def take_over(self, by: str) -> list[Data]:
        return self.do(TakeOver(by))

    def resolve(self, by: str = "ann") -> list[Data]:
        return self.do(Resolve(by))

    def escalate(self, by: str = "ann") -> list[Data]:
        return self.do(Escalate(by))

    def set_tier(self, tier: Tier, by: str = "ann") -> list[Data]:
        return self.do(ChangeTier(by, tier, "because"))

    def note(self, by: str = "ann") -> list[Data]:
        return self.do(Note(by, "looking"))

    def start_over(self, *, automation: bool = False, dated_at: datetime | None = None) -> list[Data]:
        return self.do(StartOver("pagerduty", automation, dated_at))

    def tick(self) -> list[Data]:
        return self.do(Tick())

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> list[Data]:
        """Time passes, with a tick at each instant at which the incident asked to be woken."""
        until = self.now + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        before = len(self.entries)
        while (due := wake_at(self.incident)) and due <= until:
            self.now = max(self.now, due)
            self.tick()
        self.now = until
        return [entry.data for entry in self.entries[before:]]

    def off(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Time passes and nobody ticks."""
        self.now += timedelta(hours=hours, minutes=minutes, seconds=seconds)

    def until(self, at: datetime) -> list[Data]:
        return self.forward(seconds=(at - self.now).total_seconds())

    def paged(self) -> list[tuple[str, str]]:
        """(destination, slot) of every page so far, in the order in which they were told."""
        pages = [(at, slot.destination, slot.name) for slot, at in self.told.items() if slot.paging]
        return [(destination, name) for at, destination, name in sorted(pages)]

    def page_times(self) -> list[tuple[float, str]]:
        """Minutes since the story's first entry, and who was paged then."""
        begin = self.entries[0].at
        pages = sorted((at, slot.destination) for slot, at in self.told.items() if slot.paging)
        return [((at - begin) / MINUTE, destination) for at, destination in pages]

    def find(self, kind: type[Kind]) -> list[Kind]:
        return [entry.data for entry in self.entries if isinstance(entry.data, kind)]
