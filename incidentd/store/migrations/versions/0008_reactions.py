"""What people do in PagerDuty is kept until it has had its effect, and pages are found by their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
compatible_from = "0005"
"""Only a table, a column that may be empty, and indexes are added."""

_KEY = {"sqlite": "json_extract(reference, '$.dedup_key')", "postgresql": "reference::json ->> 'dedup_key'"}


def upgrade() -> None:
    """The table, the column with what references hold already, and how both are found."""
    op.create_table(
        "reactions",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("page", sa.String(100), nullable=False),
        sa.Column("did", sa.String(20), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("page_keys", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("outcome", sa.String(20)),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reactions_received_at", "reactions", ["received_at"])
    op.create_index("ix_reactions_due_at", "reactions", ["due_at"])
    op.create_index("ix_reactions_page", "reactions", ["page", "at"])
    op.add_column("cursors", sa.Column("page_key", sa.String(255)))
    op.execute(f"UPDATE cursors SET page_key = {_KEY[op.get_bind().dialect.name]} WHERE queue = 'page'")  # noqa: S608
    paged = sa.text("page_key IS NOT NULL")
    op.create_index("ix_cursors_page_key", "cursors", ["page_key"], sqlite_where=paged, postgresql_where=paged)
