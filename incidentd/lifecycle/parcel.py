"""What a sender takes along: a leased cursor, where it goes, and what is to be said there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.channels.channel import AlertDetail, Destination, News, Person, Receipt
from incidentd.classify import DestinationSpec
from incidentd.incident.levels import next_level
from incidentd.incident.slot import TELL, parse_episode
from incidentd.incident.state import Incident, State
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.policy import Policy
from incidentd.sentence import sentence
from incidentd.store import alerts, entries, incidents
from incidentd.store import cursors as cursor_rows
from incidentd.store.alerts import Stored
from incidentd.store.cursors import Cursor
from incidentd.timeline import Entry, Told

ALERTS_SHOWN = 20
WITHOUT_MEMORY = "incidentd can't reach its database."
STANDS_IN = "This stands in for a page that could not be delivered."

NOT_SET_UP = Receipt({}, sent=False, detail="not set up", asked=False)
"""What comes of news for an optional destination whose variables are unset: nobody misses it."""

Resolve = Callable[[DestinationSpec], Destination | None]


@dataclass(frozen=True, slots=True)
class Parcel:
    """``upto`` is the last entry that this delivery tells. ``destination`` None: gone from the rules, or no secret.

    ``silent`` is what comes of it where there is nothing to say.
    """

    cursor: Cursor
    token: str
    destination: Destination | None
    news: News
    upto: int
    started_at: datetime
    silent: Receipt | None = None


def specification(rulebook: Rulebook, incident: Incident, name: str) -> DestinationSpec | None:
    """A destination as the table in force has it, else as the incident's own table had it (model 38)."""
    own = rulebook.version(incident.version).destinations.get(name)
    return rulebook.in_force.destinations.get(name) or own


@dataclass(frozen=True, slots=True)
class Packer:
    """Reads what a cursor's incident is at this moment, so that what was answered meanwhile is not sent."""

    rulebook: Rulebook
    resolve: Resolve
    base_url: str

    def pack(self, tx: Connection, cursors: Sequence[Cursor], token: str, now: datetime) -> list[Parcel]:
        """One parcel for each cursor, in their order; none for an incident that was pruned since they were read."""
        found = incidents.load(tx, {cursor.incident_id for cursor in cursors}) if cursors else {}
        cursors = [cursor for cursor in cursors if cursor.incident_id in found]
        if not cursors:
            return []
        ids = set(found)
        told = {id_: min(c.told for c in cursors if c.incident_id == id_) for id_ in ids}
        timelines = entries.load_after(tx, told)
        stored = alerts.of_incidents(tx, ids, ALERTS_SHOWN)
        successors = _successors(tx, cursors, found)
        predecessors = _predecessors(tx, cursors)
        parcels = []
        for cursor in cursors:
            number, incident = found[cursor.incident_id]
            spec = specification(self.rulebook, incident, cursor.destination)
            news = self._news(cursor, number, incident, timelines.get(incident.id, []), stored.get(incident.id, []))
            name = (incident.id, cursor.destination, cursor.slot)
            news = replace(news, successor=successors.get(name, {}), predecessor=predecessors.get(name, {}))
            destination = self.resolve(spec) if spec else None
            silent = NOT_SET_UP if spec and spec.optional and destination is None else None
            parcels.append(Parcel(cursor, token, destination, news, incident.last, now, silent))
        return parcels

    def unstored(self, incident: Incident, slot: str, alerts: Sequence[Heard]) -> News:
        """What is to be said of an incident that exists nowhere yet: the database is away.

        It has no number and no page of its own, and the timeline is its opening.
        """
        rules = self.rulebook.version(incident.version)
        people = {level: Person(person.name, person.mention) for level, person in rules.people.items()}
        lead = alerts[0]
        return News(
            incident=incident,
            number=0,
            slot=slot,
            entries=(),
            sentences=(),
            alerts=tuple(_unstored_detail(heard.alert) for heard in alerts),
            people=people,
            next_level=_next(incident, self.rulebook.policy(incident), people),
            url=f"{self.base_url}/",
            objective=rules.objective(incident.system, incident.slo),
            runbook=lead.alert.annotations.get("runbook_url") or lead.verdict.runbook,
            notice=WITHOUT_MEMORY,
        )

    def limited(self, name: str) -> Destination | None:
        """The destination of this name in the table in force, if it is there and has a limit."""
        spec = self.rulebook.in_force.destinations.get(name)
        return self.resolve(spec) if spec and spec.per_minute else None

    def all_limited(self) -> set[str]:
        """The destinations of the table in force that have a limit."""
        return {name for name in self.rulebook.in_force.destinations if self.limited(name)}

    def unset(self) -> set[str]:
        """Those destinations of the table in force that are optional, and that nobody has set up."""
        specs = self.rulebook.in_force.destinations.values()
        return {spec.name for spec in specs if spec.optional and self.resolve(spec) is None}

    def _news(
        self, cursor: Cursor, number: int, incident: Incident, timeline: list[Entry], stored: list[Stored]
    ) -> News:
        rules = self.rulebook.version(incident.version)
        people = {level: Person(person.name, person.mention) for level, person in rules.people.items()}
        names = {level: person.name for level, person in people.items()}
        fresh = tuple(e for e in timeline if e.number > cursor.told and e.data.told is not Told.NO)
        lead = stored[0] if stored else None
        return News(
            incident=incident,
            number=number,
            slot=cursor.slot,
            entries=fresh,
            sentences=tuple(sentence(entry, names) for entry in fresh),
            alerts=tuple(_detail(each) for each in stored),
            people=people,
            next_level=_next(incident, self.rulebook.policy(incident), people),
            url=f"{self.base_url}/incidents/{incident.id}",
            objective=rules.objective(incident.system, incident.slo),
            runbook=lead.annotations.get("runbook_url") or lead.runbook if lead else "",
            reference=cursor.reference,
            uncertain=cursor.uncertain,
            again=cursor.echo and cursor.told >= incident.news,
            notice=STANDS_IN if cursor.destination in incident.fallbacks else "",
        )


