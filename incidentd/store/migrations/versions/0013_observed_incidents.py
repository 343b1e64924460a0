"""The open incidents that are only observed, by urgency: observing may end."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
compatible_from = "0011"
"""Earlier versions lack nothing by an index more."""


def upgrade() -> None:
    """An index; nothing that is there changes."""
    columns = sa.table("incidents", sa.column("observed", sa.Boolean), sa.column("resolved_at")).c
    is_open = sa.and_(columns.observed, columns.resolved_at.is_(None))
    op.create_index(
        "ix_incidents_observed", "incidents", ["tier", "id"], sqlite_where=is_open, postgresql_where=is_open
    )
