"""Incident rows: the folded state, and the columns by which it is found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.errors import ConflictError
from incidentd.incident.state import Incident, State
from incidentd.incident.wake import wake_at
from incidentd.store.codec import dump_incident, load_incident
from incidentd.store.tables import ENTRIES, INCIDENTS


@dataclass(frozen=True, slots=True)
class Held:
    """An incident as stored. ``holds``: whether it is the one that takes new alerts of its key."""

    incident: Incident
    holds: bool


_IDS = INCIDENTS.c.id.in_(sa.bindparam("ids", expanding=True))
_KEYS = INCIDENTS.c.holds.in_(sa.bindparam("keys", expanding=True))
_HELD = sa.select(INCIDENTS.c.body, INCIDENTS.c.holds).order_by(INCIDENTS.c.id).with_for_update()
_LOCK = {
    (True, False): _HELD.where(_IDS),
    (False, True): _HELD.where(_KEYS),
    (True, True): _HELD.where(sa.or_(_IDS, _KEYS)),
}
_HOLD = sa.select(INCIDENTS.c.id).where(_IDS).order_by(INCIDENTS.c.id).with_for_update()
_LOAD = sa.select(INCIDENTS.c.id, INCIDENTS.c.number, INCIDENTS.c.body).where(_IDS)
_VERSIONS = sa.select(INCIDENTS.c.id, INCIDENTS.c.version).where(_IDS)
_TRIGGERED = sa.select(INCIDENTS.c.id).where(_IDS, INCIDENTS.c.state == State.TRIGGERED.value)
_INSERT = sa.insert(INCIDENTS)
_CHANGING = [column.name for column in INCIDENTS.c if column.name not in ("number", "id", "holds")]
_UPDATE = (
    sa.update(INCIDENTS)
    .where(INCIDENTS.c.id == sa.bindparam("the_id"), INCIDENTS.c.version == sa.bindparam("the_version"))
    .values({name: sa.bindparam(name) for name in _CHANGING})
)
_AT_ONCE = 1000
"""Parameters that every driver takes in one statement, by far."""
_FARTHEST = timedelta(minutes=6)
"""Beyond every mark: whoever wrote a later one had a clock which has gone back since."""
_IS_UNASKED = sa.or_(
    INCIDENTS.c.asked_at.is_(None),
    INCIDENTS.c.asked_at <= sa.bindparam("asked_before"),
    INCIDENTS.c.asked_at > sa.bindparam("horizon"),
)
_IS_DUE = sa.and_(INCIDENTS.c.wake_at <= sa.bindparam("now"), _IS_UNASKED)
_ANY_DUE = sa.select(sa.exists().where(_IS_DUE))
_NO_LONGER_OBSERVED = sa.and_(
    INCIDENTS.c.observed,
    INCIDENTS.c.resolved_at.is_(None),
    INCIDENTS.c.system.not_in(sa.bindparam("systems", expanding=True)),
    INCIDENTS.c.state.in_((State.TRIGGERED.value, State.ACKNOWLEDGED.value)),
    _IS_UNASKED,
)
_ANY_NO_LONGER_OBSERVED = sa.select(sa.exists().where(_NO_LONGER_OBSERVED))
_TO_ENFORCE = (
    sa.select(INCIDENTS.c.id)
    .where(_NO_LONGER_OBSERVED)
    .order_by(INCIDENTS.c.tier, INCIDENTS.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_DUE = (
    sa.select(INCIDENTS.c.id)
    .where(_IS_DUE)
    .order_by(INCIDENTS.c.tier, INCIDENTS.c.wake_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ASK = sa.update(INCIDENTS).where(_IDS).values(asked_at=sa.bindparam("now"))

_DATED_AFTER = (
    sa.select(INCIDENTS.c.id, sa.func.max(ENTRIES.c.at))
    .join(ENTRIES, ENTRIES.c.incident_id == INCIDENTS.c.id)
    .where(INCIDENTS.c.wake_at.is_not(None), ENTRIES.c.at > sa.bindparam("horizon"))
    .group_by(INCIDENTS.c.id)
)


def lock(tx: Connection, *, ids: Collection[str] = (), keys: Collection[str] = ()) -> list[Held]:
    """Load incidents by id or by the key they hold, and keep others from changing them; in order of id."""
    if not ids and not keys:
        return []
    rows = tx.execute(_LOCK[bool(ids), bool(keys)], {"ids": sorted(ids), "keys": sorted(keys)})
    return [Held(load_incident(body), holds is not None) for body, holds in rows]


def hold(tx: Connection, ids: Collection[str]) -> None:
    """Keep others from changing these, however many they are, until the transaction ends; in order of id."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        tx.execute(_HOLD, {"ids": ordered[start : start + _AT_ONCE]})


def load(tx: Connection, ids: Collection[str]) -> dict[str, tuple[int, Incident]]:
    """Incidents with their numbers, by id, as they stand; those that don't exist are absent."""
    rows = tx.execute(_LOAD, {"ids": sorted(ids)})
    return {id_: (number, load_incident(body)) for id_, number, body in rows}