def _successors(
    tx: Connection, cursors: Sequence[Cursor], found: Mapping[str, tuple[int, Incident]]
) -> dict[tuple[str, str, str], Mapping[str, str]]:
    """For each card of an earlier episode, the reference of the present episode's card at the same destination."""
    past = [c for c in cursors if c.queue == TELL and parse_episode(c.slot) < found[c.incident_id][1].episode]
    now = {c.incident_id: f"e{found[c.incident_id][1].episode}" for c in past}
    references = cursor_rows.references(tx, {(c.incident_id, c.destination, now[c.incident_id]) for c in past})
    return {
        (c.incident_id, c.destination, c.slot): references.get((c.incident_id, c.destination, now[c.incident_id]), {})
        for c in past
    }


def _predecessors(tx: Connection, cursors: Sequence[Cursor]) -> dict[tuple[str, str, str], Mapping[str, str]]:
    """For what is new in a later episode, what the same destination kept of the latest earlier one."""
    new = [c for c in cursors if c.queue == TELL and not c.reference and parse_episode(c.slot) > 1]
    earlier = {cursor_rows.name(c): [f"e{number}" for number in range(1, parse_episode(c.slot))] for c in new}
    wanted = {(c.incident_id, c.destination, slot) for c in new for slot in earlier[cursor_rows.name(c)]}
    kept = cursor_rows.references(tx, wanted)
    return {
        own: next((found for slot in reversed(slots) if (found := kept.get((own[0], own[1], slot)))), {})
        for own, slots in earlier.items()
    }


def _detail(stored: Stored) -> AlertDetail:
    return AlertDetail(
        stored.fingerprint, stored.starts_at, stored.firing, stored.labels, stored.annotations, stored.generator_url
    )


def _unstored_detail(alert: Alert) -> AlertDetail:
    return AlertDetail(
        alert.fingerprint, alert.starts_at, alert.firing, alert.labels, alert.annotations, alert.generator_url
    )


def _next(incident: Incident, policy: Policy, people: Mapping[int, Person]) -> Person | None:
    if incident.state is not State.TRIGGERED or incident.next_at is None:
        return None
    number, _ = next_level(policy.tiers[incident.tier], incident.level)
    return people.get(number) if number is not None else None
