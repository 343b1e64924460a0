"""Incidents can be pruned, and the schema says which versions of the program it suits."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
compatible_from = "0005"
"""Only tables are added."""


def upgrade() -> None:
    """What reports need of what was pruned; the oldest revision that this schema is compatible with."""
    op.create_table(
        "summaries",
        sa.Column("incident", sa.String(36), primary_key=True),
        sa.Column("episode", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("slo", sa.Text, nullable=False),
        sa.Column("tier", sa.String(2), nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("in_time", sa.Boolean),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("pages", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_summaries_opened_at", "summaries", ["opened_at"])
    op.create_table("compatibility", sa.Column("oldest", sa.String(32), primary_key=True), sqlite_with_rowid=False)
