"""Expected heartbeats, and whose turn it is to tell an outsider that all is well."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
compatible_from = "0005"
"""Only tables are added."""


def upgrade() -> None:
    """One row for each heartbeat that the rules expect; one for the outsider."""
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("every_seconds", sa.BigInteger, nullable=False),
        sa.Column("counts_from", sa.BigInteger, nullable=False),
        sa.Column("heard_at", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("missing_since", sa.BigInteger),
        sa.Column("carried_to", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_heartbeats_due_at", "heartbeats", ["due_at"])
    op.create_table(
        "pings",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
