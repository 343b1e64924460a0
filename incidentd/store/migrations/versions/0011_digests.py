"""In a storm one message stands for many incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
# A digest has a cursor, and an older version finds no incident for it: this schema suits no version before its own.


def upgrade() -> None:
    """Digests, who is told in which, and how many are told one by one before."""
    op.create_table(
        "digests",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("destination", sa.String(100), nullable=False),
        sa.Column("wave", sa.String(40), nullable=False),
        sa.Column("queue", sa.String(8), nullable=False),
        sa.Column("tier", sa.String(2), nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.Column("told_at", sa.BigInteger),
        sa.Column("replied_at", sa.BigInteger),
        sa.Column("closed_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_digests_joined_at", "digests", ["joined_at"])
    for column in (sa.Column("digest", sa.String(36)), sa.Column("turn", sa.Integer), sa.Column("loud", sa.Integer)):
        op.add_column("cursors", column)
    folded = sa.text("digest IS NOT NULL")
    op.create_index("ix_cursors_digest", "cursors", ["digest", "turn"], sqlite_where=folded, postgresql_where=folded)
    for column in (
        sa.Column("one_by_one", sa.Integer, nullable=False, server_default="0"),
        sa.Column("recent", sa.Text, nullable=False, server_default="[]"),
        sa.Column("storm_until", sa.BigInteger),
        sa.Column("digest", sa.String(36)),
    ):
        op.add_column("buckets", column)
