"""What there is at the end: what the receivers got, what the database holds, what the processes logged."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.state import Incident
from incidentd.store import entries, incidents
from incidentd.store.tables import CURSORS, INCIDENTS
from incidentd.timeline import Entry
from tests.fault.chaos.page import Page, ended, pages_of
from tests.fault.chaos.station import Station

Card = tuple[str, str, str]
"""(channel, incident, slot)"""


@dataclass(frozen=True, slots=True)
class Found:
    """One of our incidents, as the database has it."""

    incident: Incident
    timeline: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Behind:
    """A cursor that hasn't been told all, and why: ``given_up`` empty where it is still tried."""

    incident: str
    destination: str
    slot: str
    given_up: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """``found`` by place; ``own`` are the keys of incidentd's own incidents, ``doubled`` those that two hold.

    ``ended`` tells by dedup key when PagerDuty was last told that a page is over.
    """

    found: Mapping[str, Found]
    pages: Sequence[Page]
    ended: Mapping[str, datetime]
    cards: Mapping[Card, int]
    behind: Sequence[Behind]
    own: Sequence[str]
    doubled: Sequence[str]
    refused: Sequence[str]
    errors: Sequence[str]


def gather(station: Station) -> Evidence:
    """Look at everything."""
    found, own, doubled, behind, keys = station.store.read(_stored)
    sandbox = station.sandbox
    requests = (*sandbox.pagerduty.requests, *sandbox.slack.requests)
    return Evidence(
        found=found,
        pages=pages_of(sandbox.pagerduty.events, keys),
        ended=ended(sandbox.pagerduty.events),
        cards=Counter(_card(card.channel, card.metadata or {}) for card in sandbox.slack.cards()),
        behind=behind,
        own=own,
        doubled=doubled,
        refused=[f"{r.service} {r.method} {r.status}" for r in requests if (r.status or 0) >= 400 and not r.fault],
        errors=list(errors(station)),
    )


def _card(channel: str, metadata: Mapping[str, Mapping[str, str]]) -> Card:
    said = metadata.get("event_payload", {})
    return channel, said.get("incident", ""), said.get("slot", "")


def _stored(tx: Connection) -> tuple[dict[str, Found], list[str], list[str], list[Behind], dict[str, str]]:
    ids = list(tx.scalars(sa.select(INCIDENTS.c.id)))
    stored = {id_: incident for id_, (_, incident) in incidents.load(tx, ids).items()}
    timelines = entries.load_after(tx, dict.fromkeys(ids, 0))
    places = {id_: _place(incident.key) for id_, incident in stored.items()}
    found = {places[id_]: Found(incident, timelines[id_]) for id_, incident in stored.items() if places[id_]}
    own = [incident.key for id_, incident in stored.items() if not places[id_]]
    counted = Counter(incident.key for incident in stored.values() if _place(incident.key))
    references = tx.execute(sa.select(CURSORS.c.incident_id, CURSORS.c.reference).where(CURSORS.c.queue == "page"))
    # PostgreSQL shows each statement what was committed by then: there may be one more than a moment ago.
    keys = {json.loads(reference).get("dedup_key", ""): places.get(id_, "") for id_, reference in references}
    return found, own, [key for key, count in counted.items() if count > 1], _behind(tx), keys


def _place(key: str) -> str:
    """What our alerts tell apart; empty for incidentd's own incidents."""
    head, _, place = key.rpartition("=")
    return place if head.endswith("environment") else ""


def _behind(tx: Connection) -> list[Behind]:
    """One that waits to tell its last once more is level."""
    lags = sa.or_(CURSORS.c.told < INCIDENTS.c.news, sa.and_(CURSORS.c.due_at.is_not(None), ~CURSORS.c.echo))
    rows = tx.execute(
        sa.select(INCIDENTS.c.key, CURSORS.c.destination, CURSORS.c.slot, CURSORS.c.given_up)
        .join(INCIDENTS, INCIDENTS.c.id == CURSORS.c.incident_id)
        .where(sa.or_(lags, CURSORS.c.given_up.is_not(None)))
    )
    return [Behind(key, destination, slot, given_up or "") for key, destination, slot, given_up in rows]


def errors(station: Station) -> Iterator[str]:
    """What was logged as an error, or printed as no log line; each in one line."""
    for log in sorted(station.logs.glob("*.log")):
        for line in log.read_text("utf-8", "replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                if line.strip():
                    yield f"{log.stem}: {line}"
                continue
            if not isinstance(entry, dict) or entry.get("level") in ("error", "critical"):
                yield f"{log.stem}: {line}"
