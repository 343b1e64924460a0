"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger()
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "incidents",
        sa.Column("number", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("holds", sa.Text, unique=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("slo", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("tier", sa.String(2), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("opened_at", _BIG, nullable=False),
        sa.Column("resolved_at", _BIG),
        sa.Column("wake_at", _BIG),
        sa.Column("asked_at", _BIG),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("news", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_incidents_wake_at", "incidents", ["wake_at"])
    op.create_table(
        "entries",
        sa.Column("incident_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("due_at", _BIG),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("starts_at", _BIG, primary_key=True),
        sa.Column("latest", sa.String(16), unique=True),
        sa.Column("incident_id", sa.String(36)),
        sa.Column("firing", sa.Boolean, nullable=False),
        sa.Column("ends_at", _BIG),
        sa.Column("received_at", _BIG, nullable=False),
        sa.Column("closed_at", _BIG),
        sa.Column("digest", _BIG, nullable=False),
        sa.Column("row", sa.Text, nullable=False),
        sa.Column("tier", sa.String(2), nullable=False),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("annotations", sa.Text, nullable=False),
        sa.Column("generator_url", sa.Text, nullable=False),
        sa.Column("readings", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alerts_incident_id", "alerts", ["incident_id"])
    op.create_table(
        "cursors",
        sa.Column("incident_id", sa.String(36), primary_key=True),
        sa.Column("destination", sa.String(100), primary_key=True),
        sa.Column("slot", sa.String(40), primary_key=True),
        sa.Column("queue", sa.String(8), nullable=False),
        sa.Column("tier", sa.String(2), nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("due_at", _BIG),
        sa.Column("behind_since", _BIG),
        sa.Column("token", sa.String(36), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("uncertain", sa.Boolean, nullable=False),
        sa.Column("echo", sa.Boolean, nullable=False),
        sa.Column("accepted_at", _BIG),
        sa.Column("failed", sa.Boolean, nullable=False),
        sa.Column("given_up", sa.Text),
        sa.Column("reference", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_cursors_due_at", "cursors", ["due_at"])
    for name, indexed, column in (
        ("ix_cursors_behind_since", "behind_since", "behind_since"),
        ("ix_cursors_given_up", "incident_id", "given_up"),
    ):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "cursors", [indexed], sqlite_where=some, postgresql_where=some)
    op.create_table(
        "deliveries",
        sa.Column("id", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("incident_id", sa.String(36), nullable=False),
        sa.Column("destination", sa.String(100), nullable=False),
        sa.Column("slot", sa.String(40), nullable=False),
        sa.Column("upto", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", _BIG, nullable=False),
        sa.Column("ended_at", _BIG, nullable=False),
        sa.Column("outcome", sa.String(12), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("ix_deliveries_incident_id", "deliveries", ["incident_id"])
    op.create_table(
        "rules",
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("stored_at", _BIG, nullable=False),
    )
    op.create_table(
        "rules_in_force",
        sa.Column("id", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("since", _BIG, nullable=False),
    )
    op.create_table(
        "set_aside",
        sa.Column("id", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_set_aside_at", "set_aside", ["at"])
    op.create_table(
        "seen",
        sa.Column("signature", sa.String(80), primary_key=True),
        sa.Column("at", _BIG, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_seen_at", "seen", ["at"])
    op.create_table(
        "buckets",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("level", sa.Float, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cycles",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("at", _BIG, nullable=False),
        sqlite_with_rowid=False,
    )
