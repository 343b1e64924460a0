"""What each Alertmanager showed of alerts, how each of them answers, and what of ours can be held against that."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.store.tables import ALERTMANAGERS, ALERTS, INCIDENTS, SIGHTINGS

OWN_ROW = "incidentd"
OWN_ROWS = "heartbeats/"
"""The rows of alerts that incidentd raises itself: no Alertmanager knows of those."""


def is_own(row: str) -> bool:
    """Whether incidentd raised the alert itself, so that no row of a table decides on it."""
    return row == OWN_ROW or row.startswith(OWN_ROWS)


class Sighting(NamedTuple):
    """``started_at``: when the Alertmanager had started that showed it last, by its own clock.

    ``gone_since``: it has shown it no more. ``untold_since``: it has shown it, and incidentd was not told.
    ``quiet``: why it tells nobody.
    """

    fingerprint: str
    alertmanager: str
    starts_at: datetime
    started_at: datetime
    gone_since: datetime | None
    untold_since: datetime | None
    quiet: str


class Answering(NamedTuple):
    """How one Alertmanager answers. ``answered_at``: when it last did; ``fault``: what is wrong since then."""

    name: str
    first_asked_at: datetime
    answered_at: datetime | None
    fault: str


FIRING = sa.and_(
    # Open ones by their index, and their alerts by theirs: as a join, SQLite would rather read all alerts there ever
    # were.
    ALERTS.c.incident_id.in_(sa.select(INCIDENTS.c.id).where(INCIDENTS.c.resolved_at.is_(None))),
    ALERTS.c.past == 0,
    ALERTS.c.firing,
    ALERTS.c.row != OWN_ROW,
    sa.not_(ALERTS.c.row.startswith(OWN_ROWS)),
)
"""Alerts that others told, and that fire in an open incident."""

_FIRING = sa.select(ALERTS.c.fingerprint, ALERTS.c.starts_at, ALERTS.c.incident_id).where(FIRING)
_NAMED = sa.and_(
    SIGHTINGS.c.fingerprint == sa.bindparam("the_fingerprint"), SIGHTINGS.c.alertmanager == sa.bindparam("the_name")
)


def firing(tx: Connection) -> list[tuple[str, datetime, str]]:
    """Fingerprint, start and incident of each alert that others told, and that fires in an open incident."""
    return [(row[0], row[1], row[2]) for row in tx.execute(_FIRING)]


def stored(tx: Connection, fingerprints: Collection[str]) -> list[Alert]:
    """The latest episodes as they were told, by fingerprint."""
    columns = (ALERTS.c[name] for name in ("fingerprint", "labels", "annotations", "starts_at", "generator_url"))
    wanted = ALERTS.c.fingerprint.in_(sorted(fingerprints))
    rows = tx.execute(sa.select(*columns).where(wanted, ALERTS.c.past == 0).order_by(ALERTS.c.fingerprint))
    return [Alert(each[0], from_json(each[1]), from_json(each[2]), each[3], None, True, each[4]) for each in rows]


def all_of_them(tx: Connection) -> dict[tuple[str, str], Sighting]:
    """By fingerprint and Alertmanager."""
    found = [Sighting(*row) for row in tx.execute(sa.select(SIGHTINGS))]
    return {(each.fingerprint, each.alertmanager): each for each in found}


def write(
    tx: Connection, before: Mapping[tuple[str, str], Sighting], after: Mapping[tuple[str, str], Sighting]
) -> None:
    """Bring what is stored from the one to the other."""
    changed = [each for key, each in after.items() if before.get(key) != each]
    gone = [key for key in before if key not in after] + [(each.fingerprint, each.alertmanager) for each in changed]
    if gone:
        tx.execute(sa.delete(SIGHTINGS).where(_NAMED), [{"the_fingerprint": f, "the_name": name} for f, name in gone])
    if changed:
        tx.execute(sa.insert(SIGHTINGS), [each._asdict() for each in changed])


def answering(tx: Connection) -> list[Answering]:
    """Every Alertmanager that was asked, by name."""
    return [Answering(*row) for row in tx.execute(sa.select(ALERTMANAGERS).order_by(ALERTMANAGERS.c.name))]


def note_answers(tx: Connection, answers: Iterable[Answering], names: Collection[str]) -> None:
    """Replace how these answered; forget whoever is not among ``names``."""
    listed = list(answers)
    tx.execute(sa.delete(ALERTMANAGERS).where(ALERTMANAGERS.c.name.not_in(sorted(names))))
    tx.execute(sa.delete(ALERTMANAGERS).where(ALERTMANAGERS.c.name.in_([each.name for each in listed])))
    if listed:
        tx.execute(sa.insert(ALERTMANAGERS), [each._asdict() for each in listed])
