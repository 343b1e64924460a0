"""What must hold whatever was killed, judged from outside: from what the receivers got, and from the database.

Source: ``faults.md``, "The oracle for every row".
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.apply import fold
from incidentd.incident.slot import parse_page_slot
from incidentd.incident.state import Incident
from incidentd.lifecycle.parcel import STANDS_IN
from incidentd.lifecycle.record import FALLBACK_AFTER
from incidentd.sandbox.message import Message
from incidentd.sandbox.pagerduty import Event
from incidentd.store import entries, incidents
from incidentd.store.deliveries import Outcome
from incidentd.store.tables import CURSORS, DELIVERIES, INCIDENTS
from incidentd.timeline import Accepted, Acknowledged, Entry, GaveUp
from tests.fault.plant import HTTP_SECONDS, LEASE_SECONDS, Plant, Told
from tests.fault.request import Attempt, Patience, Request, late, matched, repeated
from tests.lifecycle.bench import KEYS

LEVELS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Found:
    """One incident as the database has it, and what the receivers accepted for it: pages by level.

    ``attempts`` are those of pages that incidentd recorded as accepted, by level.
    """

    incident: Incident
    timeline: list[Entry]
    pages: dict[int, list[Event]]
    has_card: bool
    attempts: dict[int, list[Attempt]]

    def requests(self) -> dict[int, list[Request]]:
        """The pages by level, each beside its attempt."""
        return {
            level: matched([event.at for event in events], self.attempts.get(level, []))
            for level, events in self.pages.items()
        }


def lacks(plant: Plant) -> list[str]:
    """What is promised and did not happen yet; empty when all has come to rest."""
    found = _found(plant)
    complaints = [complaint for told in plant.told for complaint in _lacks(plant, told, found.get(told.place))]
    complaints += [f"nobody else was told that pages of {place} fail" for place in _untold(plant, found)]
    return complaints + plant.store.read(_unlevel)


def wrongs(plant: Plant, *, in_flight: int = 0, expected: Sequence[str] = ()) -> list[str]:
    """What must never happen and did.

    ``in_flight``: of one page, how many requests may have been so when a sender was killed or frozen.
    ``expected``: what error lines may say in this test.
    """
    found, patience = _found(plant), _patience(plant)
    complaints = [wrong for each in found.values() for wrong in _wrongs(each, plant.level_seconds)]
    for each in found.values():
        complaints += [*_repeated(each, in_flight, patience), *_after_the_answer(each, patience)]
    complaints += _unexpected(plant) + [line for line in plant.errors() if not any(map(line.__contains__, expected))]
    complaints += plant.store.read(lambda tx: [f"two incidents for {key}" for key in _doubled(tx)])
    return complaints


def _found(plant: Plant) -> dict[str, Found]:
    """The incidents by the place that their key ends with."""
    pages: dict[str, dict[int, list[Event]]] = {}
    for event in plant.sandbox.pagerduty.events:
        if event.action == "trigger":
            # A page that went out without the database names none.
            by_level = pages.setdefault(str(event.payload["custom_details"].get("incident_id")), {})
            by_level.setdefault(_level(event), []).append(event)

    cards = {incident for _, incident in map(_card_of, plant.sandbox.slack.cards("#incidents"))}

    def read(tx: Connection) -> dict[str, Found]:
        ids = list(tx.scalars(sa.select(INCIDENTS.c.id)))
        stored = incidents.load(tx, ids)
        timelines = entries.load_after(tx, dict.fromkeys(ids, 0))
        attempts = _attempts(tx)
        every = (
            Found(incident, timelines[id_], pages.get(id_, {}), id_ in cards, attempts.get(id_, {}))
            for id_, (_, incident) in stored.items()
        )
        return {each.incident.key.rpartition("=")[2]: each for each in every}

    return plant.store.read(read)


def _attempts(tx: Connection) -> dict[str, dict[int, list[Attempt]]]:
    """The pages that incidentd recorded as accepted, by incident and level; not what answered or ended them."""
    rows = tx.execute(
        sa.select(DELIVERIES)
        .where(DELIVERIES.c.outcome == Outcome.ACCEPTED)
        .where(DELIVERIES.c.detail.startswith("trigger"))
    )
    found: dict[str, dict[int, list[Attempt]]] = {}
    for row in rows:
        attempt = Attempt(row.upto, row.started_at, row.ended_at)
        found.setdefault(row.incident_id, {}).setdefault(parse_page_slot(row.slot).level, []).append(attempt)
    return found


def _lacks(plant: Plant, told: Told, found: Found | None) -> Iterator[str]:
    if found and not found.has_card:
        yield f"{told.place} has no card"
    if found is None:
        yield f"{told.place} was answered with 2xx and there is no incident"
    elif told.place in plant.answers:
        if not any(isinstance(entry.data, Acknowledged) for entry in found.timeline):
            yield f"the answer to {told.place} was confirmed and is not there"
    else:
        for level in LEVELS if told.climbs else LEVELS[:1]:
            if level not in found.pages:
                yield f"level {level} of {told.place} was not paged"


def _untold(plant: Plant, found: dict[str, Found]) -> Iterator[str]:
    """The places of unanswered incidents whose page failed twice or more before it was accepted, if at all.

    Their card has to say that it stands in for it.
    """
    failed: Counter[str] = Counter()
    for request in plant.sandbox.pagerduty.requests:
        event = json.loads(request.body)
        incident = event.get("payload", {}).get("custom_details", {}).get("incident_id", "")
        failed[incident] += (request.status or 0) >= requests.codes.internal_server_error
    cards = {incident: card for card in plant.sandbox.slack.cards() for _, incident in [_card_of(card)]}
    for place, each in found.items():
        card = cards.get(each.incident.id)
        is_told = card is not None and STANDS_IN in json.dumps(card.blocks)
        if failed[each.incident.id] >= FALLBACK_AFTER and place not in plant.answers and not is_told:
            yield place


def _unlevel(tx: Connection) -> list[str]:
    """Cursors that are behind, unless given up with an alarm. One that waits to tell its last once more is level."""
    behind = sa.or_(CURSORS.c.told < INCIDENTS.c.news, sa.and_(CURSORS.c.due_at.is_not(None), ~CURSORS.c.echo))
    rows = tx.execute(
        sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
        .join(INCIDENTS, INCIDENTS.c.id == CURSORS.c.incident_id)
        .where(behind, CURSORS.c.given_up.is_(None))
    )
    return [f"{destination} does not know all of {incident} ({slot})" for incident, destination, slot in rows]


def _wrongs(found: Found, level_seconds: int) -> Iterator[str]:
    incident, timeline = found.incident, found.timeline
    if [entry.number for entry in timeline] != list(range(1, len(timeline) + 1)):
        yield f"the timeline of {incident.key} has gaps or duplicates"
    elif fold(timeline) != incident:
        yield f"the timeline of {incident.key} does not fold to its stored state"
    if any(isinstance(entry.data, GaveUp) for entry in timeline):
        yield f"a destination of {incident.key} was given up"
    yield from _accepted_twice(found)
    yield from _early(found, level_seconds)
    for level, events in found.pages.items():
        if len({event.dedup_key for event in events}) > 1:
            yield f"level {level} of {incident.key} has two alerts at PagerDuty"


def _accepted_twice(found: Found) -> Iterator[str]:
    accepted = Counter(
        (each.data.destination, each.data.slot) for each in found.timeline if isinstance(each.data, Accepted)
    )
    for (destination, slot), count in accepted.items():
        if count > 1:
            yield f"by the timeline of {found.incident.key} {destination} accepted {slot} twice"


def _early(found: Found, level_seconds: int) -> Iterator[str]:
    """Those that climb are P0; others have minutes."""
    for level, events in found.pages.items():
        due = found.incident.opened_at + timedelta(seconds=level_seconds * (level - 1))
        if events[0].at < due:
            yield f"level {level} of {found.incident.key} was paged {due - events[0].at} too early"


def _after_the_answer(found: Found, patience: Patience) -> Iterator[str]:
    """By the order of what was decided: an answer has the time at which it came, and may wait to be stored."""
    answer = next((entry for entry in found.timeline if isinstance(entry.data, Acknowledged)), None)
    if answer is None:
        return
    if any(entry.kind == "level" and entry.number > answer.number for entry in found.timeline):
        yield f"{found.incident.key} climbed after it was answered"
    for level, page in found.requests().items():
        for wrong in late(page, answer.number, answer.at, patience):
            yield f"level {level} of {found.incident.key} {wrong}"


def answered_at(plant: Plant, place: str) -> datetime:
    """When it was answered."""
    return next(entry.at for entry in _found(plant)[place].timeline if isinstance(entry.data, Acknowledged))


def _repeated(found: Found, in_flight: int, patience: Patience) -> Iterator[str]:
    for level, page in found.requests().items():
        for wrong in repeated(page, in_flight, patience):
            yield f"level {level} of {found.incident.key} {wrong}"


def _patience(plant: Plant) -> Patience:
    lease, http = timedelta(seconds=LEASE_SECONDS), timedelta(seconds=HTTP_SECONDS)
    return Patience(lease, http, plant.standstill.found)


def _unexpected(plant: Plant) -> list[str]:
    sandbox = plant.sandbox
    refused = [
        r for r in (*sandbox.pagerduty.requests, *sandbox.slack.requests) if (r.status or 0) >= 400 and not r.fault
    ]
    cards = Counter(_card_of(card) for card in sandbox.slack.cards())
    doubled = [
        f"{channel} has {count} cards of {incident}" for (channel, incident), count in cards.items() if count > 1
    ]
    return [f"an unexpected request: {request.method} {request.status}" for request in refused] + doubled


def _card_of(card: Message) -> tuple[str, str]:
    """The channel and the incident of a card, by the metadata that everybody can read."""
    return card.channel, str((card.metadata or {})["event_payload"]["incident"])


def _doubled(tx: Connection) -> list[str]:
    counted = Counter(tx.scalars(sa.select(INCIDENTS.c.key)))
    return [key for key, count in counted.items() if count > 1]


def _level(event: Event) -> int:
    return next(level for level, key in KEYS.items() if key == event.routing_key)
