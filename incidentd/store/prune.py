"""What is past its time, found in small steps and removed in small transactions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.drill import is_drill
from incidentd.incident.state import Incident
from incidentd.incident.summary import summarise
from incidentd.store import entries, incidents, rules, shadow, summaries
from incidentd.store.codec import load_incident
from incidentd.store.tables import (
    ALERTS,
    CURSORS,
    DELIVERIES,
    ENTRIES,
    INCIDENTS,
    RULES,
    RULES_IN_FORCE,
    SET_ASIDE,
    microseconds,
)

BATCH = 500
"""How many rows one look reads: few enough for no time-out."""

Episode = tuple[str, int]
"""(fingerprint, past): an alert's row."""

_BY_INCIDENT = (CURSORS, DELIVERIES, ENTRIES, ALERTS)
_VERSION = {
    "sqlite": sa.func.json_extract(INCIDENTS.c.body, "$.version"),
    "postgresql": sa.cast(INCIDENTS.c.body, sa.JSON)["version"].as_string(),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found, and where the next one begins; None after the last."""

    found: Mapping[str, int]
    after: int | None


def is_over(incident: Incident, before: datetime) -> bool:
    """Whether it was resolved before then, and nothing can open it again: no alert fires or waits (model 22 to 24)."""
    members = incident.members.values()
    waits = any(member.firing or member.counts_at for member in members)
    return incident.resolved_at is not None and incident.resolved_at < before and not waits


def look(tx: Connection, before: datetime, after: int) -> Look:
    """Ids and versions of incidents that are over, among the next ones with a number above ``after``."""
    columns = (INCIDENTS.c.number, INCIDENTS.c.opened_at, INCIDENTS.c.body)
    rows = tx.execute(
        sa.select(*columns).where(INCIDENTS.c.number > after).order_by(INCIDENTS.c.number).limit(BATCH)
    ).all()
    loaded = [load_incident(body) for _, opened_at, body in rows if opened_at < before]
    found = {each.id: each.last for each in loaded if is_over(each, before)}
    # Numbers are given in the order of opening: behind a whole look of younger ones is none that is older.
    return Look(found, rows[-1][0] if len(rows) == BATCH and loaded else None)


def remove(tx: Connection, versions: Mapping[str, int], before: datetime) -> int:
    """Remove incidents that are still as they were looked at, but for a line for reports. Returns how many.

    Drills leave no line: reports are of what was real.
    """
    held = [each.incident for each in incidents.lock(tx, ids=versions)]
    ids = [each.id for each in held if each.last == versions[each.id] and is_over(each, before)]
    if not ids:
        return 0
    timelines = entries.load_after(tx, dict.fromkeys(ids, 0))
    real = [each.id for each in held if each.id in ids and not is_drill(each.system)]
    summaries.insert(tx, [summary for each in real for summary in summarise(timelines[each])])
    for table in _BY_INCIDENT:
        tx.execute(sa.delete(table).where(table.c.incident_id.in_(ids)))
    tx.execute(sa.delete(INCIDENTS).where(INCIDENTS.c.id.in_(ids)))
    return len(ids)


def episodes(tx: Connection, before: datetime, after: Episode) -> tuple[list[Episode], Episode | None]:
    """Alert episodes that were heard of last before then, among the next ones; and where the next look begins.

    Of the past, and those that no incident ever had. The latest episode of an incident's alert goes with that.
    """
    order = (ALERTS.c.fingerprint, ALERTS.c.past)
    rows = tx.execute(
        sa.select(*order, ALERTS.c.received_at, ALERTS.c.incident_id, ALERTS.c.firing)
        .where(sa.tuple_(*order) > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])))
        .order_by(*order)
        .limit(BATCH)
    ).all()
    old = [row for row in rows if row.received_at < before]
    found = [(row.fingerprint, row.past) for row in old if row.past or (row.incident_id is None and not row.firing)]
    return found, (rows[-1].fingerprint, rows[-1].past) if len(rows) == BATCH else None


def remove_episodes(tx: Connection, found: Sequence[Episode], before: datetime) -> int:
    """Remove those that nobody has heard of since. Returns how many."""
    gone = sa.delete(ALERTS).where(
        ALERTS.c.fingerprint == sa.bindparam("f"),
        ALERTS.c.past == sa.bindparam("p"),
        ALERTS.c.received_at < sa.bindparam("b", microseconds(before), type_=sa.BigInteger),
    )
    for fingerprint, past in sorted(found):
        tx.execute(gone, {"f": fingerprint, "p": past, "b": microseconds(before)})
    return len(found)


def bodies(tx: Connection, before: datetime, *, remove: bool) -> int:
    """Bodies that could not be understood; how many there are, or were."""
    return _older(tx, SET_ASIDE, SET_ASIDE.c.at < before, remove=remove)


def versions_in_use(tx: Connection, after: int) -> tuple[set[str], int | None]:
    """The rules that the next incidents with a number above ``after`` follow; and where the next look begins."""
    rows = tx.execute(
        sa.select(INCIDENTS.c.number, _VERSION[tx.dialect.name])
        .where(INCIDENTS.c.number > after)
        .order_by(INCIDENTS.c.number)
        .limit(BATCH)
    ).all()
    return {str(version) for _, version in rows}, rows[-1][0] if len(rows) == BATCH else None


def tables(tx: Connection, before: datetime, used: Collection[str], *, remove: bool) -> int:
    """Rules that were not in force since then, and that no incident follows; how many there are, or were."""
    since = sa.select(sa.func.max(RULES_IN_FORCE.c.id)).where(RULES_IN_FORCE.c.since < before).scalar_subquery()
    past = RULES_IN_FORCE.c.id < since
    later = tx.scalars(sa.select(RULES_IN_FORCE.c.version).where(sa.not_(sa.func.coalesce(past, sa.false()))))
    kept = {*used, *later, *filter(None, [rules.in_force(tx), shadow.in_force(tx)])}
    stored = set(tx.scalars(sa.select(RULES.c.version).where(RULES.c.stored_at < before)))
    if remove:
        tx.execute(sa.delete(RULES_IN_FORCE).where(past))
        tx.execute(sa.delete(RULES).where(RULES.c.version.in_(sorted(stored - kept))))
    return len(stored - kept)


def _older(tx: Connection, table: sa.Table, which: sa.ColumnElement[bool], *, remove: bool) -> int:
    count = tx.scalar(sa.select(sa.func.count()).select_from(table).where(which)) or 0
    if remove and count:
        tx.execute(sa.delete(table).where(which))
    return count
