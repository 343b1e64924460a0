"""Redis is away for as long as an incident climbs: the timekeeper alone keeps every level's time."""

from datetime import datetime, timedelta
from typing import Any

from incidentd.incident.wake import wake_at
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, open_bench
from tests.servers import free_port, wait_until
from workers.timekeeper import Timekeeper
from workers.watchdog import Watchdog

STEP = timedelta(seconds=4)
WITHIN = timedelta(seconds=5)
"""How late a page may leave without Redis."""


def test_with_redis_away_for_ten_minutes_each_level_is_told_at_its_time(database_url: str) -> None:
    with open_bench(database_url, INCIDENTD_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as bench:
        timekeeper = Timekeeper(bench.runtime, Watchdog(), bench.clock)
        bench.hear(alert())
        bench.clock.advance(SECOND)
        while bench.now < BEGIN + 16 * MINUTE:
            _go_round(bench, timekeeper)
            bench.clock.advance(_until_next(bench))
        timekeeper.close()
        for level, due in {1: BEGIN, 2: BEGIN + 5 * MINUTE, 3: BEGIN + 15 * MINUTE}.items():
            (page,) = bench.events("trigger", level)
            assert due <= page.at <= due + WITHIN, level


def _go_round(bench: Bench, timekeeper: Timekeeper) -> None:
    """One cycle, and the end of all that it began; what was news to others by then is theirs to tell later."""
    news = bench.incident().news
    due = {_name(row) for row in bench.all_cursors() if row.due_at is not None and row.due_at <= bench.now}
    timekeeper.cycle()
    wait_until(
        lambda: all(row.told >= news for row in bench.all_cursors() if _name(row) in due), "what is due to be told"
    )
    wait_until(lambda: (wake_at(bench.incident()) or bench.now + MINUTE) > bench.now, "the climb")
    # The next cycle passes over whatever is still under way.
    wait_until(lambda: not bench.leases(), "deliveries to end")


def _until_next(bench: Bench) -> timedelta:
    due: list[datetime] = [row.due_at for row in bench.all_cursors() if row.due_at]
    return max(STEP, min([*due, wake_at(bench.incident()) or bench.now]) - bench.now)


def _name(row: Any) -> tuple[str, str, str]:
    return row.incident_id, row.destination, row.slot
