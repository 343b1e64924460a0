"""A database that an earlier version filled: everything is still there after the upgrade, and goes on."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from incidentd.incident.apply import fold
from incidentd.incident.slot import PAGE
from incidentd.incident.state import Incident
from incidentd.incident.wake import wake_at
from incidentd.lifecycle import keep_time
from incidentd.store import alerts, buckets, cursors, entries, incidents, migrate
from incidentd.store.codec import dump_incident
from incidentd.store.engine import WRITES, Store, open_engine
from incidentd.store.tables import ALERTS, CURSORS, METADATA, microseconds
from incidentd.tier import Tier
from incidentd.timeline import Resolved
from tests.store.row import FINGERPRINT, MARK, NOW, SECOND, alert, episode, incident, minutes, opening, then

OTHER, NOBODYS = "b" * 16, "c" * 16
LINE = "pagerduty"
LEASE = 30 * SECOND


@pytest.fixture(params=["0001", "0002"])
def revision(request: pytest.FixtureRequest) -> str:
    """The schema that the earlier version had."""
    version: str = request.param
    return version


@pytest.fixture
def upgraded(empty_url: str, revision: str) -> Iterator[Store]:
    """A database filled at that schema and brought to this version's."""
    engine = open_engine(empty_url)
    with engine.execution_options(**{WRITES: True}).connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _fill(connection, has_line=revision != "0001")
        connection.commit()
    migrate.migrate(engine)
    with closing(Store(engine)) as store:
        yield store


def test_the_schema_is_this_versions(upgraded: Store) -> None:
    migrate.check(upgraded.engine)
    with upgraded.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_primary_keys_are_this_versions(upgraded: Store) -> None:
    found = sa.inspect(upgraded.engine)
    for table in METADATA.tables.values():
        key = found.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key], table.name


def test_incidents_and_their_timelines_are_as_they_were(upgraded: Store) -> None:
    stored = upgraded.read(lambda tx: incidents.load(tx, ["core", "disk", "over"]))
    assert [stored[name][1] for name in ("core", "disk")] == [incident("core"), incident("disk")]
    for name in stored:
        assert fold(upgraded.read(partial(entries.load, incident_id=name))) == stored[name][1]
    held = upgraded.write(lambda tx: incidents.lock(tx, keys=["avalo/core", "avalo/over"]))
    assert [(each.incident.id, each.holds) for each in held] == [("core", True)]


def test_the_latest_episode_of_each_alert_is_found_and_the_earlier_ones_are_kept(upgraded: Store) -> None:
    known = upgraded.read(lambda tx: alerts.latest(tx, [FINGERPRINT, OTHER, NOBODYS]))
    assert {name: (each.starts_at, each.incident_id, each.firing, each.open) for name, each in known.items()} == {
        FINGERPRINT: (NOW, "core", True, True),
        OTHER: (NOW, "core", False, True),
        NOBODYS: (minutes(-9), None, False, False),
    }
    assert _starts(upgraded, FINGERPRINT) == [minutes(-60), minutes(-30), NOW]
    shown = upgraded.read(lambda tx: alerts.of_incidents(tx, ["core", "over"], 20))
    assert {name: [each.fingerprint for each in of] for name, of in shown.items()} == {"core": [FINGERPRINT, OTHER]}
    assert shown["core"][0].labels == {"alertname": "CoreApi"}


def test_an_alert_goes_on_ends_begins_anew_and_comes_back(upgraded: Store) -> None:
    _write(upgraded, alert(firing=False, ends_at=minutes(1)))
    _write(upgraded, alert(starts_at=minutes(2)), replaces=NOW)
    assert _starts(upgraded, FINGERPRINT) == [minutes(-60), minutes(-30), NOW, minutes(2)]
    _write(upgraded, alert(starts_at=minutes(-30)), replaces=minutes(2))
    assert _starts(upgraded, FINGERPRINT) == [minutes(-60), minutes(-30), NOW, minutes(2)]
    assert upgraded.read(lambda tx: alerts.latest(tx, [FINGERPRINT]))[FINGERPRINT].starts_at == minutes(-30)


def test_an_alert_never_heard_of_is_stored(upgraded: Store) -> None:
    many = [episode(alert(f"{number:016x}"), first=True) for number in range(50)]
    upgraded.write(lambda tx: alerts.write(tx, many, NOW))
    assert len(upgraded.read(lambda tx: alerts.latest(tx, [each.alert.fingerprint for each in many]))) == 50


def test_whoever_was_to_be_told_can_be_told(upgraded: Store) -> None:
    found = upgraded.write(lambda tx: cursors.claimable(tx, ["core", "disk", "over"], PAGE, NOW, 20))
    assert {each.slot for each in found} == {"enqueued", "retry"}
    after = upgraded.write(lambda tx: cursors.claimable(tx, ["core"], PAGE, NOW + LEASE, 20))
    assert {each.slot: each.uncertain for each in after} == {"enqueued": False, "retry": False, "leased": True}


def test_news_wake_what_was_level(upgraded: Store) -> None:
    assert ("core", PAGE) in upgraded.write(lambda tx: cursors.wake(tx, {"core": Tier.P0}, NOW + MARK))
    found = upgraded.write(lambda tx: cursors.claimable(tx, ["core"], PAGE, NOW, 20))
    assert {each.slot: each.reference for each in found}["level"] == {"dedup_key": "k"}


