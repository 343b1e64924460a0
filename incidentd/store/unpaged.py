"""Pages that a receiver has not taken for long: those that wait in line, and those of a digest's incidents."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.store.cursors import DIGEST_SLOT, Name
from incidentd.store.digests import Digest
from incidentd.store.tables import CURSORS, INCIDENTS

_MEMBER, _PAGE, _SHARED = CURSORS.alias("member"), CURSORS.alias("page"), CURSORS.alias("shared")


def in_line(tx: Connection, since: datetime, most: int) -> list[Name]:
    """Pages that have waited for a receiver's limit since then or longer, of incidents that nobody has answered.

    The most urgent first. Locks nothing.
    """
    return [
        (row[0], row[1], row[2])
        for row in tx.execute(
            sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
            .join(INCIDENTS, INCIDENTS.c.id == CURSORS.c.incident_id)
            .where(CURSORS.c.held_by.is_not(None), CURSORS.c.queue == PAGE, CURSORS.c.accepted_at.is_(None))
            .where(CURSORS.c.behind_since <= since, INCIDENTS.c.state == State.TRIGGERED.value)
            .order_by(CURSORS.c.tier, CURSORS.c.behind_since, CURSORS.c.incident_id)
            .limit(most)
        )
    ]


def of_digest(tx: Connection, digest: Digest, attempts: int, since: datetime) -> Sequence[str]:
    """Destinations that lack pages of incidents in this digest that nobody has answered, sorted.

    They have failed so many times, by themselves or in a page that many share, were given up, or have waited in line
    since then.
    """

    def is_late(page: sa.FromClause) -> sa.ColumnElement[bool]:
        waits = sa.and_(page.c.held_by.is_not(None), page.c.behind_since <= since)
        return sa.or_(sa.and_(page.c.failed, page.c.attempts >= attempts), page.c.given_up.is_not(None), waits)

    its_page = sa.and_(_PAGE.c.incident_id == _MEMBER.c.incident_id, _PAGE.c.queue == PAGE)
    shared = sa.and_(_SHARED.c.incident_id == _PAGE.c.digest, _SHARED.c.slot == DIGEST_SLOT)
    found = (
        sa.select(_PAGE.c.destination)
        .distinct()
        .select_from(_MEMBER)
        .join(INCIDENTS, INCIDENTS.c.id == _MEMBER.c.incident_id)
        .join(_PAGE, its_page)
        .outerjoin(_SHARED, shared)
        .where(_MEMBER.c.digest == digest.id, INCIDENTS.c.state == State.TRIGGERED.value)
        .where(_PAGE.c.accepted_at.is_(None), sa.or_(is_late(_PAGE), is_late(_SHARED)))
        .order_by(_PAGE.c.destination)
    )
    return list(tx.scalars(found))
