"""A backup is the whole database at one instant, while it is used; restored into either kind, and over nothing."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.errors import SchemaError, StoreError, StoreUnavailableError
from incidentd.incident.summary import summarise
from incidentd.reaction import Did, Reaction
from incidentd.store import (
    alerts,
    buckets,
    cycles,
    deliveries,
    digests,
    drill_schedules,
    drills,
    hearings,
    heartbeats,
    intake,
    pings,
    reactions,
    rules,
    shadow,
    sightings,
    summaries,
)
from incidentd.store.backup import back_up, restore
from incidentd.store.buckets import Bucket
from incidentd.store.deliveries import Delivery, Outcome
from incidentd.store.digests import Digest
from incidentd.store.drill_schedules import Planned
from incidentd.store.drills import Drill, Step, Taken
from incidentd.store.engine import Store, open_engine
from incidentd.store.heartbeats import Heartbeat
from incidentd.store.migrate import check, migrate
from incidentd.store.sightings import Answering, Sighting
from incidentd.store.tables import INCIDENTS, METADATA
from incidentd.tier import Tier
from tests.servers import free_port, wait_until
from tests.store.database import SQLITE
from tests.store.row import NOW, PAGE_SLOT, alert, episode, minutes, open_cursors, open_incident, opening


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a copy is restored to, once on each kind."""
    if request.param == SQLITE:
        yield f"sqlite:///{tmp_path}/restored/incidentd.db"
    else:
        yield request.getfixturevalue("postgres_url")


def fill(store: Store) -> None:
    """A row in each table that has any, with what databases like to change: zones, NUL bytes, long integers."""
    open_incident(store, "core", title="Störung in “Core” \u2028 API")
    open_incident(store, "chat")
    open_cursors(store, ["core", "chat"], PAGE_SLOT)
    tried = Delivery("core", "page-oncall", "e1.r1.l1", 1, 1, NOW, minutes(1), Outcome.ACCEPTED, "trigger")

    def work(tx: sa.Connection) -> None:
        alerts.write(tx, [episode(alert())], NOW)
        deliveries.insert(tx, [tried])
        buckets.write(tx, Bucket("shared", 0.1 + 0.2, NOW, 60, 10), first=True)
        digests.open_one(tx, Digest("storm", "incidents", "", "tell", Tier.P1, 3, NOW, NOW))
        cycles.beat(tx, "timekeeper", NOW)
        rules.put_in_force(tx, "v1", {"tiers.yaml": "tiers"}, NOW)
        shadow.put(tx, "v2", {"tiers.yaml": "others"}, NOW)
        differs = shadow.Difference("a/b", "a/c", Tier.P1, Tier.P0, "more_urgent", 2**40, NOW, NOW, '{"labels": {}}')
        shadow.add(tx, shadow.Comparison("v1", "v2", NOW, NOW, 2**41, 2**40), [differs])
        intake.set_aside(tx, [("10.0.0.1", "labels", bytes(range(256)))], NOW)
        intake.remember(tx, "v0=abc", NOW)
        summaries.insert(tx, summarise([opening("gone")]))
        heartbeats.insert(tx, [Heartbeat.expected("watchdog", timedelta(minutes=5), NOW)])
        reactions.keep(tx, Reaction("E1", Did.NOTED, NOW, "Q1", ("incidentd:1",), "P1", "Ann", "läuft\u2028"), NOW)
        pings.take(tx, NOW, timedelta(minutes=1))
        drill_schedules.replace_all(tx, {"weekly": Planned("weekly", "wed", NOW)})
        taken = Taken(Step.ANSWER, NOW, timedelta(microseconds=1), "Störung")
        drills.insert(tx, Drill("d", None, True, Tier.P1, "", NOW, timedelta(minutes=1), steps=(taken,)))
        sightings.write(tx, {}, {("f" * 16, "am:9093"): Sighting("f" * 16, "am:9093", NOW, NOW, NOW, None, "silenced")})
        sightings.note_answers(tx, [Answering("am:9093", NOW, NOW, "")], ["am:9093"])
        hearings.note(tx, {"f" * 16: NOW})

    store.write(work)


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with closing(Store(open_engine(url))) as store:
        check(store.engine)
        return store.read(
            lambda tx: {
                table.name: [tuple(row) for row in tx.execute(sa.select(table).order_by(*table.primary_key))]
                for table in METADATA.sorted_tables
            }
        )


