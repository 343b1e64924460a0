"""The database refuses to write: read-only, full, in a deadlock, overtaken. Tried again a little, then 503."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection

from incidentd.errors import StoreUnavailableError
from incidentd.store import incidents
from incidentd.store.engine import Store
from tests.lifecycle.bench import Bench
from tests.servers import wait_until
from tests.store.database import POSTGRESQL
from tests.store.row import note, open_incident
from tests.story.story import Story

OK, UNAVAILABLE = requests.codes.ok, requests.codes.service_unavailable
MANY = 300
ATTEMPTS = 4

# PostgreSQL's own code for a full disk, raised where an entry is written: https://www.postgresql.org/docs/current/errcodes-appendix.html
_RAISE = "CREATE FUNCTION fill() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION SQLSTATE '53100'; END $$ LANGUAGE plpgsql"
_FILL = "CREATE TRIGGER fill BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION fill()"


@contextmanager
def _read_only(bench: Bench) -> Iterator[None]:
    sqlite = bench.store.engine.dialect.name == "sqlite"
    with _each_session(bench.store, "PRAGMA query_only = ON" if sqlite else "SET default_transaction_read_only = on"):
        yield


@contextmanager
def _full(bench: Bench) -> Iterator[None]:
    """SQLite's file may not grow by a page more."""
    if bench.store.engine.dialect.name == "sqlite":
        with _each_session(bench.store, "PRAGMA max_page_count = 1"):
            yield
        return
    bench.store.write(lambda tx: [tx.execute(sa.text(each)) for each in (_RAISE, _FILL)])
    yield
    bench.store.write(lambda tx: tx.execute(sa.text("DROP FUNCTION fill CASCADE")))


@pytest.mark.parametrize("fault", [_read_only, _full])
def test_what_can_not_be_written_is_503_harms_nothing_and_goes_through_once_it_can(
    story: Story, fault: Callable[[Bench], Any]
) -> None:
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    before = story.bench.timeline()
    with fault(story.bench):
        assert _post(story) == UNAVAILABLE
    assert story.bench.timeline() == before
    assert _post(story) == OK
    story.bench.settle()
    story.expect_page(level=1)
    story.expect_card(f"{MANY} alerts", count=2)
    if story.bench.store.engine.dialect.name == "sqlite":
        assert story.bench.store.read(lambda tx: tx.scalar(sa.text("PRAGMA integrity_check"))) == "ok"


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_of_two_writers_in_a_deadlock_one_is_tried_again_and_both_write(store: Store) -> None:
    """SQLite has one writer at a time."""
    for name in ("core", "other"):
        open_incident(store, name)
    both = threading.Barrier(2, timeout=20)
    tries: list[str] = []

    def cross(first: str, second: str) -> None:
        def work(tx: Connection) -> None:
            # By default PostgreSQL looks for a deadlock after a second, which on a busy machine leaves no time.
            tx.execute(sa.text("SET LOCAL deadlock_timeout = '50ms'"))
            incidents.lock(tx, ids=[first])
            tries.append(first)
            if tries.count(first) == 1:
                both.wait()
            incidents.lock(tx, ids=[second])
            _step(tx, second)

        store.write(work)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(cross, "core", "other"), pool.submit(cross, "other", "core")]:
            done.result(120)
    assert len(tries) == 3
    assert store.read(lambda tx: [found.last for _, found in incidents.load(tx, ["core", "other"]).values()]) == [2, 2]


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_a_serialisation_failure_is_tried_again_and_in_the_end_told(
    store: Store, open_store: Callable[[], Store], times: int
) -> None:
    open_incident(store)
    other = open_store()
    seen: list[int] = []

    def overtaken(tx: Connection) -> None:
        seen.append(incidents.load(tx, ["core"])["core"][1].last)
        if len(seen) <= times:
            other.write(_step)
        _step(tx)

    with _each_session(store, "SET default_transaction_isolation = 'repeatable read'"):
        if times < ATTEMPTS:
            store.write(overtaken)
        else:
            with pytest.raises(StoreUnavailableError):
                store.write(overtaken)
    assert seen == list(range(1, min(times + 1, ATTEMPTS) + 1))


def _step(tx: Connection, name: str = "core") -> None:
    found = incidents.load(tx, [name])[name][1]
    incidents.update(tx, [(found.last, note(found)[0])])


@contextmanager
def _each_session(store: Store, statement: str) -> Iterator[None]:
    """Every connection of this process begins with ``statement``."""

    def prepare(connection: Any, _record: object) -> None:
        connection.execute(statement)
        connection.commit()

    event.listen(store.engine, "connect", prepare)
    _connect_anew(store)
    try:
        yield
    finally:
        event.remove(store.engine, "connect", prepare)
        _connect_anew(store)


def _connect_anew(store: Store) -> None:
    """What another thread has in use at this instant comes back to the old pool, where nobody else would close it.

    A pool that is disposed of no longer knows how many are in use, so that comes last.
    """
    old: Any = store.engine.pool
    store.engine.dispose(close=False)
    wait_until(lambda: not old.checkedout(), "all connections to be given back")
    old.dispose()


def _post(story: Story) -> int:
    alerts = [story.alert("other/disk", severity="critical", instance=str(number)) for number in range(MANY)]
    bearer = f"Bearer {story.bench.environ['INCIDENTD_WEBHOOK_TOKEN']}"
    url = f"{story.url}/api/v1/alertmanager"
    body = {"version": "4", "alerts": alerts}
    return requests.post(url, json=body, headers={"Authorization": bearer}, timeout=20).status_code