def versions(tx: Connection, ids: Collection[str]) -> dict[str, int]:
    """How far each of the incidents has come: the number of its last entry."""
    return {row[0]: row[1] for row in tx.execute(_VERSIONS, {"ids": sorted(ids)})}


def triggered(tx: Connection, ids: Collection[str]) -> set[str]:
    """Those of the incidents that fire and that nobody has answered."""
    return set(tx.scalars(_TRIGGERED, {"ids": sorted(ids)}))


def holding(tx: Connection, keys: Collection[str]) -> frozenset[str]:
    """Those of the keys for which an incident is open."""
    is_held = INCIDENTS.c.holds.in_(sorted(keys))
    held = tx.scalars(sa.select(INCIDENTS.c.holds).where(is_held, INCIDENTS.c.resolved_at.is_(None)))
    return frozenset(filter(None, held))


def insert(tx: Connection, incidents: Sequence[Incident]) -> None:
    """New incidents, each holding its key.

    Raises:
        sqlalchemy.exc.IntegrityError: another writer opened one for the same key first.
    """
    if incidents:
        tx.execute(_INSERT, [{"id": i.id, "holds": i.key, **_columns(i)} for i in incidents])


def update(tx: Connection, changed: Sequence[tuple[int, Incident]]) -> None:
    """Incidents with the version each had when it was read.

    Raises:
        ConflictError: one of them has been changed by another writer meanwhile.
    """
    if not changed:
        return
    parameters = [{"the_id": i.id, "the_version": read, **_columns(i)} for read, i in changed]
    result = tx.execute(_UPDATE, parameters)
    if result.rowcount != len(changed):
        raise ConflictError("an incident was changed by another writer")


def release(tx: Connection, ids: Collection[str]) -> None:
    """Resolved incidents whose key a new one takes."""
    if ids:
        tx.execute(sa.update(INCIDENTS).where(INCIDENTS.c.id.in_(sorted(ids))).values(holds=None))


def mark_due(tx: Connection, now: datetime, mark: timedelta, limit: int) -> list[str]:
    """Ids of incidents whose time has come and that nobody has asked about within ``mark``; the most urgent first."""
    ids = list(tx.scalars(_DUE, _asked(now, mark) | {"most": limit}))
    if ids:
        tx.execute(_ASK, {"ids": ids, "now": now})
    return ids


def dated_after(tx: Connection, horizon: datetime) -> dict[str, datetime]:
    """Incidents that time will change and that have entries dated later than ``horizon``, with the latest such date."""
    return {row[0]: row[1] for row in tx.execute(_DATED_AFTER, {"horizon": horizon})}


def let_alone(tx: Connection, incident_id: str, until: datetime) -> None:
    """Keep one incident from being found due before ``until``."""
    tx.execute(sa.update(INCIDENTS).where(INCIDENTS.c.id == incident_id).values(asked_at=until))


def any_due(tx: Connection, now: datetime, mark: timedelta) -> bool:
    """Whether ``mark_due`` would find any."""
    return tx.scalar(_ANY_DUE, _asked(now, mark)) or False


def mark_no_longer_observed(
    tx: Connection, systems: Collection[str], now: datetime, mark: timedelta, limit: int
) -> list[str]:
    """Ids of incidents that are only observed and fire, though their system is none of ``systems``; marked likewise."""
    ids = list(tx.scalars(_TO_ENFORCE, _observed(systems, now, mark) | {"most": limit}))
    if ids:
        tx.execute(_ASK, {"ids": ids, "now": now})
    return ids


def any_no_longer_observed(tx: Connection, systems: Collection[str], now: datetime, mark: timedelta) -> bool:
    """Whether ``mark_no_longer_observed`` would find any."""
    return tx.scalar(_ANY_NO_LONGER_OBSERVED, _observed(systems, now, mark)) or False


def _asked(now: datetime, mark: timedelta) -> dict[str, object]:
    """The parameters of ``_IS_DUE``."""
    return {"now": now, **_unasked(now, mark)}


def _observed(systems: Collection[str], now: datetime, mark: timedelta) -> dict[str, object]:
    """The parameters of ``_NO_LONGER_OBSERVED``."""
    return {"systems": sorted(systems), **_unasked(now, mark)}


def _unasked(now: datetime, mark: timedelta) -> dict[str, object]:
    return {"asked_before": now - mark, "horizon": now + _FARTHEST}


def _columns(incident: Incident) -> dict[str, object]:
    return {
        "key": incident.key,
        "system": incident.system,
        "slo": incident.slo,
        "title": incident.title,
        "tier": incident.tier.value,
        "state": incident.state.value,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "wake_at": wake_at(incident),
        "asked_at": None,
        "version": incident.last,
        "news": incident.news,
        "body": dump_incident(incident),
        "observed": incident.observed,
    }
