"""``escalation.yaml``: who stands at which level, and the policies that say when they are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from incidentd.calendars import ALWAYS, Calendar
from incidentd.classify.destination import DestinationSpec
from incidentd.classify.grading import TierSpec, acknowledgement, response, updates
from incidentd.classify.kind import Kind
from incidentd.classify.opening_hours import read_zone
from incidentd.classify.section import Ledger, Section, as_section, closest, open_file
from incidentd.policy import Level, Policy, TierPolicy
from incidentd.tier import Tier

REQUIRED_POLICIES = ("default", "internal")
_CLOCKS = ("reminder", "hold_down", "reopen_window", "grace", "late_copy", "closest")
_SECOND = timedelta(seconds=1)
_ALWAYS_REACHED = (Tier.P0, Tier.P1)


@dataclass(frozen=True, slots=True)
class PersonSpec:
    """Who stands at a level. ``mention`` is by kind of destination; ``zone`` is where they live, if that is said."""

    name: str
    mention: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """What the other files gave: everything that a policy may name."""

    tiers: Mapping[Tier, TierSpec]
    destinations: Mapping[str, DestinationSpec]
    calendars: Mapping[str, Calendar]
    kinds: Mapping[str, Kind]
    version: str


@dataclass(frozen=True, slots=True)
class Escalation:
    """People by level number, policies by name."""

    people: Mapping[int, PersonSpec]
    policies: Mapping[str, Policy]


def read_escalation(text: str, ledger: Ledger, ground: Ground) -> Escalation:
    """The file; with faults noted, whatever could be understood of it."""
    file = open_file(text, ledger).only("people", "policies")
    people = _people(file, ground.kinds)
    policies = _Policies(file, people, ground).all()
    for name in REQUIRED_POLICIES:
        if file.has("policies") and name not in policies:
            file.complain(f"policy {name!r} is missing", "policies")
    return Escalation(MappingProxyType(people), MappingProxyType(policies))


def _people(file: Section, kinds: Mapping[str, Kind]) -> dict[int, PersonSpec]:
    file.section("people", required=True)
    mentionable = {name: kind.mention for name, kind in kinds.items() if kind.mention}
    found: dict[int, PersonSpec] = {}
    for number, section in file.sections("people"):
        section.only("name", "zone", *mentionable)
        mention = {name: section.text(name, "") for name in mentionable}
        for name, option in mentionable.items():
            if mention[name] and not option.pattern.fullmatch(mention[name]):
                section.complain(f"{name} is not {option.hint}", name)
        if number != str(len(found) + 1):
            section.complain("people are numbered by level: 1, 2, 3, …, in order")
        zone = read_zone(section) if section.has("zone") else None
        found[len(found) + 1] = PersonSpec(section.text("name"), {k: v for k, v in mention.items() if v}, zone)
    return found


class _Policies:
    """Reads each policy after the one that it extends."""

    def __init__(self, file: Section, people: Mapping[int, PersonSpec], ground: Ground) -> None:
        file.section("policies", required=True)
        self._sections = dict(file.sections("policies"))
        self._people = people
        self._ground = ground
        self._pages = frozenset(name for name, spec in ground.destinations.items() if spec.pages)
        self._done: dict[str, Policy] = {}

    def all(self) -> dict[str, Policy]:
        for name in self._sections:
            self._policy(name, ())
        return {name: self._done[name] for name in self._sections}

    def _policy(self, name: str, extending: tuple[str, ...]) -> Policy:
        if name not in self._done:
            section = self._sections[name].only("extends", "tiers", "rounds", *_CLOCKS)
            self._done[name] = self._read(name, section, self._base(section, name, extending))
        return self._done[name]

    def _base(self, section: Section, name: str, extending: tuple[str, ...]) -> Policy | None:
        parent = section.text("extends", "")
        if not parent:
            return None
        if parent == name or parent in extending:
            section.complain(f"extends {parent!r}, which extends it in turn", "extends")
            return None
        if parent not in self._sections:
            section.complain(f"extends {parent!r}, which is no policy{closest(parent, self._sections)}", "extends")
            return None
        return self._policy(parent, (*extending, name))

    def _read(self, name: str, section: Section, base: Policy | None) -> Policy:
        blank = base or Policy(name, self._ground.version, {})
        policy = replace(
            blank,
            name=name,
            tiers=MappingProxyType(self._tiers(section, base)),
            pages=self._pages,
            rounds=section.number("rounds", blank.rounds, least=1, most=100),
            reminder=section.span("reminder", blank.reminder, least=_SECOND),
            hold_down=section.span("hold_down", blank.hold_down),
            reopen_window=section.span("reopen_window", blank.reopen_window),
            grace=section.span("grace", blank.grace),
            late_copy=section.span("late_copy", blank.late_copy),
            closest=section.span("closest", blank.closest, least=_SECOND),
        )
        if policy.grace > policy.reopen_window:
            section.complain("grace is longer than reopen_window", "grace")
        return policy

    def _tiers(self, section: Section, base: Policy | None) -> dict[Tier, TierPolicy]:
        tiers = section.section("tiers", required=base is None)
        found = dict(base.tiers) if base else {}
        if tiers is None:
            return found
        tiers.only(*Tier)
        for tier in Tier:
            row = f"{section.row} {tier}"
            each = tiers.section(tier, required=base is None and not section.has("extends"), row=row)
            if each and tier in self._ground.tiers:
                found[tier] = self._tier(tier, each, found.get(tier))
        return found

    def _tier(self, tier: Tier, section: Section, base: TierPolicy | None) -> TierPolicy:
        section.only("response", "acknowledgement", "opening", "levels", "calendar", "updates")
        spec = self._ground.tiers[tier]
        found = TierPolicy(
            response=response(section, base.response if base else spec.response),
            acknowledgement=acknowledgement(section, base.acknowledgement if base else spec.acknowledgement),
            opening=self._opening(section) if base is None or section.has("opening") else base.opening,
            levels=self._levels(section) if base is None or section.has("levels") else base.levels,
            calendar=self._calendar(section, base.calendar if base else ALWAYS),
            updates=updates(section, base.updates if base else None),
        )
        self._check_reach(tier, found, section)
        return found

    def _opening(self, section: Section) -> tuple[str, ...]:
        names = self._told(section, "opening")
        for name in names:
            if name in self._pages:
                section.complain(f"opening names {name!r}, which pages: pages belong to levels", "opening")
        return names

    def _levels(self, section: Section) -> tuple[Level, ...]:
        found: list[Level] = []
        for node in section.nodes("levels"):
            number = len(found) + 1
            level = as_section(node, "a level", section.ledger, f"{section.row} level {number}")
            if level is None:
                continue
            level.only("lasts", "tell")
            if number not in self._people:
                level.complain(f"nobody stands at level {number} under people")
            name = self._people[number].name if number in self._people else f"level {number}"
            found.append(Level(name, level.span("lasts", least=_SECOND), self._told(level, "tell")))
        return tuple(found)

    def _told(self, section: Section, field_name: str) -> tuple[str, ...]:
        names = section.texts(field_name)
        for name in names:
            if name not in self._ground.destinations:
                known = closest(name, self._ground.destinations)
                section.complain(f"{field_name} names {name!r}, which is no destination{known}", field_name)
        return names

    def _calendar(self, section: Section, default: Calendar) -> Calendar:
        name = section.choice("calendar", self._ground.calendars, default.name)
        return self._ground.calendars.get(name, default)

    def _check_reach(self, tier: Tier, policy: TierPolicy, section: Section) -> None:
        paging = tier in _ALWAYS_REACHED or any(name in self._pages for each in policy.levels for name in each.tell)
        if paging and not (policy.levels and policy.levels[0].tell):
            section.complain("level 1 of a paging tier reaches nobody", "levels")
