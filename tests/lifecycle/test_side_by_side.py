"""A newer version has migrated the database that this version works on, and this one goes on: it may be restarted."""

import sqlalchemy as sa

from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.store.migrate import oldest_compatible
from incidentd.store.tables import COMPATIBILITY
from tests.lifecycle.bench import MINUTE, Bench, alert
from tests.lifecycle.twin import twin

EXPANDED = (
    "ALTER TABLE incidents ADD COLUMN mood TEXT",
    "ALTER TABLE entries ADD COLUMN weight INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE cursors ADD COLUMN hint TEXT",
    "CREATE TABLE moods (name TEXT PRIMARY KEY)",
    "CREATE INDEX ix_incidents_mood ON incidents (mood)",
)


def expand(bench: Bench) -> None:
    """What a version to come does first: it adds, and says that this version may go on."""

    def migrate(tx: sa.Connection) -> None:
        for statement in EXPANDED:
            tx.execute(sa.text(statement))
        revision = str(tx.scalar(sa.text("SELECT version_num FROM alembic_version")))
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        tx.execute(sa.update(COMPATIBILITY).values(oldest=oldest_compatible(revision)))

    bench.store.write(migrate)


def test_an_old_process_goes_on_and_another_one_starts_on_a_schema_that_was_expanded(bench: Bench) -> None:
    bench.hear(alert("before"))
    bench.settle()
    expand(bench)
    bench.hear(alert("after", starts_at=bench.now))
    bench.forward(5 * MINUTE)
    assert len(bench.events("trigger", level=1)) == 2
    assert len(bench.events("trigger", level=2)) == 2
    with twin(bench) as restarted:
        assert restarted.is_storing()
        (found,) = bench.with_key("after")
        bench.act(Acknowledge("anna"), found.id)
        restarted.deliver_pages([found.id])
        bench.settle()
    assert bench.incident(found.id).state is State.ACKNOWLEDGED
    bench.timeline(found.id)
