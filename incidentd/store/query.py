"""Reads for people and programs that look: lists by urgency, one incident, and who was told of it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine import Connection

from incidentd.drill import DRILL_SYSTEM
from incidentd.incident.state import Incident, State
from incidentd.store.codec import load_incident
from incidentd.store.deliveries import Delivery, Outcome
from incidentd.store.tables import ALERTS, CURSORS, DELIVERIES, INCIDENTS
from incidentd.tier import Tier

_NUMBER = re.compile(r"#?(\d{1,18})")
_RESOLVED = INCIDENTS.c.resolved_at.is_not(None)
_OPEN = INCIDENTS.c.resolved_at.is_(None)
_LISTED = sa.select(INCIDENTS.c.number, INCIDENTS.c.wake_at, INCIDENTS.c.body)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which incidents; an empty set means all. ``text`` is looked for in title, key, system and SLO, or is a number.

    ``drill`` True: drills alone; False: none of them. So is ``observed``, for those that nobody is told of.
    ``since`` and ``until`` bound ``opened_at``: at or after the one, before the other. ``digest`` stands for them.
    """

    states: frozenset[State] = frozenset()
    tiers: frozenset[Tier] = frozenset()
    system: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    drill: bool | None = None
    digest: str | None = None
    observed: bool | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended."""

    resolved: bool
    tier: Tier
    number: int


@dataclass(frozen=True, slots=True)
class Listed:
    """An incident with what its row alone knows."""

    number: int
    wake_at: datetime | None
    incident: Incident

    @property
    def position(self) -> Position:
        """Where a page that ends with this one ends."""
        return Position(self.incident.state is State.RESOLVED, self.incident.tier, self.number)


@dataclass(frozen=True, slots=True)
class AlertShown:
    """The latest episode of one of an incident's alerts."""

    fingerprint: str
    firing: bool
    starts_at: datetime
    ends_at: datetime | None
    received_at: datetime
    tier: Tier
    row: str
    runbook: str
    generator_url: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Following:
    """How far one destination has been told, in one slot."""

    destination: str
    slot: str
    queue: str
    told: int
    attempts: int
    due_at: datetime | None
    accepted_at: datetime | None
    given_up: str | None


def by_urgency(tx: Connection, wanted: Filter, limit: int, after: Position | None = None) -> list[Listed]:
    """At most ``limit`` incidents after a position: open ones by tier, then the oldest; resolved ones newest first."""
    found = [] if after and after.resolved else _open(tx, wanted, limit, after)
    if len(found) < limit:
        found += _resolved(tx, wanted, limit - len(found), after)
    return found


def find(tx: Connection, reference: str) -> Listed | None:
    """The incident with this id, or this number."""
    if number := _NUMBER.fullmatch(reference):
        which = INCIDENTS.c.number == int(number[1])
    elif _is_uuid(reference):
        which = INCIDENTS.c.id == reference.lower()
    else:
        return None
    rows = _listed(tx, _LISTED.where(which))
    return rows[0] if rows else None


def is_reference(text: str) -> bool:
    """Whether a text is an id or a number of an incident, whether there is one or not."""
    return bool(_NUMBER.fullmatch(text)) or _is_uuid(text)


def open_by_tier(tx: Connection) -> dict[Tier, int]:
    """How many incidents are open, for each tier that has any."""
    counted = tx.execute(sa.select(INCIDENTS.c.tier, sa.func.count()).where(_OPEN).group_by(INCIDENTS.c.tier))
    return {Tier(tier): count for tier, count in sorted(tuple(row) for row in counted)}


def alerts(tx: Connection, incident_ids: Collection[str], most: int) -> dict[str, list[AlertShown]]:
    """At most ``most`` alerts of each incident, firing and urgent ones first."""
    order = (ALERTS.c.firing.desc(), ALERTS.c.tier, ALERTS.c.fingerprint)
    place = sa.func.row_number().over(partition_by=ALERTS.c.incident_id, order_by=order).label("place")
    ranked = (
        sa.select(ALERTS, place).where(ALERTS.c.incident_id.in_(sorted(incident_ids)), ALERTS.c.past == 0).subquery()
    )
    rows = tx.execute(sa.select(ranked).where(ranked.c.place <= most).order_by(ranked.c.incident_id, ranked.c.place))
    found: dict[str, list[AlertShown]] = {}
    for row in rows:
        found.setdefault(row.incident_id, []).append(_alert(row))
    return found


