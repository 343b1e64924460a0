"""A database that an older version left in the middle of everything goes on where it was.

``old/<revision>.json`` holds what that version itself wrote at 12:48 on that day: pages that were accepted, answered,
refused, failing, leased by a sender that died, enqueued by a job that was lost, and waiting for a receiver's limit.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection, Engine

from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.store import migrate as schema
from incidentd.store.cursors import HELD
from incidentd.store.engine import open_engine
from incidentd.store.migrate import check, migrate
from incidentd.store.tables import METADATA
from tests.lifecycle.bench import MINUTE, SECOND, Bench, lesser, open_bench

OLD = Path(__file__).parent / "old"
UNPAGED = {"failed", "leased", "enqueued", "waiting-1", "waiting-2", "waiting-3", "waiting-4"}
BURST = 2
LEASE = 30 * SECOND


@pytest.fixture(params=sorted(path.stem for path in OLD.glob("*.json")))
def upgraded(request: pytest.FixtureRequest, empty_url: str) -> Iterator[Bench]:
    """incidentd on a database that was filled at an older revision and then migrated, at the instant of its filling."""
    left = json.loads((OLD / f"{request.param}.json").read_text())
    with _engine(empty_url) as engine:
        _fill(engine, request.param, left["tables"])
        migrate(engine)
        check(engine)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    with open_bench(empty_url) as bench:
        bench.clock.jump(datetime.fromisoformat(left["at"]) - bench.now)
        yield bench


def test_every_page_that_was_still_to_be_sent_is_in_one_alert(upgraded: Bench) -> None:
    """Those that waited for the receiver's limit may share one."""
    upgraded.forward(MINUTE)
    alone, sharing = _paged(upgraded, 1), _sharing(upgraded, 1)
    assert sorted(set(alone)) == alone
    assert len(alone) + sharing == len(UNPAGED)
    assert UNPAGED - set(alone) <= {f"waiting-{number}" for number in range(1, 5)}
    assert all(row.due_at is None and row.held_by is None for row in upgraded.cursors())


def test_what_a_sender_took_that_died_is_left_to_it_for_its_lease(upgraded: Bench) -> None:
    (leased,) = upgraded.with_key("leased")
    upgraded.forward(LEASE - SECOND)
    assert upgraded.cursor(queue=PAGE, incident_id=leased.id).accepted_at is None
    upgraded.forward(2 * SECOND)
    assert upgraded.cursor(queue=PAGE, incident_id=leased.id).accepted_at is not None


def test_levels_are_reached_at_their_old_times(upgraded: Bench) -> None:
    (told,) = upgraded.with_key("told")
    upgraded.forward(told.opened_at + 15 * MINUTE - upgraded.now - timedelta(milliseconds=1))
    assert _paged(upgraded, 2) == []
    upgraded.forward(timedelta(milliseconds=1))
    assert len(_paged(upgraded, 2)) == BURST
    upgraded.forward(SECOND)
    assert _paged(upgraded, 2) == ["again", "closed", "told"]


def test_alerts_are_known_again(upgraded: Bench) -> None:
    before = upgraded.incident_ids()
    (told,), (resolved,), again = (upgraded.with_key(name) for name in ("told", "resolved", "again"))
    starts_at = told.opened_at
    upgraded.hear(*(lesser(name, "critical", starts_at=starts_at) for name in ("told", "again")))
    upgraded.hear(lesser("closed", "critical", starts_at=starts_at, firing=False))
    upgraded.hear(lesser("resolved", "critical", starts_at=upgraded.now))
    assert upgraded.incident_ids() == before
    assert upgraded.incident(told.id) == told
    assert [found.state for found in again] == [State.RESOLVED, State.TRIGGERED]
    assert upgraded.with_key("closed")[0].state is State.RECOVERING
    assert (resolved.state, upgraded.incident(resolved.id).state) == (State.RESOLVED, State.TRIGGERED)


def test_new_incidents_find_their_numbers_and_places(upgraded: Bench) -> None:
    before = upgraded.incident_ids()
    upgraded.hear(lesser("new", "critical", starts_at=upgraded.now))
    upgraded.forward(MINUTE)
    (new,) = upgraded.with_key("new")
    assert upgraded.incident_ids() == [*before, new.id]
    assert upgraded.cursor(queue=PAGE, incident_id=new.id).accepted_at is not None
    assert upgraded.cursors(token=HELD) == []


def _paged(bench: Bench, level: int) -> list[str]:
    """Of which incidents PagerDuty has an alert of this level."""
    alerts = {event.dedup_key: event.payload.get("component") for event in bench.events("trigger", level=level)}
    return sorted(name for name in alerts.values() if name)


def _sharing(bench: Bench, level: int) -> int:
    """How many incidents share an alert of this level."""
    details = {event.dedup_key: event.payload["custom_details"] for event in bench.events("trigger", level=level)}
    return sum(each.get("incidents_in_all", 0) for each in details.values())


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def _fill(engine: Engine, revision: str, left: dict[str, list[dict[str, Any]]]) -> None:
    """The schema of that revision, with these rows."""
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for name, rows in left.items():
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            if rows:
                connection.execute(table.insert(), [{c.name: row.get(c.name) for c in table.columns} for row in rows])
            _count_on(connection, table)


def _count_on(connection: Connection, table: sa.Table) -> None:
    """PostgreSQL numbers new rows after those that brought their numbers along."""
    for column in table.columns:
        if column.identity is not None:
            newest = connection.scalar(sa.select(sa.func.max(column))) or 0
            connection.execute(sa.text(f"ALTER TABLE {table.name} ALTER {column.name} RESTART WITH {newest + 1}"))
