"""What Alertmanagers list, held against what was told, and when alerts were last heard of."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
compatible_from = "0010"
"""Timelines may hold kinds of entry at which earlier versions stop; the versions of 0011 and later read past them."""


def upgrade() -> None:
    """Three tables; nothing that is there changes."""
    op.create_table(
        "sightings",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("alertmanager", sa.String(100), primary_key=True),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("gone_since", sa.BigInteger),
        sa.Column("untold_since", sa.BigInteger),
        sa.Column("quiet", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alertmanagers",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("first_asked_at", sa.BigInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("fault", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hearings",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("heard_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hearings_heard_at", "hearings", ["heard_at"])
