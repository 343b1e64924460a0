"""Alert episodes: labels once, start, end, and the values seen."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.classify.verdict import Verdict
from incidentd.errors import ConflictError
from incidentd.store.tables import ALERTS, INCIDENTS, microseconds

READINGS_KEPT = 100

Row = tuple[object, ...]
"""The values of the table's columns, in their order."""


class Known(NamedTuple):
    """The episode of a fingerprint that was heard of last. ``open``: the incident it belongs to is not resolved.

    ``begun_at`` is its start, or when it was first heard of where a clock that is ahead says that it starts later.
    """

    fingerprint: str
    starts_at: datetime
    begun_at: datetime
    incident_id: str | None
    firing: bool
    closed_at: datetime | None
    digest: int
    open: bool
    readings: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An episode as it is shown."""

    fingerprint: str
    starts_at: datetime
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    runbook: str


class Episode(NamedTuple):
    """What is written of an alert as it was just heard.

    ``replaces``: the start of another episode that is stored as the latest one. ``first``: none is stored of this
    fingerprint.
    """

    alert: Alert
    verdict: Verdict
    digest: int
    incident_id: str | None
    readings: str
    replaces: datetime | None = None
    first: bool = False


_FINGERPRINTS = sa.and_(ALERTS.c.fingerprint.in_(sa.bindparam("fingerprints", expanding=True)), ALERTS.c.past == 0)
# No join: until PostgreSQL has gathered statistics, it would read all incidents for one.
_IS_OPEN = sa.select(INCIDENTS.c.resolved_at.is_(None)).where(INCIDENTS.c.id == ALERTS.c.incident_id).scalar_subquery()
_KNOWN = sa.select(
    ALERTS.c.fingerprint,
    ALERTS.c.starts_at,
    ALERTS.c.received_at,
    ALERTS.c.incident_id,
    ALERTS.c.firing,
    ALERTS.c.closed_at,
    ALERTS.c.digest,
    _IS_OPEN,
    ALERTS.c.readings,
)
_LISTED = sa.bindparam("fingerprints", type_=postgresql.ARRAY(sa.Text))
_LATEST = {
    "sqlite": _KNOWN.where(_FINGERPRINTS),
    # One array instead of a parameter for each.
    "postgresql": _KNOWN.where(ALERTS.c.fingerprint == sa.any_(_LISTED), ALERTS.c.past == 0),
}
_OF_INCIDENTS = (
    sa.select(
        ALERTS.c.incident_id,
        ALERTS.c.fingerprint,
        ALERTS.c.starts_at,
        ALERTS.c.firing,
        ALERTS.c.labels,
        ALERTS.c.annotations,
        ALERTS.c.generator_url,
        ALERTS.c.runbook,
    )
    .where(ALERTS.c.incident_id.in_(sa.bindparam("incidents", expanding=True)), ALERTS.c.past == 0)
    .order_by(ALERTS.c.incident_id, ALERTS.c.firing.desc(), ALERTS.c.tier, ALERTS.c.fingerprint)
)
_START = sa.bindparam("the_start", type_=sa.BigInteger)
_OF_ONE = ALERTS.c.fingerprint == sa.bindparam("the_fingerprint")
_RETIRE = (
    sa.update(ALERTS)
    .where(_OF_ONE, ALERTS.c.past == 0, sa.type_coerce(ALERTS.c.starts_at, sa.BigInteger) == _START)
    .values(past=_START)
)
_MAKE_ROOM = sa.delete(ALERTS).where(_OF_ONE, ALERTS.c.past == _START)


def _upsert(insert: Any) -> Any:
    kept = ("fingerprint", "past", "starts_at", "received_at", "labels")
    changed = {column.name: insert.excluded[column.name] for column in ALERTS.c if column.name not in kept}
    same = ALERTS.c.starts_at == insert.excluded.starts_at
    return insert.on_conflict_do_update(index_elements=["fingerprint", "past"], set_=changed, where=same)


# One text instead of a parameter for each value: a storm is many rows of many columns.
_HEARD = (
    sa.func.json_to_recordset(sa.bindparam("rows", type_=sa.Text).cast(postgresql.JSON))
    .table_valued(*(sa.column(column.name, column.type) for column in ALERTS.c), name="heard")
    .render_derived(with_types=True)
)
_INSERT_POSTGRESQL = postgresql.insert(ALERTS).from_select([column.name for column in ALERTS.c], sa.select(*_HEARD.c))
_WRITE_POSTGRESQL = _upsert(_INSERT_POSTGRESQL).execution_options(preserve_rowcount=True)
# The text alone: what SQLAlchemy does to the parameters of a hundred rows takes as long as SQLite does to write them.
_INSERT_SQLITE = str(sqlite.insert(ALERTS).compile(dialect=sqlite.dialect()))
_WRITE_SQLITE = str(_upsert(sqlite.insert(ALERTS)).compile(dialect=sqlite.dialect()))
_COLUMNS = [str(column.name) for column in ALERTS.c]
_COPY = f"COPY alerts ({', '.join(_COLUMNS)}) FROM STDIN"
_MANY = 20


def latest(tx: Connection, fingerprints: Collection[str]) -> dict[str, Known]:
    """The latest episode of each fingerprint that has one."""
    if not fingerprints:
        return {}
    rows = tx.execute(_LATEST[tx.dialect.name], {"fingerprints": sorted(fingerprints)})
    return {
        row[0]: Known(row[0], row[1], min(row[1], row[2]), row[3], row[4], row[5], row[6], bool(row[7]), row[8])
        for row in rows
    }


def of_incidents(tx: Connection, incident_ids: Collection[str], limit: int) -> dict[str, list[Stored]]:
    """The latest episodes of each incident, firing and most urgent first, at most ``limit`` each."""
    found: dict[str, list[Stored]] = {}
    for row in tx.execute(_OF_INCIDENTS, {"incidents": sorted(incident_ids)}):
        kept = found.setdefault(row[0], [])
        if len(kept) < limit:
            kept.append(Stored(row[1], row[2], row[3], from_json(row[4]), from_json(row[5]), row[6], row[7]))
    return found


def write(tx: Connection, episodes: Sequence[Episode], now: datetime) -> None:
    """Insert or bring up to date, in the order in which they were heard: the last of a fingerprint is its latest.

    Rows are written in one order for all writers, so that two of them seldom wait for each other.

    Raises:
        ConflictError, sqlalchemy.exc.IntegrityError: what is stored of one is no longer what was known of it, as
            another writer was first.
    """
    if not episodes:
        return
    last = {e.alert.fingerprint: e.alert.starts_at for e in episodes}
    _retire(tx, episodes, last)
    at = microseconds(now)
    first: list[Row] = []
    further: list[Row] = []
    for each in sorted(episodes, key=_place):
        row = _row(each, last[each.alert.fingerprint] == each.alert.starts_at, at)
        (first if each.first else further).append(row)
    if first:
        _insert(tx, first)
    if further:
        _upsert_all(tx, further)


def _retire(tx: Connection, episodes: Sequence[Episode], last: Mapping[str, datetime]) -> None:
    """Make what is replaced an episode of the past. One that comes back from there is stored once all the same."""
    replaced = {
        e.alert.fingerprint: e.replaces for e in episodes if e.replaces and e.replaces != last[e.alert.fingerprint]
    }
    if not replaced:
        return
    retired = _places(replaced.items())
    tx.execute(_MAKE_ROOM, _places({*replaced.items(), *((each, last[each]) for each in replaced)}))
    _all_written(tx.execute(_RETIRE, retired), len(retired))


def _insert(tx: Connection, rows: Sequence[Row]) -> None:
    """First episodes: if there is one by now, whoever takes this for the first decided on too little."""
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(_INSERT_SQLITE, list(rows))
    elif len(rows) >= _MANY:
        # Takes half as long.
        tx.exec_driver_sql(_COPY, list(rows))
    else:
        tx.execute(_INSERT_POSTGRESQL, _as_text(rows))


def _upsert_all(tx: Connection, rows: Sequence[Row]) -> None:
    if tx.dialect.name == "sqlite":
        _all_written(tx.exec_driver_sql(_WRITE_SQLITE, list(rows)), len(rows))
    else:
        _all_written(tx.execute(_WRITE_POSTGRESQL, _as_text(rows)), len(rows))


def _as_text(rows: Sequence[Row]) -> dict[str, str]:
    by_name = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    return {"rows": to_json(by_name).decode()}


def _places(starts: Iterable[tuple[str, datetime]]) -> list[dict[str, object]]:
    return [{"the_fingerprint": each, "the_start": microseconds(start)} for each, start in sorted(starts)]


def _all_written(result: sa.CursorResult[Any], rows: int) -> None:
    if result.rowcount != rows:
        raise ConflictError("another writer has stored another episode")


def _place(episode: Episode) -> tuple[str, datetime]:
    return (episode.alert.fingerprint, episode.alert.starts_at)


def _row(episode: Episode, latest: bool, at: int) -> Row:
    alert, verdict = episode.alert, episode.verdict
    starts_at = microseconds(alert.starts_at)
    return (
        alert.fingerprint,
        0 if latest else starts_at,
        starts_at,
        episode.incident_id,
        alert.firing,
        alert.ends_at and microseconds(alert.ends_at),
        at,
        None if alert.firing else at,
        episode.digest,
        verdict.row,
        verdict.tier.value,
        verdict.runbook,
        to_json(alert.labels).decode(),
        to_json(alert.annotations).decode(),
        alert.generator_url,
        episode.readings,
    )


def readings(alert: Alert, known: Known | None, now: datetime) -> str:
    """``[[instant, value], …]``, one for each change of the value."""
    before = known.readings if known and known.starts_at == alert.starts_at else "[]"
    value = alert.annotations.get("value")
    return before if value is None else _read_too(before, value, now)


@lru_cache(maxsize=256)
def _read_too(before: str, value: str, now: datetime) -> str:
    seen = from_json(before)
    if seen and seen[-1][1] == value:
        return before
    return to_json([*seen, [now.isoformat(), value]][-READINGS_KEPT:]).decode()
