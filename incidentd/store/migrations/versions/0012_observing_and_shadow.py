"""Incidents that are only observed, the alerts of each row by time, and what a shadow table would do otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
compatible_from = "0011"
"""Earlier versions leave the new column at its default. A table that observes they can't read, so nothing is lost."""


def upgrade() -> None:
    """A column, an index, three tables; nothing that is there changes."""
    op.add_column("incidents", sa.Column("observed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_alerts_row", "alerts", ["row", "received_at"])
    op.create_table(
        "shadow_in_force",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shadow_comparisons",
        sa.Column("in_force", sa.String(64), primary_key=True),
        sa.Column("shadow", sa.String(64), primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("alerts", sa.BigInteger, nullable=False),
        sa.Column("differing", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shadow_differences",
        sa.Column("in_force", sa.String(64), primary_key=True),
        sa.Column("shadow", sa.String(64), primary_key=True),
        sa.Column("from_row", sa.Text, primary_key=True),
        sa.Column("to_row", sa.Text, primary_key=True),
        sa.Column("from_tier", sa.String(2), primary_key=True),
        sa.Column("to_tier", sa.String(2), primary_key=True),
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("alerts", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("example", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
