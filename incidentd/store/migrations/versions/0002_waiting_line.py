"""A line before each receiver's limit, so that what waits costs nothing while it waits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Cursors name the bucket before which they wait, buckets the next instant that lets one through."""
    op.add_column("cursors", sa.Column("held_by", sa.String(100)))
    some = sa.text("held_by IS NOT NULL")
    line = ["held_by", "tier", "behind_since"]
    op.create_index("ix_cursors_held_by", "cursors", line, sqlite_where=some, postgresql_where=some)
    for column in (
        sa.Column("per_minute", sa.Integer, nullable=False, server_default="0"),
        sa.Column("burst", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.BigInteger),
    ):
        op.add_column("buckets", column)
