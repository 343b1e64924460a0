"""What came in beside alerts: bodies that could not be understood, and signatures already seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.reaction import TOLD_FOR
from incidentd.store.tables import REACTIONS, SEEN, SET_ASIDE

SIGNATURES_KEPT = timedelta(minutes=15)
"""Longer than the five minutes for which a signed request is valid."""

BODY_EVERY = timedelta(hours=1)
"""One body of a source and reason shows what is wrong; a sender that goes on for days is not to fill the disk."""

BODIES_KEPT = timedelta(days=30)


def set_aside(tx: Connection, rows: Sequence[tuple[str, str, bytes]], now: datetime) -> None:
    """Keep (source, reason, raw body) of what could not be understood: one body an hour, for thirty days."""
    if not rows:
        return
    tx.execute(sa.delete(SET_ASIDE).where(SET_ASIDE.c.at < now - BODIES_KEPT))
    recent = tx.execute(sa.select(SET_ASIDE.c.source, SET_ASIDE.c.reason).where(SET_ASIDE.c.at > now - BODY_EVERY))
    kept = {(source, reason) for source, reason in recent}
    # Of several bodies in one call the first is kept.
    new = {(source, reason): body for source, reason, body in reversed(rows) if (source, reason) not in kept}
    if new:
        tx.execute(
            sa.insert(SET_ASIDE),
            [{"at": now, "source": source, "reason": reason, "body": new[source, reason]} for source, reason in new],
        )


def is_seen(tx: Connection, signature: str) -> bool:
    """Whether a signed request has had its effect already."""
    return tx.scalar(sa.select(SEEN.c.at).where(SEEN.c.signature == signature)) is not None


def remember(tx: Connection, signature: str, now: datetime) -> None:
    """A signed request has its effect in this transaction; those that are not valid any more are forgotten.

    Nothing is, while a reaction from before then is not carried out to its end: what it has done so far is known by it.
    """
    before = now - SIGNATURES_KEPT
    is_under_way = sa.exists().where(
        REACTIONS.c.due_at.is_not(None), REACTIONS.c.received_at < before, REACTIONS.c.received_at > now - TOLD_FOR
    )
    tx.execute(sa.delete(SEEN).where(SEEN.c.at < before, sa.not_(is_under_way)))
    tx.execute(sa.insert(SEEN).values(signature=signature, at=now))
