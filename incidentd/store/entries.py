"""Timeline entries: written once, never changed."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.codec import dump_data, load_data
from incidentd.store.tables import ENTRIES
from incidentd.timeline import Entry

_INSERT = sa.insert(ENTRIES)
_AFTER = (
    sa.select(ENTRIES)
    .where(
        ENTRIES.c.incident_id.in_(sa.bindparam("incidents", expanding=True)), ENTRIES.c.number > sa.bindparam("after")
    )
    .order_by(ENTRIES.c.incident_id, ENTRIES.c.number)
)


def insert(tx: Connection, entries: Iterable[tuple[str, Entry]]) -> None:
    """Entries with the id of their incident.

    Raises:
        sqlalchemy.exc.IntegrityError: another writer has given the same number first.
    """
    rows = [
        {
            "incident_id": incident_id,
            "number": entry.number,
            "at": entry.at,
            "due_at": entry.due_at,
            "actor": entry.actor,
            "kind": entry.kind,
            "data": dump_data(entry.data),
        }
        for incident_id, entry in entries
    ]
    if rows:
        tx.execute(_INSERT, rows)


def load(tx: Connection, incident_id: str) -> list[Entry]:
    """All entries of one incident, in order."""
    return load_after(tx, {incident_id: 0}).get(incident_id, [])


def load_after(tx: Connection, after: Mapping[str, int]) -> dict[str, list[Entry]]:
    """The entries of several incidents, each from the one after the given number."""
    found: dict[str, list[Entry]] = {}
    for number, ids in sorted(_by_number(after).items()):
        for row in tx.execute(_AFTER, {"incidents": ids, "after": number}):
            found.setdefault(row.incident_id, []).append(_entry(row))
    return found


def _by_number(after: Mapping[str, int]) -> dict[int, list[str]]:
    """The incidents, sorted, by the number from which they are to be read."""
    ids: dict[int, list[str]] = {}
    for incident_id in sorted(after):
        ids.setdefault(after[incident_id], []).append(incident_id)
    return ids


def _entry(row: sa.Row[tuple[object, ...]]) -> Entry:
    return Entry(row.number, row.at, row.actor, load_data(row.kind, row.data), row.due_at)
