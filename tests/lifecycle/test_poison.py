"""One incident that nothing can be made of holds up no other (faults of our own)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from incidentd.incident.slot import PAGE, TELL
from incidentd.store.tables import DELIVERIES
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert

LONG_AGO = 10**18
PLACES = [f"place-{number}" for number in range(7)]


@pytest.fixture
def poisoned(bench: Bench) -> Iterator[tuple[Bench, str]]:
    """A bench that heard of several incidents, one of which has an entry that can't be read."""
    bench.hear(*(alert(place) for place in PLACES))
    (bad,) = bench.with_key(PLACES[3])
    _spoil(bench, bad.id)
    yield bench, bad.id
    _mend(bench, bad.id)


def test_the_others_of_its_claim_are_told(poisoned: tuple[Bench, str]) -> None:
    bench, bad = poisoned
    bench.settle()
    unpaged = {row.incident_id for row in bench.cursors(queue=PAGE) if row.accepted_at is None}
    untold = {row.incident_id for row in bench.cursors(queue=TELL, destination="incidents") if row.accepted_at is None}
    assert unpaged == untold == {bad}


def test_it_is_tried_later_and_later_and_one_incident_tells_of_it(poisoned: tuple[Bench, str]) -> None:
    bench, bad = poisoned
    bench.settle()
    assert {row.attempts for row in bench.cursors(incident_id=bad)} == {1}
    bench.forward(4 * MINUTE)
    assert all(8 <= row.attempts <= 20 for row in bench.cursors(incident_id=bad))
    (told,) = bench.with_key("incidentd/delivery")
    assert bad in told.title


def test_it_is_told_once_it_is_sound_again(poisoned: tuple[Bench, str]) -> None:
    bench, bad = poisoned
    bench.forward(MINUTE)
    _mend(bench, bad)
    bench.forward(MINUTE)
    assert all(row.accepted_at for row in bench.cursors(incident_id=bad))


def test_what_was_accepted_but_can_not_be_recorded_is_not_told_again(bench: Bench) -> None:
    bench.hear(alert())
    with _unrecordable(bench):
        bench.forward(2 * MINUTE)
    assert len(bench.events("trigger")) == 1
    assert all(row.told >= 1 for row in bench.cursors())
    assert all(2 <= row.attempts <= 20 for row in bench.cursors())
    bench.forward(30 * SECOND)
    assert all(row.due_at is None for row in bench.cursors())


@contextmanager
def _unrecordable(bench: Bench) -> Iterator[None]:
    def fail(_connection: object, clause: object, *_rest: object) -> None:
        if getattr(clause, "table", None) is DELIVERIES:
            raise ValueError("a fault of ours")

    sa.event.listen(bench.store.engine, "before_execute", fail)
    try:
        yield
    finally:
        sa.event.remove(bench.store.engine, "before_execute", fail)


def _spoil(bench: Bench, incident_id: str) -> None:
    """Move its first entry to an instant that no calendar has."""
    _run(bench, "UPDATE entries SET at = at - :by WHERE incident_id = :id AND number = 1", incident_id)


def _mend(bench: Bench, incident_id: str) -> None:
    """Move it back, unless it is back already."""
    _run(bench, "UPDATE entries SET at = at + :by WHERE incident_id = :id AND number = 1 AND at < 0", incident_id)


def _run(bench: Bench, statement: str, incident_id: str) -> None:
    with bench.store.engine.begin() as connection:
        connection.execute(sa.text(statement), {"by": LONG_AGO, "id": incident_id})
