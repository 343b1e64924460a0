"""``drills.yaml``: which drills run by themselves, and when."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from incidentd.classify.opening_hours import read_holidays, read_time, read_weekdays, read_zone
from incidentd.classify.section import Ledger, Section, as_section, closest, is_blank, open_file
from incidentd.classify.table import DEFAULT_POLICY, Shelf, Table
from incidentd.drill import whose
from incidentd.errors import Fault
from incidentd.policy import TierPolicy
from incidentd.schedule import Schedule
from incidentd.tier import Tier

WITHIN = timedelta(minutes=5)
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(hours=1)
LONGEST_ANSWER = timedelta(hours=4)

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FIELDS = ("tier", "system", "weekdays", "at", "zone", "holidays", "within", "answer")
_A_YEAR_LIKE_ANY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DrillSpec:
    """One drill that runs by itself. ``shown`` is its schedule in words.

    Page and messages must be accepted ``within`` this time; ``answer`` is within which somebody must acknowledge the
    page, None where nobody is asked to. ``line`` is where it stands in the file.
    """

    name: str
    tier: Tier
    system: str
    schedule: Schedule
    shown: str
    within: timedelta = WITHIN
    answer: timedelta | None = None
    line: int = 0


def read_drills(text: str, ledger: Ledger, shelf: Shelf, tables: Iterable[Table]) -> dict[str, DrillSpec]:
    """All drills of the file, by name; none, where it holds comments only."""
    if is_blank(text):
        return {}
    found: dict[str, DrillSpec] = {}
    tables = tuple(tables)
    for name, node in open_file(text, ledger).fields.items():
        section = as_section(node, name, ledger, name)
        if not NAME.fullmatch(name):
            ledger.add(node.line, "a drill's name is of small letters, digits and - _ .", name)
        elif section and (spec := _drill(name, section, tables)):
            _check_reach(spec, section, shelf, tables)
            found[name] = spec
    return found


def drill_warnings(drills: Iterable[DrillSpec], shelf: Shelf, tables: Iterable[Table], file: str) -> Iterator[Fault]:
    """Drills that wait for an answer for longer than the first level lasts: they climb, as a real alert would."""
    tables = tuple(tables)
    for spec in drills:
        policy = _tier_policy(spec.tier, spec.system, shelf, tables)
        levels = policy.levels if policy else ()
        if spec.answer and len(levels) > 1 and spec.answer > levels[0].duration:
            yield Fault(
                file, spec.line, spec.name, "answer is longer than level 1 lasts: level 2 may be told of a drill"
            )


def _drill(name: str, section: Section, tables: tuple[Table, ...]) -> DrillSpec | None:
    section.only(*_FIELDS)
    tier, system = section.tier("tier"), _system(section, tables)
    days, at, zone = read_weekdays(section, "it would never run"), read_time(section, "at"), read_zone(section)
    schedule = Schedule(days, at or time(0, 0), zone, read_holidays(section))
    within = section.span("within", WITHIN, least=SHORTEST)
    answer = section.span("answer", least=SHORTEST) if section.has("answer") else None
    if within > LONGEST:
        section.complain("within is longer than 1h", "within")
    if answer and answer > LONGEST_ANSWER:
        section.complain("answer is longer than 4h", "answer")
    if days and at and schedule.next_after(_A_YEAR_LIKE_ANY) is None:
        section.complain("it would never run: each of its days is a holiday", "weekdays")
    if tier is None or at is None:
        return None
    shown = f"{', '.join(section.texts('weekdays'))} at {at:%H:%M}, {section.text('zone', '')}"
    return DrillSpec(name, tier, system, schedule, shown, within, answer, section.line)


def _system(section: Section, tables: tuple[Table, ...]) -> str:
    name = section.text("system", "")
    known = [table.system for table in tables if table.system]
    if name and name not in known:
        section.complain(f"system {name!r} has no table of its own{closest(name, known)}", "system")
        return ""
    return name


def _check_reach(spec: DrillSpec, section: Section, shelf: Shelf, tables: tuple[Table, ...]) -> None:
    policy = _tier_policy(spec.tier, spec.system, shelf, tables)
    if policy and not policy.opening and not any(level.tell for level in policy.levels[:1]):
        section.complain(f"{whose(spec.tier, spec.system)} tells nobody at once: there is nothing to drill", "tier")


def _tier_policy(tier: Tier, system: str, shelf: Shelf, tables: tuple[Table, ...]) -> TierPolicy | None:
    """None where another fault hides it."""
    name = next((table.policy for table in tables if system and table.system == system), DEFAULT_POLICY)
    policy = shelf.policies.get(name)
    return policy.tiers.get(tier) if policy else None
