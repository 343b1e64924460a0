"""How often each row took an alert, and when it last did; by an index, whatever else is stored."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from incidentd.store.tables import ALERTS


@dataclass(frozen=True, slots=True)
class Matches:
    """``last_at`` is when an alert that the row took was first heard of; None: never. ``times`` counts episodes."""

    last_at: datetime | None = None
    times: int = 0


_ROWS = sa.bindparam("rows", type_=sa.Text)
_NAMES = {
    "sqlite": sa.func.json_each(_ROWS).table_valued("value", name="named"),
    "postgresql": sa.func.json_array_elements_text(_ROWS.cast(postgresql.JSON))
    .table_valued(sa.column("value", sa.Text), name="named")
    .render_derived(),
}


def _asking(names: sa.TableValuedAlias) -> sa.Select[Any]:
    """Two look-ups in the index for each row: reading all that it ever took would be longer."""
    same = ALERTS.c.row == names.c.value
    last = sa.select(sa.func.max(ALERTS.c.received_at)).where(same).scalar_subquery()
    since = sa.bindparam("since", type_=ALERTS.c.received_at.type)
    times = sa.select(sa.func.count()).where(same, ALERTS.c.received_at >= since).scalar_subquery()
    return sa.select(names.c.value, last, times)


_ASKING = {dialect: _asking(names) for dialect, names in _NAMES.items()}


def row_matches(tx: Connection, rows: Collection[str], since: datetime) -> dict[str, Matches]:
    """For each of these rows; ``times`` counts from ``since`` on."""
    found = tx.execute(_ASKING[tx.dialect.name], {"rows": to_json(sorted(rows)).decode(), "since": since})
    return {each[0]: Matches(each[1], each[2]) for each in found}