def following(tx: Connection, incident_id: str) -> list[Following]:
    """Every destination that follows this incident, in the order in which they were told first."""
    columns = [CURSORS.c[name] for name in Following.__slots__]
    rows = tx.execute(
        sa.select(*columns)
        .where(CURSORS.c.incident_id == incident_id)
        .order_by(CURSORS.c.accepted_at.is_(None), CURSORS.c.accepted_at, CURSORS.c.slot, CURSORS.c.destination)
    )
    return [Following(**row._mapping) for row in rows]


def deliveries(tx: Connection, incident_id: str, most: int) -> list[Delivery]:
    """The last ``most`` attempts to deliver this incident's news, oldest first."""
    rows = tx.execute(
        sa.select(DELIVERIES)
        .where(DELIVERIES.c.incident_id == incident_id)
        .order_by(DELIVERIES.c.id.desc())
        .limit(most)
    )
    found = [
        Delivery(
            incident_id=row.incident_id,
            destination=row.destination,
            slot=row.slot,
            upto=row.upto,
            attempt=row.attempt,
            started_at=row.started_at,
            ended_at=row.ended_at,
            outcome=Outcome(row.outcome),
            detail=row.detail,
        )
        for row in rows
    ]
    return found[::-1]


def _open(tx: Connection, wanted: Filter, limit: int, after: Position | None) -> list[Listed]:
    if wanted.states == {State.RESOLVED}:
        return []
    statement = _LISTED.where(_OPEN, *_conditions(wanted)).order_by(INCIDENTS.c.tier, INCIDENTS.c.number)
    if after:
        key = sa.tuple_(INCIDENTS.c.tier, INCIDENTS.c.number)
        statement = statement.where(key > sa.tuple_(after.tier.value, after.number))
    return _listed(tx, statement.limit(limit))


def _resolved(tx: Connection, wanted: Filter, limit: int, after: Position | None) -> list[Listed]:
    if wanted.states and State.RESOLVED not in wanted.states:
        return []
    statement = _LISTED.where(_RESOLVED, *_conditions(wanted)).order_by(INCIDENTS.c.number.desc())
    if after and after.resolved:
        statement = statement.where(INCIDENTS.c.number < after.number)
    return _listed(tx, statement.limit(limit))


def _listed(tx: Connection, statement: sa.Select[Any]) -> list[Listed]:
    return [Listed(number, wake_at, load_incident(body)) for number, wake_at, body in tx.execute(statement)]


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    optional = (
        INCIDENTS.c.state.in_(sorted(wanted.states)) if wanted.states else None,
        INCIDENTS.c.tier.in_(sorted(wanted.tiers)) if wanted.tiers else None,
        INCIDENTS.c.system == wanted.system if wanted.system else None,
        _matches(wanted.text) if wanted.text else None,
        INCIDENTS.c.opened_at >= wanted.since if wanted.since else None,
        INCIDENTS.c.opened_at < wanted.until if wanted.until else None,
        {True: INCIDENTS.c.system == DRILL_SYSTEM, False: INCIDENTS.c.system != DRILL_SYSTEM, None: None}[wanted.drill],
        INCIDENTS.c.id.in_(_told_in(wanted.digest)) if wanted.digest else None,
        INCIDENTS.c.observed.is_(wanted.observed) if wanted.observed is not None else None,
    )
    return [condition for condition in optional if condition is not None]


def _told_in(digest: str) -> sa.Select[Any]:
    return sa.select(CURSORS.c.incident_id).where(CURSORS.c.digest == digest)


def _matches(text: str) -> sa.ColumnElement[bool]:
    """``%`` and ``_`` in the text stand for themselves."""
    columns = (INCIDENTS.c.title, INCIDENTS.c.key, INCIDENTS.c.system, INCIDENTS.c.slo)
    found = sa.or_(*(column.icontains(text, autoescape=True) for column in columns))
    number = _NUMBER.fullmatch(text)
    return sa.or_(found, INCIDENTS.c.number == int(number[1])) if number else found


def _alert(row: Any) -> AlertShown:
    return AlertShown(
        fingerprint=row.fingerprint,
        firing=row.firing,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        received_at=row.received_at,
        tier=Tier(row.tier),
        row=row.row,
        runbook=row.runbook,
        generator_url=row.generator_url,
        labels=from_json(row.labels),
        annotations=from_json(row.annotations),
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
