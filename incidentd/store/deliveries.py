"""Every attempt to deliver, with its outcome: what was sent to whom, and when it was accepted."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store.tables import DELIVERIES


class Outcome(StrEnum):
    """What an attempt came to."""

    ACCEPTED = "accepted"
    SILENT = "silent"
    FAILED = "failed"
    GAVE_UP = "gave up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt. ``upto`` is the last entry it told; ``detail`` is safe to show."""

    incident_id: str
    destination: str
    slot: str
    upto: int
    attempt: int
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    detail: str


_INSERT = sa.insert(DELIVERIES)
_NAMES = [each.name for each in fields(Delivery)]


def insert(tx: Connection, deliveries: Sequence[Delivery]) -> None:
    """Write attempts; nothing else is touched."""
    if deliveries:
        tx.execute(_INSERT, [{name: getattr(each, name) for name in _NAMES} for each in deliveries])
