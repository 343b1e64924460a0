"""Drills, and when each of those that run by themselves is due next."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
compatible_from = "0005"
"""Only tables are added."""


def upgrade() -> None:
    """Each drill with its steps; the next time of each schedule."""
    op.create_table(
        "drills",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(64)),
        sa.Column("by_hand", sa.Boolean, nullable=False),
        sa.Column("tier", sa.String(2), nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("within_seconds", sa.Integer, nullable=False),
        sa.Column("answer_seconds", sa.Integer),
        sa.Column("outcome", sa.String(8)),
        sa.Column("failed", sa.String(16)),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("incident_id", sa.String(36)),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.UniqueConstraint("name", "due_at", name="uq_drills_name_due_at"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_drills_due_at", "drills", ["due_at"])
    op.create_index("ix_drills_next_at", "drills", ["next_at"])
    op.create_table(
        "drill_schedules",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_drill_schedules_next_at", "drill_schedules", ["next_at"])