def test_the_sender_that_an_upgrade_overtook_can_still_record(upgraded: Store) -> None:
    (mine,) = [each for each in _cursors(upgraded) if each.slot == "leased"]
    named = cursors.Cursor("core", "page", "leased", PAGE, 0, 0, False, False, None, False, {})
    settled = cursors.Settled(named, mine.token, 1, None, 0, False, False, NOW, False, None, {"dedup_key": "k"})
    upgraded.write(lambda tx: cursors.settle(tx, [settled]))
    assert [(each.told, each.due_at) for each in _cursors(upgraded) if each.slot == "leased"] == [(1, None)]


def test_the_line_goes_on_from_where_it_stood(upgraded: Store, revision: str) -> None:
    work = keep_time.due(upgraded, minutes(1), MARK, MARK)
    assert set(work[PAGE]) == ({"core", "disk"} if revision == "0002" else {"core"})
    bucket = upgraded.write(lambda tx: buckets.lock(tx, [LINE]))[LINE]
    assert bucket.level == (1.5 if revision == "0001" else pytest.approx(4))
    assert bucket.next_at is None


def _fill(connection: sa.Connection, *, has_line: bool) -> None:
    """Open and resolved incidents, episodes, and a cursor of each kind, as the earlier version would have them."""
    over, end = then(incident("over"), Resolved(by_person=False))
    _fill_incidents(connection, [incident("core"), incident("disk"), over])
    entries.insert(connection, [*((name, opening(name)) for name in ("core", "disk", "over")), ("over", end)])
    _fill_alerts(connection)
    _fill_cursors(connection, has_line=has_line)


def _fill_incidents(connection: sa.Connection, found: list[Incident]) -> None:
    table = sa.Table("incidents", sa.MetaData(), autoload_with=connection)
    for each in found:
        row = {name: getattr(each, name) for name in ("id", "key", "system", "slo", "title", "news")}
        row |= {"tier": each.tier.value, "state": each.state.value, "version": each.last, "body": dump_incident(each)}
        instants = {"opened_at": each.opened_at, "resolved_at": each.resolved_at, "wake_at": wake_at(each)}
        row |= {name: at and microseconds(at) for name, at in instants.items()}
        row |= {"holds": None if each.resolved_at else each.key}
        connection.execute(sa.insert(table).values(row))


def _fill_alerts(connection: sa.Connection) -> None:
    table = sa.Table("alerts", sa.MetaData(), autoload_with=connection)
    for fingerprint, start, latest, incident_id, firing in (
        (FINGERPRINT, -60, None, "over", False),
        (FINGERPRINT, -30, None, "over", False),
        (FINGERPRINT, 0, FINGERPRINT, "core", True),
        (OTHER, 0, OTHER, "core", False),
        (NOBODYS, -9, NOBODYS, None, False),
    ):
        at = microseconds(minutes(start))
        row: dict[str, Any] = dict.fromkeys(("row", "runbook", "generator_url"), "") | {"tier": "P0"}
        row |= {"fingerprint": fingerprint, "starts_at": at, "latest": latest, "incident_id": incident_id}
        row |= {"firing": firing, "received_at": at, "closed_at": None if firing else at, "digest": 7}
        row |= {"labels": '{"alertname":"CoreApi"}', "annotations": "{}", "readings": "[]"}
        connection.execute(sa.insert(table).values(row))


def _fill_cursors(connection: sa.Connection, *, has_line: bool) -> None:
    table = sa.Table("cursors", sa.MetaData(), autoload_with=connection)
    kinds: list[tuple[str, str, str, Any]] = [
        ("core", "enqueued", cursors.ENQUEUED, NOW + MARK),
        ("core", "retry", cursors.FREE, NOW),
        ("core", "leased", "01890a5d-ac96-774b-bcce-b302099a8057", NOW + LEASE),
        ("core", "level", cursors.FREE, None),
    ]
    if has_line:
        kinds += [("disk", "held", cursors.HELD, minutes(5))]
    for name, slot, token, due_at in kinds:
        row: dict[str, Any] = {"attempts": 0, "uncertain": False, "echo": False, "failed": False}
        row |= {"incident_id": name, "destination": "page", "slot": slot, "queue": PAGE, "tier": "P0", "token": token}
        row |= {"due_at": due_at and microseconds(due_at), "behind_since": due_at and microseconds(NOW)}
        row |= {"told": 0 if due_at else 1, "reference": "{}" if due_at else '{"dedup_key": "k"}'}
        row |= {"held_by": LINE if token == cursors.HELD else None} if has_line else {}
        connection.execute(sa.insert(table).values(row))
    bucket: dict[str, Any] = {"name": LINE, "level": 1.5, "at": microseconds(NOW)}
    bucket |= {"per_minute": 60, "burst": 5, "next_at": microseconds(NOW + SECOND)} if has_line else {}
    connection.execute(sa.insert(sa.Table("buckets", sa.MetaData(), autoload_with=connection)).values(bucket))


def _write(store: Store, heard: Any, **changes: Any) -> None:
    store.write(lambda tx: alerts.write(tx, [episode(heard, **changes)], minutes(3)))


def _starts(store: Store, fingerprint: str) -> list[Any]:
    found = sa.select(ALERTS.c.starts_at).where(ALERTS.c.fingerprint == fingerprint).order_by(ALERTS.c.starts_at)
    return store.read(lambda tx: list(tx.scalars(found)))


def _cursors(store: Store) -> list[Any]:
    return store.read(lambda tx: list(tx.execute(sa.select(CURSORS))))
