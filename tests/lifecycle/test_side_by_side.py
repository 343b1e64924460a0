"""A newer version has migrated the database that this version works on, and this one goes on: it may be restarted."""

import json

import pytest
import sqlalchemy as sa

from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.store import cursors, entries
from incidentd.store.migrate import oldest_compatible
from incidentd.store.tables import COMPATIBILITY, ENTRIES, INCIDENTS
from incidentd.tier import Tier
from incidentd.web.schema import EntryJson
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


def write_as_a_newer_version(bench: Bench, incident_id: str, *, kind: str = "handed_over", data: str = "{}") -> None:
    """An entry of a kind, and a fact of the state, that this version has never heard of."""

    def write(tx: sa.Connection) -> None:
        (row,) = tx.execute(sa.select(INCIDENTS).where(INCIDENTS.c.id == incident_id))
        number, body = row.version + 1, json.loads(row.body)
        body |= {"last": number, "news": number, "handed_to": {"name": "ben", "since": "2026-11-21T12:00:00Z"}}
        entry = {"incident_id": incident_id, "number": number, "at": bench.now, "actor": "anna", "due_at": None}
        tx.execute(sa.insert(ENTRIES).values(entry | {"kind": kind, "data": data}))
        changed = {"version": number, "news": number, "body": json.dumps(body)}
        tx.execute(sa.update(INCIDENTS).where(INCIDENTS.c.id == incident_id).values(changed))
        cursors.wake(tx, {incident_id: Tier.P0}, bench.now)

    bench.store.write(write)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("handed_over", '{"to": "ben"}'),
        ("round", '{"why": "the tide came in", "round": 1}'),
        ("acknowledged", '{"via": "slack", "until": null, "in_time": null, "mood": "calm"}'),
    ],
)
def test_what_a_newer_version_writes_in_between_keeps_no_page_back_and_is_not_lost(
    bench: Bench, kind: str, data: str
) -> None:
    bench.hear(alert())
    (incident_id,) = bench.incident_ids()
    write_as_a_newer_version(bench, incident_id, kind=kind, data=data)
    bench.forward(5 * MINUTE)
    assert [len(bench.events("trigger", level=level)) for level in (1, 2, 3)] == [1, 1, 0]
    write_as_a_newer_version(bench, incident_id, kind=kind, data=data)
    bench.act(Acknowledge("anna"))
    bench.forward(MINUTE)
    assert bench.incident().state is State.ACKNOWLEDGED
    assert bench.events("acknowledge")
    assert all(row.due_at is None for row in bench.cursors())
    timeline = bench.store.read(lambda tx: entries.load(tx, incident_id))
    assert [entry.number for entry in timeline] == list(range(1, bench.incident().last + 1))
    fields = {"id": incident_id}
    stored = bench.store.read(lambda tx: tx.scalar(sa.text("SELECT body FROM incidents WHERE id = :id"), fields))
    assert json.loads(str(stored))["handed_to"]["name"] == "ben"
    (written, *_) = bench.store.read(lambda tx: list(tx.scalars(_TEXTS, fields | {"kind": kind})))
    assert written == data


_TEXTS = sa.text("SELECT data FROM entries WHERE incident_id = :id AND kind = :kind ORDER BY number")


def test_the_thread_and_the_timeline_name_an_entry_of_a_newer_version(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    (incident_id,) = bench.incident_ids()
    write_as_a_newer_version(bench, incident_id)
    bench.forward(MINUTE)
    said = "An entry of a newer version of incidentd: handed_over."
    assert said in [message.text for message in bench.sandbox.slack.messages("#incidents")]
    timeline = bench.store.read(lambda tx: entries.load(tx, incident_id))
    assert said in bench.runtime.sentences(bench.incident(), timeline)
    assert EntryJson.of(timeline[-1], said).kind in {entry.kind for entry in timeline}


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
