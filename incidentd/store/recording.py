"""Alert episodes and what became of them, read in small steps: for replays, while everything runs."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine import Connection

from incidentd.store.codec import load_data
from incidentd.store.sightings import is_own
from incidentd.store.tables import ALERTS, ENTRIES, INCIDENTS
from incidentd.timeline import (
    Acknowledged,
    AlertsChanged,
    Data,
    Noted,
    Opened,
    Resolved,
    RoundBegan,
    TakenOver,
)

BATCH = 500
"""How many rows one look reads: few enough for no time-out."""

_KINDS = [kind.kind for kind in (Opened, AlertsChanged, Acknowledged, TakenOver, Noted, Resolved, RoundBegan)]
_ORDER = (ALERTS.c.fingerprint, ALERTS.c.past)
_EPISODES = (
    sa.select(
        ALERTS.c.fingerprint,
        ALERTS.c.past,
        ALERTS.c.starts_at,
        ALERTS.c.incident_id,
        ALERTS.c.received_at,
        ALERTS.c.closed_at,
        ALERTS.c.row,
        ALERTS.c.labels,
        ALERTS.c.readings,
    )
    .where(sa.tuple_(*_ORDER) > sa.tuple_(sa.bindparam("fingerprint"), sa.bindparam("past", type_=sa.BigInteger)))
    .order_by(*_ORDER)
    .limit(BATCH)
)
_INCIDENTS = (
    sa.select(INCIDENTS.c.number, INCIDENTS.c.id)
    .where(
        INCIDENTS.c.number > sa.bindparam("after"),
        sa.or_(INCIDENTS.c.resolved_at.is_(None), INCIDENTS.c.resolved_at >= sa.bindparam("since")),
    )
    .order_by(INCIDENTS.c.number)
    .limit(BATCH)
)
_ENTRIES = (
    sa.select(ENTRIES.c.incident_id, ENTRIES.c.at, ENTRIES.c.actor, ENTRIES.c.kind, ENTRIES.c.data)
    .where(
        ENTRIES.c.incident_id.in_(sa.bindparam("incidents", expanding=True)),
        ENTRIES.c.kind.in_(_KINDS),
        ENTRIES.c.at >= sa.bindparam("since"),
    )
    .order_by(ENTRIES.c.incident_id, ENTRIES.c.number)
)

Place = tuple[str, int]
"""(fingerprint, past): an episode's row."""

FIRST: Place = ("", 0)


class StoredEpisode(NamedTuple):
    """One episode of an alert as stored. ``readings`` are ``(instant, value)``, one for each change of the value."""

    fingerprint: str
    starts_at: datetime
    incident_id: str | None
    received_at: datetime
    closed_at: datetime | None
    labels: dict[str, str]
    readings: list[tuple[datetime, str]]


class StoredEntry(NamedTuple):
    """An entry that says something of alerts or of an answer."""

    incident_id: str
    at: datetime
    actor: str
    data: Data


def episodes(tx: Connection, since: datetime, after: Place) -> tuple[list[StoredEpisode], Place | None]:
    """Those of others' alerts that were first heard of at or after ``since``, among the next ones.

    And where the next look begins; None after the last.
    """
    rows = tx.execute(_EPISODES, {"fingerprint": after[0], "past": after[1]}).all()
    found = [_episode(row) for row in rows if row.received_at >= since and not is_own(row.row)]
    return found, (rows[-1].fingerprint, rows[-1].past) if len(rows) == BATCH else None


def entries(tx: Connection, since: datetime, after: int) -> tuple[list[StoredEntry], int | None]:
    """What was written at or after ``since`` of the incidents with the next numbers; and the last of these numbers.

    None after the last incident.
    """
    incidents = tx.execute(_INCIDENTS, {"after": after, "since": since}).all()
    rows = tx.execute(_ENTRIES, {"incidents": [each.id for each in incidents], "since": since})
    found = [StoredEntry(row.incident_id, row.at, row.actor, load_data(row.kind, row.data)) for row in rows]
    return found, incidents[-1].number if len(incidents) == BATCH else None


def _episode(row: Any) -> StoredEpisode:
    return StoredEpisode(
        fingerprint=row.fingerprint,
        starts_at=row.starts_at,
        incident_id=row.incident_id,
        received_at=row.received_at,
        closed_at=row.closed_at,
        labels=from_json(row.labels),
        readings=[(datetime.fromisoformat(at), value) for at, value in from_json(row.readings)],
    )
