"""One incident that nothing can be made of holds up no other (faults of our own)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from incidentd.incident.slot import PAGE, TELL
from incidentd.store.tables import DELIVERIES, ENTRIES
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert

PLACES = [f"place-{number}" for number in range(7)]


@pytest.fixture
def poisoned(bench: Bench) -> Iterator[tuple[Bench, str]]:
    """A bench that heard of several incidents, one of which has an entry that can't be read."""
    bench.hear(*(alert(place) for place in PLACES))
    (bad,) = bench.with_key(PLACES[3])
    _spoil(bench, bad.id)
    yield bench, bad.id


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
    _write(bench, incident_id, lambda data: f"{{{data}")


def _mend(bench: Bench, incident_id: str) -> None:
    _write(bench, incident_id, lambda data: data.removeprefix("{"))


def _write(bench: Bench, incident_id: str, change: Callable[[str], str]) -> None:
    """What its first entry holds, changed."""
    first = (ENTRIES.c.incident_id == incident_id, ENTRIES.c.number == 1)
    with bench.store.engine.begin() as connection:
        data = connection.execute(sa.select(ENTRIES.c.data).where(*first)).scalar_one()
        connection.execute(sa.update(ENTRIES).where(*first).values(data=change(data)))
