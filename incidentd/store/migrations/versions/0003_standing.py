"""Lists and numbers of incidents by an index, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What is open in the order of the list, what is over by its system, and undelivered pages apart from the rest."""
    for name, columns, some in (
        ("ix_incidents_open", ["tier", "number", "state", "system", "opened_at"], "resolved_at IS NULL"),
        ("ix_incidents_resolved", ["system", "number"], "resolved_at IS NOT NULL"),
    ):
        op.create_index(name, "incidents", columns, sqlite_where=sa.text(some), postgresql_where=sa.text(some))
    op.drop_index("ix_cursors_behind_since", "cursors")
    behind = sa.text("behind_since IS NOT NULL")
    columns = ["queue", "behind_since"]
    op.create_index("ix_cursors_behind", "cursors", columns, sqlite_where=behind, postgresql_where=behind)
