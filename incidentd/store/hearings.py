"""When each firing alert was last heard of, and which incidents nothing was heard of for long."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from incidentd.store.sightings import FIRING
from incidentd.store.tables import ALERTS, HEARINGS

KEPT = timedelta(days=40)
"""Longer than anybody waits before asking: an alert without a row was last heard of when it was first."""

_TOGETHER = 500
_HEARD_AT = sa.func.coalesce(HEARINGS.c.heard_at, ALERTS.c.received_at)
_FIRST_AT = ALERTS.c.received_at
_LAST = sa.func.max(sa.case((_FIRST_AT < _HEARD_AT, _HEARD_AT), else_=_FIRST_AT))
_SILENT = (
    sa.select(ALERTS.c.incident_id, _LAST)
    .select_from(ALERTS.outerjoin(HEARINGS, HEARINGS.c.fingerprint == ALERTS.c.fingerprint))
    .where(FIRING)
    .group_by(ALERTS.c.incident_id)
    .having(sa.bindparam("line", type_=HEARINGS.c.heard_at.type) >= _LAST)
    .order_by(ALERTS.c.incident_id)
)


def note(tx: Connection, heard: Mapping[str, datetime]) -> None:
    """When these fingerprints were heard of."""
    insert = sqlite.insert(HEARINGS) if tx.dialect.name == "sqlite" else postgresql.insert(HEARINGS)
    statement = insert.on_conflict_do_update(
        index_elements=["fingerprint"], set_={"heard_at": insert.excluded.heard_at}
    )
    rows = [{"fingerprint": each, "heard_at": at} for each, at in sorted(heard.items())]
    for start in range(0, len(rows), _TOGETHER):
        tx.execute(statement, rows[start : start + _TOGETHER])


def silent(tx: Connection, line: datetime) -> dict[str, datetime]:
    """Open incidents none of whose firing alerts was heard of after ``line``; with when one last was."""
    return {row[0]: row[1] for row in tx.execute(_SILENT, {"line": line})}


def forget(tx: Connection, now: datetime) -> None:
    """Rows that say nothing any more."""
    tx.execute(sa.delete(HEARINGS).where(HEARINGS.c.heard_at < now - KEPT))
