"""The tables. The migrations build the same; a test holds the two against each other."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """An instant as the database has it: microseconds since the epoch."""
    return (at - EPOCH) // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant as microseconds since the epoch: one order and no zones on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To microseconds."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From microseconds."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


METADATA = sa.MetaData()

INCIDENTS = sa.Table(
    "incidents",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("holds", sa.Text, unique=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("slo", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("tier", sa.String(2), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("resolved_at", Instant),
    sa.Column("wake_at", Instant, index=True),
    sa.Column("asked_at", Instant),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("news", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("observed", sa.Boolean, nullable=False, server_default=sa.false()),
    sqlite_autoincrement=True,
)

_OPEN = INCIDENTS.c.resolved_at.is_(None)
_RESOLVED = INCIDENTS.c.resolved_at.is_not(None)
# In the order of the list; what it is filtered by stands in the index too, so that only what is shown is read.
sa.Index(
    "ix_incidents_open",
    *(INCIDENTS.c[name] for name in ("tier", "number", "state", "system", "opened_at")),
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
# Without a system the list of what is over follows the primary key.
sa.Index(
    "ix_incidents_resolved",
    INCIDENTS.c.system,
    INCIDENTS.c.number,
    sqlite_where=_RESOLVED,
    postgresql_where=_RESOLVED,
)

# Seldom any, and whether one of them is to be told of is asked again and again.
_OBSERVED = sa.and_(INCIDENTS.c.observed, _OPEN)
sa.Index(
    "ix_incidents_observed",
    INCIDENTS.c.tier,
    INCIDENTS.c.id,
    sqlite_where=_OBSERVED,
    postgresql_where=_OBSERVED,
)

ENTRIES = sa.Table(
    "entries",
    METADATA,
    sa.Column("incident_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("due_at", Instant),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

ALERTS = sa.Table(
    "alerts",
    METADATA,
    sa.Column("fingerprint", sa.String(16), primary_key=True),
    # 0 for the latest episode of the fingerprint, of an earlier one its start: one index finds both.
    sa.Column("past", sa.BigInteger, primary_key=True),
    sa.Column("starts_at", Instant, nullable=False),
    sa.Column("incident_id", sa.String(36), index=True),
    sa.Column("firing", sa.Boolean, nullable=False),
    sa.Column("ends_at", Instant),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Column("digest", sa.BigInteger, nullable=False),
    sa.Column("row", sa.Text, nullable=False),
    sa.Column("tier", sa.String(2), nullable=False),
    sa.Column("runbook", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("annotations", sa.Text, nullable=False),
    sa.Column("generator_url", sa.Text, nullable=False),
    sa.Column("readings", sa.Text, nullable=False),
)
# How often each row took an alert, and when it last did.
sa.Index("ix_alerts_row", ALERTS.c.row, ALERTS.c.received_at)

CURSORS = sa.Table(
    "cursors",
    METADATA,
    sa.Column("incident_id", sa.String(36), primary_key=True),
    sa.Column("destination", sa.String(100), primary_key=True),
    sa.Column("slot", sa.String(40), primary_key=True),
    sa.Column("queue", sa.String(8), nullable=False),
    sa.Column("tier", sa.String(2), nullable=False),
    sa.Column("told", sa.Integer, nullable=False),
    sa.Column("due_at", Instant, index=True),
    sa.Column("behind_since", Instant),
    sa.Column("token", sa.String(36), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("uncertain", sa.Boolean, nullable=False),
    sa.Column("echo", sa.Boolean, nullable=False),
    sa.Column("accepted_at", Instant),
    sa.Column("failed", sa.Boolean, nullable=False),
    sa.Column("given_up", sa.Text),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("held_by", sa.String(100)),
    # What the receiver knows the page by, once it has one: what people do there names nothing else.
    sa.Column("page_key", sa.String(255)),
    # The digest that tells of it; with which of that one's turns at the latest; the level that is to hear loud news.
    sa.Column("digest", sa.String(36)),
    sa.Column("turn", sa.Integer),
    sa.Column("loud", sa.Integer),
    sqlite_with_rowid=False,
)
# Partial: nearly all cursors are level, so telling one costs these indexes next to nothing.
_BEHIND = CURSORS.c.behind_since.is_not(None)
sa.Index("ix_cursors_behind", CURSORS.c.queue, CURSORS.c.behind_since, sqlite_where=_BEHIND, postgresql_where=_BEHIND)
_GIVEN_UP = CURSORS.c.given_up.is_not(None)
sa.Index("ix_cursors_given_up", CURSORS.c.incident_id, sqlite_where=_GIVEN_UP, postgresql_where=_GIVEN_UP)
_HELD = CURSORS.c.held_by.is_not(None)
_LINE = (CURSORS.c.held_by, CURSORS.c.tier, CURSORS.c.behind_since)
sa.Index("ix_cursors_held_by", *_LINE, sqlite_where=_HELD, postgresql_where=_HELD)
_PAGED = CURSORS.c.page_key.is_not(None)
sa.Index("ix_cursors_page_key", CURSORS.c.page_key, sqlite_where=_PAGED, postgresql_where=_PAGED)
_FOLDED = CURSORS.c.digest.is_not(None)
sa.Index("ix_cursors_digest", CURSORS.c.digest, CURSORS.c.turn, sqlite_where=_FOLDED, postgresql_where=_FOLDED)

# One message that stands for many incidents at one destination; its cursor's row has its id and the slot ``digest``.
DIGESTS = sa.Table(
    "digests",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("destination", sa.String(100), nullable=False),
    sa.Column("wave", sa.String(40), nullable=False),
    sa.Column("queue", sa.String(8), nullable=False),
    sa.Column("tier", sa.String(2), nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("joined_at", Instant, nullable=False, index=True),
    sa.Column("told_at", Instant),
    sa.Column("replied_at", Instant),
    sa.Column("closed_at", Instant),
    sqlite_with_rowid=False,
)

DELIVERIES = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("incident_id", sa.String(36), nullable=False, index=True),
    sa.Column("destination", sa.String(100), nullable=False),
    sa.Column("slot", sa.String(40), nullable=False),
    sa.Column("upto", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("ended_at", Instant, nullable=False),
    sa.Column("outcome", sa.String(12), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

RULES = sa.Table(
    "rules",
    METADATA,
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("files", sa.Text, nullable=False),
    sa.Column("stored_at", Instant, nullable=False),
)

RULES_IN_FORCE = sa.Table(
    "rules_in_force",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("since", Instant, nullable=False),
)

# One row: the table that is tried beside the one in force; its text is in ``rules``.
SHADOW_IN_FORCE = sa.Table(
    "shadow_in_force",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("since", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# How many alerts two tables were compared on, and where they differ: one row for each pair of rows and tiers.
SHADOW_COMPARISONS = sa.Table(
    "shadow_comparisons",
    METADATA,
    sa.Column("in_force", sa.String(64), primary_key=True),
    sa.Column("shadow", sa.String(64), primary_key=True),
    sa.Column("since", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
    sa.Column("alerts", sa.BigInteger, nullable=False),
    sa.Column("differing", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
SHADOW_DIFFERENCES = sa.Table(
    "shadow_differences",
    METADATA,
    sa.Column("in_force", sa.String(64), primary_key=True),
    sa.Column("shadow", sa.String(64), primary_key=True),
    sa.Column("from_row", sa.Text, primary_key=True),
    sa.Column("to_row", sa.Text, primary_key=True),
    sa.Column("from_tier", sa.String(2), primary_key=True),
    sa.Column("to_tier", sa.String(2), primary_key=True),
    sa.Column("kind", sa.String(12), primary_key=True),
    sa.Column("alerts", sa.BigInteger, nullable=False),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
    sa.Column("example", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

SET_ASIDE = sa.Table(
    "set_aside",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("at", Instant, nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

SEEN = sa.Table(
    "seen",
    METADATA,
    sa.Column("signature", sa.String(80), primary_key=True),
    sa.Column("at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# What was done to pages at PagerDuty, as its webhooks tell. ``due_at`` is None once it has had its effect.
REACTIONS = sa.Table(
    "reactions",
    METADATA,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("page", sa.String(100), nullable=False),
    sa.Column("did", sa.String(20), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("received_at", Instant, nullable=False, index=True),
    sa.Column("page_keys", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_at", Instant, index=True),
    sa.Column("outcome", sa.String(20)),
    sqlite_with_rowid=False,
)
sa.Index("ix_reactions_page", REACTIONS.c.page, REACTIONS.c.at)

BUCKETS = sa.Table(
    "buckets",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("level", sa.Float, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("per_minute", sa.Integer, nullable=False, server_default="0"),
    sa.Column("burst", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Instant),
    # So many new ones a minute are told one by one, and when those of the last minute were, as a JSON list.
    sa.Column("one_by_one", sa.Integer, nullable=False, server_default="0"),
    sa.Column("recent", sa.Text, nullable=False, server_default="[]"),
    sa.Column("storm_until", Instant),
    sa.Column("digest", sa.String(36)),
    sqlite_with_rowid=False,
)

CYCLES = sa.Table(
    "cycles",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

HEARTBEATS = sa.Table(
    "heartbeats",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("every_seconds", sa.BigInteger, nullable=False),
    # Silence counts from here: the last sign of life, later by the time in which nobody kept time.
    sa.Column("counts_from", Instant, nullable=False),
    sa.Column("heard_at", Instant),
    # When silence will have lasted too long; while it does, when that is to be said again.
    sa.Column("due_at", Instant, nullable=False, index=True),
    sa.Column("missing_since", Instant),
    # The end of the newest time without a timekeeper that it was brought across, since it was heard.
    sa.Column("carried_to", Instant),
    sqlite_with_rowid=False,
)

PINGS = sa.Table(
    "pings",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

DRILLS = sa.Table(
    "drills",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    # Null for one that is none of the rules' own.
    sa.Column("name", sa.String(64)),
    sa.Column("by_hand", sa.Boolean, nullable=False),
    sa.Column("tier", sa.String(2), nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("due_at", Instant, nullable=False, index=True),
    sa.Column("started_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("within_seconds", sa.Integer, nullable=False),
    sa.Column("answer_seconds", sa.Integer),
    sa.Column("outcome", sa.String(8)),
    sa.Column("failed", sa.String(16)),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("incident_id", sa.String(36)),
    sa.Column("steps", sa.Text, nullable=False),
    # When it is to be looked at next; while somebody does, the end of the lease.
    sa.Column("next_at", Instant, index=True),
    sa.UniqueConstraint("name", "due_at", name="uq_drills_name_due_at"),
    sqlite_with_rowid=False,
)

DRILL_SCHEDULES = sa.Table(
    "drill_schedules",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("schedule", sa.Text, nullable=False),
    sa.Column("next_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# What an Alertmanager showed of an alert: only changes are written.
SIGHTINGS = sa.Table(
    "sightings",
    METADATA,
    sa.Column("fingerprint", sa.String(16), primary_key=True),
    sa.Column("alertmanager", sa.String(100), primary_key=True),
    sa.Column("starts_at", Instant, nullable=False),
    # When the Alertmanager had started that showed it last: another start is another memory.
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("gone_since", Instant),
    sa.Column("untold_since", Instant),
    sa.Column("quiet", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

ALERTMANAGERS = sa.Table(
    "alertmanagers",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("first_asked_at", Instant, nullable=False),
    sa.Column("answered_at", Instant),
    sa.Column("fault", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# When a firing alert was last heard of, as repeats write nothing else: now and then, not with each of them.
HEARINGS = sa.Table(
    "hearings",
    METADATA,
    sa.Column("fingerprint", sa.String(16), primary_key=True),
    sa.Column("heard_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# Of incidents that were pruned, for reports: no timeline, no labels.
SUMMARIES = sa.Table(
    "summaries",
    METADATA,
    sa.Column("incident", sa.String(36), primary_key=True),
    sa.Column("episode", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("slo", sa.Text, nullable=False),
    sa.Column("tier", sa.String(2), nullable=False),
    sa.Column("opened_at", Instant, nullable=False, index=True),
    sa.Column("acknowledged_at", Instant),
    sa.Column("resolved_at", Instant),
    sa.Column("in_time", sa.Boolean),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("pages", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

# One row: the oldest revision whose version of the program works on this schema.
COMPATIBILITY = sa.Table(
    "compatibility",
    METADATA,
    sa.Column("oldest", sa.String(32), primary_key=True),
    sqlite_with_rowid=False,
)
