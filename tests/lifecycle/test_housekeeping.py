"""Once a day one timekeeper prunes: never two, never by a clock that nobody believes, and not on the first day."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from incidentd.lifecycle.housekeeping import EVERY, FRESH, Housekeeper
from incidentd.settings import load_settings
from incidentd.store import pings
from tests.lifecycle.bench import Bench
from tests.lifecycle.test_prune import come_and_go

KEEP = timedelta(days=10)
HOUR = timedelta(hours=1)


def housekeeper(bench: Bench, *, doubted: bool = False) -> Housekeeper:
    return Housekeeper(bench.store, lambda: bench.now, lambda: doubted, KEEP)


def kept(bench: Bench) -> int:
    return len(bench.incident_ids())


def test_what_is_over_for_long_goes_from_the_second_day_on(bench: Bench) -> None:
    come_and_go(bench, "one")
    bench.clock.advance(2 * KEEP)
    house = housekeeper(bench)
    house.keep_house()
    assert kept(bench) == 1
    bench.clock.advance(EVERY - HOUR)
    house.keep_house()
    assert kept(bench) == 1
    bench.clock.advance(HOUR)
    with capture_logs() as lines:
        house.keep_house()
    assert kept(bench) == 0
    assert [(line["event"], line["incidents"]) for line in lines] == [("pruned", 1)]


def test_of_many_timekeepers_one_has_the_turn(bench: Bench) -> None:
    housekeeper(bench).keep_house()
    bench.clock.advance(EVERY)
    with capture_logs() as lines:
        for _ in range(3):
            housekeeper(bench).keep_house()
    assert [line["event"] for line in lines] == ["pruned"]


@pytest.mark.parametrize("away", [FRESH + EVERY, timedelta(days=4000)], ids=["days away", "a false clock"])
def test_after_a_long_time_without_a_turn_nothing_is_removed_at_once(bench: Bench, away: timedelta) -> None:
    come_and_go(bench, "one")
    housekeeper(bench).keep_house()
    bench.clock.advance(away)
    housekeeper(bench).keep_house()
    assert kept(bench) == 1


def test_nothing_is_removed_by_a_clock_in_doubt(bench: Bench) -> None:
    housekeeper(bench).keep_house()
    before = bench.store.read(lambda tx: pings.last(tx, pings.PRUNING))
    bench.clock.advance(EVERY)
    housekeeper(bench, doubted=True).keep_house()
    assert bench.store.read(lambda tx: pings.last(tx, pings.PRUNING)) == before


def test_its_turn_is_not_the_outsiders(bench: Bench) -> None:
    housekeeper(bench).keep_house()
    assert bench.store.read(lambda tx: pings.is_due(tx, bench.now, EVERY))


def test_it_can_be_switched_off() -> None:
    assert load_settings({"INCIDENTD_PRUNE": "off"}).prune == "off"
