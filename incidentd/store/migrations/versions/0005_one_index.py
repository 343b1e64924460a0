"""One index finds the latest episode of an alert and its earlier ones.

There were two, both in the order of fingerprints, which is none: in a storm most of what was written were their pages.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """``past`` takes the place of ``latest``: 0 for the latest episode, of an earlier one its start."""
    past = sa.Column("past", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    op.add_column("alerts", past)
    op.execute("UPDATE alerts SET past = starts_at WHERE latest IS NULL")
    if op.get_bind().dialect.name == "sqlite":
        _build_anew()
    else:
        op.execute("ALTER TABLE alerts DROP CONSTRAINT alerts_pkey, ADD PRIMARY KEY (fingerprint, past)")
        op.execute("ALTER TABLE alerts DROP COLUMN latest, ALTER COLUMN past DROP DEFAULT")


def _build_anew() -> None:
    """SQLite can't change a primary key."""
    old = sa.Table("alerts", sa.MetaData(), autoload_with=op.get_bind())
    order = ["fingerprint", "past", "starts_at"]
    names = order + [column.name for column in old.columns if column.name not in (*order, "latest")]
    columns = [
        sa.Column(name, old.columns[name].type, primary_key=name in order[:2], nullable=old.columns[name].nullable)
        for name in names
    ]
    new = op.create_table("alerts_anew", *columns)
    op.execute(new.insert().from_select(names, sa.select(*(old.columns[name] for name in names))))
    op.drop_table("alerts")
    op.rename_table("alerts_anew", "alerts")
    op.create_index("ix_alerts_incident_id", "alerts", ["incident_id"])
