"""Alerts stand in the order of their arrival.

In SQLite they stood in the order of their fingerprints, which is none: each alert of a notification was written to
another page of the file.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Build SQLite's table anew, with a rowid; PostgreSQL has always kept it so."""
    if op.get_bind().dialect.name != "sqlite":
        return
    table = sa.Table("alerts", sa.MetaData(), autoload_with=op.get_bind())
    table.dialect_options["sqlite"]["with_rowid"] = True
    with op.batch_alter_table("alerts", recreate="always", copy_from=table):
        """Nothing else changes."""