def test_a_copy_restored_into_either_kind_is_row_by_row_the_same(
    store: Store, database_url: str, copy: Path, other_url: str
) -> None:
    fill(store)
    before = content(database_url)
    assert [name for name, rows in before.items() if not rows] == []
    assert back_up(database_url, copy) == 2
    assert restore(copy, other_url) == 2
    assert content(other_url) == before


def test_the_next_incident_has_the_next_number(store: Store, database_url: str, copy: Path, other_url: str) -> None:
    fill(store)
    back_up(database_url, copy)
    restore(copy, other_url)
    with closing(Store(open_engine(other_url))) as restored:
        open_incident(restored, "next")
        numbers = restored.read(lambda tx: list(tx.scalars(sa.select(INCIDENTS.c.number).order_by(INCIDENTS.c.number))))
    assert numbers == [1, 2, 3]


def test_a_copy_made_while_others_write_is_of_one_instant_and_holds_nobody_up(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """Each transaction writes an incident and its entry: no copy may have the one without the other."""
    written: list[int] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            open_incident(store, f"i{len(written)}")
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            before = len(written)
            wait_until(lambda before=before: len(written) > before + 5, "others to write")  # type: ignore[misc]
            made = back_up(database_url, tmp_path / f"{number}.db")
            assert made >= before
            with closing(sqlite3.connect(tmp_path / f"{number}.db")) as copied:
                assert copied.execute("SELECT count(*) FROM entries").fetchone() == (made,)
    finally:
        ended.set()
        writer.join()


def test_a_copy_is_one_file_that_only_its_owner_can_read(store: Store, database_url: str, copy: Path) -> None:
    fill(store)
    before = {each.name for each in copy.parent.iterdir()}
    back_up(database_url, copy)
    assert {each.name for each in copy.parent.iterdir()} - before == {"copy.db"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_backup_overwrites_nothing(store: Store, database_url: str, copy: Path) -> None:
    copy.write_text("last week's", "utf-8")
    with pytest.raises(StoreError, match="exists already"):
        back_up(database_url, copy)
    assert copy.read_text("utf-8") == "last week's"


def test_where_there_is_no_database_no_copy_comes_to_be(copy: Path, tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/none.db", f"postgresql://postgres@127.0.0.1:{free_port()}/none"):
        with pytest.raises(StoreUnavailableError):
            back_up(url, copy)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_told(store: Store, database_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be written"):
        back_up(database_url, tmp_path / "missing" / "copy.db")


def test_nothing_is_restored_over_a_database_that_is_used(store: Store, database_url: str, copy: Path) -> None:
    fill(store)
    back_up(database_url, copy)
    open_incident(store, "later")
    with pytest.raises(StoreError, match=r"exists already|not empty"):
        restore(copy, database_url)
    assert store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(INCIDENTS))) == 3


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
def test_nothing_is_restored_beside_the_log_of_another_file(
    store: Store, database_url: str, copy: Path, tmp_path: Path
) -> None:
    back_up(database_url, copy)
    target = tmp_path / "new.db"
    (tmp_path / "new.db-wal").write_bytes(b"of another file")
    with pytest.raises(StoreError, match=r"new\.db-wal exists already"):
        restore(copy, f"sqlite:///{target}")
    assert not target.exists()


@pytest.mark.parametrize("content_of_file", [b"", b"no database" * 1000])
def test_what_is_no_backup_is_refused_and_nothing_comes_to_be(
    content_of_file: bytes, copy: Path, other_url: str
) -> None:
    copy.write_bytes(content_of_file)
    with pytest.raises(SchemaError):
        restore(copy, other_url)
    engine = open_engine(other_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
def test_a_copy_of_a_newer_version_is_refused(store: Store, database_url: str, copy: Path, tmp_path: Path) -> None:
    back_up(database_url, copy)
    with closing(sqlite3.connect(copy)) as copied:
        copied.execute("UPDATE alembic_version SET version_num = '9999'")
        copied.execute("DELETE FROM compatibility")
        copied.commit()
    with pytest.raises(SchemaError, match="newer"):
        restore(copy, f"sqlite:///{tmp_path}/new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_database_that_was_migrated_and_never_used_takes_a_copy(
    store: Store, database_url: str, copy: Path, postgres_url: str
) -> None:
    fill(store)
    back_up(database_url, copy)
    engine = open_engine(postgres_url)
    migrate(engine)
    engine.dispose()
    assert restore(copy, postgres_url) == 2
