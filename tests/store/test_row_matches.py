"""How often each row took an alert, and when it last did: right, and found by its index."""

from typing import Any

import pytest
import sqlalchemy as sa

from incidentd.store import alerts
from incidentd.store.engine import Store
from incidentd.store.row_matches import Matches, row_matches
from incidentd.store.tables import ALERTS
from tests.patience import patient_database
from tests.store.row import NOW, alert, episode, minutes

__all__ = ["patient_database"]

MANY = 2_000


@pytest.fixture
def filled(store: Store) -> Store:
    """Alerts of three rows, one of them heard of a day before the others."""

    def fill(tx: sa.Connection) -> None:
        for number in range(MANY):
            at = NOW if number else minutes(-24 * 60)
            alerts.write(tx, [episode(alert(f"{number:016x}"))], at)
        tx.execute(sa.update(ALERTS).where(ALERTS.c.received_at < NOW).values(row="a/first"))

    store.write(fill)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return store


def test_each_row_has_its_last_match_and_its_times_and_one_without_any_has_none(filled: Store) -> None:
    other = episode(alert()).verdict.row
    asked = ["a/first", other, "a/never", 'a/"quoted"', "a/ü%_"]
    found = filled.read(lambda tx: row_matches(tx, asked, minutes(-60)))
    assert found == {
        "a/first": Matches(minutes(-24 * 60), 0),
        other: Matches(NOW, MANY - 1),
        "a/never": Matches(),
        'a/"quoted"': Matches(),
        "a/ü%_": Matches(),
    }
    assert filled.read(lambda tx: row_matches(tx, [], NOW)) == {}


def test_a_table_of_two_thousand_rows_is_asked_for_in_one_statement(filled: Store) -> None:
    rows = [f"a/{number}" for number in range(2_000)]
    assert len(filled.read(lambda tx: row_matches(tx, rows, NOW))) == 2_000


def test_it_is_found_by_an_index_however_many_alerts_there_are(filled: Store) -> None:
    sent: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, statement: str, parameters: Any, _x: object, _many: bool) -> None:
        sent.append((statement, parameters))

    sa.event.listen(filled.engine, "before_cursor_execute", note)
    filled.read(lambda tx: row_matches(tx, ["a/first"], NOW))
    sa.event.remove(filled.engine, "before_cursor_execute", note)
    (statement, parameters) = next(each for each in sent if "json" in each[0])
    begin = "EXPLAIN QUERY PLAN" if filled.engine.dialect.name == "sqlite" else "EXPLAIN"
    with filled.engine.connect() as connection:
        if begin == "EXPLAIN":
            connection.exec_driver_sql("SET enable_seqscan = off")
        plan = str(connection.exec_driver_sql(f"{begin} {statement}", parameters).all())
    assert plan.count("ix_alerts_row") == 2
    assert "SCAN alerts" not in plan
    assert "Seq Scan" not in plan
