"""What a recording came to under one table: its incidents, their tiers, and who was told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from incidentd.classify import Rules
from incidentd.incident.state import Incident
from incidentd.replay.book import Step
from incidentd.replay.judge import Judged
from incidentd.replay.night import is_night, name_of, zone_of
from incidentd.replay.play import Player
from incidentd.replay.recording import Recording
from incidentd.replay.telling import How, Teller
from incidentd.tier import Tier


class Page(NamedTuple):
    """One page. ``zone`` is where whoever it wakes lives, and ``night`` whether it is night there."""

    at: datetime
    destination: str
    person: str
    zone: str
    night: bool


@dataclass(slots=True)
class Played:
    """One incident. ``tier`` is the most urgent one that it had, ``row`` the row that gave it."""

    key: str
    system: str
    slo: str
    opened_at: datetime
    tier: Tier
    row: str
    told: set[str] = field(default_factory=set)
    pages: list[Page] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``incidents`` by id; ``of_alert`` is the id for each alert of the recording, by its number in it.

    ``signs`` are alerts that were taken for a sign of life.
    """

    version: str
    incidents: Mapping[str, Played]
    of_alert: Mapping[int, str]
    signs: frozenset[int]


def outcome_of(
    recording: Recording,
    rules: Rules,
    judged: Sequence[Judged] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Play the recording through a table, and keep what it came to. ``judged`` and ``progress``: as ``Player`` says."""
    player = Player(recording, rules, judged)
    tally = _Tally(rules)
    for step in player.steps(progress):
        tally.count(step)
    return Outcome(rules.version, tally.incidents, player.incidents, frozenset(player.signs))


def merged(version: str, parts: Iterable[tuple[Sequence[int], Outcome]]) -> Outcome:
    """The outcome of a whole, from those of its parts. With each: the numbers of its alerts in the whole."""
    incidents: dict[str, Played] = {}
    of_alert: dict[int, str] = {}
    signs: set[int] = set()
    for part, (numbers, outcome) in enumerate(parts):
        incidents |= {f"{part}.{id_}": played for id_, played in outcome.incidents.items()}
        of_alert |= {numbers[number]: f"{part}.{id_}" for number, id_ in outcome.of_alert.items()}
        signs |= {numbers[number] for number in outcome.signs}
    return Outcome(version, incidents, of_alert, frozenset(signs))


class _Tally:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._teller = Teller(first_only=True)
        self.incidents: dict[str, Played] = {}

    def count(self, step: Step) -> None:
        """Take in one step."""
        incident = step.after
        played = self.incidents.get(incident.id)
        if played is None:
            played = self.incidents[incident.id] = _opened(incident)
        if incident.tier < played.tier:
            played.tier, played.row = incident.tier, incident.row
        for telling in self._teller.after(step):
            played.told.add(telling.destination)
            if telling.how is How.PAGE:
                played.pages.append(self._page(step, telling.destination, telling.level))

    def _page(self, step: Step, destination: str, level: int) -> Page:
        zone = zone_of(self._rules, step.policy.tiers[step.after.tier], level)
        person = self._rules.people.get(level)
        return Page(
            at=step.at,
            destination=destination,
            person=person.name if person else f"level {level}",
            zone=name_of(zone),
            night=is_night(step.at, zone),
        )


def _opened(incident: Incident) -> Played:
    return Played(incident.key, incident.system, incident.slo, incident.opened_at, incident.tier, incident.row)
