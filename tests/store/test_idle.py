"""Whoever stands still in the middle of a transaction loses its locks, whatever it did last (PostgreSQL)."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.store import engine, incidents
from incidentd.store.engine import Store, open_engine
from tests.servers import wait_until
from tests.store.database import POSTGRESQL
from tests.store.row import open_incident

ROWS = 20
TIMES = 3
"""Whether psycopg had its results before it asked for them is a matter of luck."""


@pytest.fixture
def impatient(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose transactions may stand still for two seconds."""
    monkeypatch.setattr(engine, "IDLE_SECONDS", 2)
    with closing(Store(open_engine(database_url))) as opened:
        yield opened


def a_lock(tx: Connection) -> None:
    incidents.lock(tx, ids=["core"])


def many_rows(tx: Connection) -> None:
    a_lock(tx)
    tx.execute(sa.text("UPDATE incidents SET title = :title WHERE id = :id"), [{"title": "x", "id": "core"}] * ROWS)


def a_copy(tx: Connection) -> None:
    a_lock(tx)
    tx.exec_driver_sql("CREATE TEMPORARY TABLE rows (number int) ON COMMIT DROP")
    tx.exec_driver_sql("COPY rows FROM STDIN", [(number,) for number in range(ROWS)])


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("last", [a_lock, many_rows, a_copy])
def test_whoever_stands_still_after_any_statement_is_cut_off(
    impatient: Store, store: Store, last: Callable[[Connection], None]
) -> None:
    open_incident(impatient)
    for _ in range(TIMES):
        impatient.read(lambda tx: incidents.load(tx, ["core"]))
        with impatient.engine.connect() as connection:
            _is_cut_off(connection, last, store)


def _is_cut_off(connection: Connection, last: Callable[[Connection], None], store: Store) -> None:
    backend = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    last(connection)
    wait_until(lambda: not _is_there(store, backend), "PostgreSQL to end the transaction")
    # That it stood idle is what ended it, and nothing else.
    with pytest.raises(sa.exc.DBAPIError, match="idle-in-transaction timeout"):
        connection.execute(sa.text("SELECT 1"))


def _is_there(store: Store, backend: int | None) -> bool:
    there = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :backend")
    return bool(store.read(lambda tx: tx.scalar(there, {"backend": backend})))
