"""What came in beside alerts: bodies that could not be understood, and signatures already seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import SEEN, SET_ASIDE

SIGNATURES_KEPT = timedelta(minutes=15)
"""Longer than the five minutes for which a signed request is valid."""


def set_aside(tx: Connection, rows: Sequence[tuple[str, str, bytes]], now: datetime) -> None:
    """Keep (source, reason, raw body) of what could not be understood."""
    if rows:
        tx.execute(
            sa.insert(SET_ASIDE),
            [{"at": now, "source": source, "reason": reason, "body": body} for source, reason, body in rows],
        )


def first_time(tx: Connection, signature: str, now: datetime) -> bool:
    """Whether a signed request comes for the first time; it is remembered in this transaction."""
    tx.execute(sa.delete(SEEN).where(SEEN.c.at < now - SIGNATURES_KEPT))
    if tx.scalar(sa.select(SEEN.c.at).where(SEEN.c.signature == signature)) is not None:
        return False
    tx.execute(sa.insert(SEEN).values(signature=signature, at=now))
    return True
