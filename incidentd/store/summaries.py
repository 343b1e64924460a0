"""What reports need of incidents that were pruned: one row for each episode."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.summary import Summary
from incidentd.store.tables import SUMMARIES
from incidentd.tier import Tier

_NAMES = [each.name for each in fields(Summary)]


def insert(tx: Connection, summaries: Sequence[Summary]) -> None:
    """Keep these."""
    if summaries:
        tx.execute(
            sa.insert(SUMMARIES),
            [{name: getattr(each, name) for name in _NAMES} | {"tier": each.tier.value} for each in summaries],
        )


def between(tx: Connection, since: datetime, until: datetime) -> list[Summary]:
    """Those of episodes that were opened at or after ``since`` and before ``until``, oldest first."""
    wanted = sa.and_(SUMMARIES.c.opened_at >= since, SUMMARIES.c.opened_at < until)
    order = (SUMMARIES.c.opened_at, SUMMARIES.c.incident, SUMMARIES.c.episode)
    rows = tx.execute(sa.select(*(SUMMARIES.c[name] for name in _NAMES)).where(wanted).order_by(*order))
    return [Summary(**{**row._mapping, "tier": Tier(row.tier)}) for row in rows]
