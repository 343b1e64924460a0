"""However much that is less urgent is overdue, what is urgent does not wait for it."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE, TELL
from incidentd.jobs import ESCALATE
from incidentd.store.tables import ALERTS, CURSORS, ENTRIES, INCIDENTS
from tests.lifecycle.bench import SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in

OVERDUE = 10_000
BURSTS = 100
"""More than are told by themselves at once."""
URGENT = 3
APART = 3 * SECOND
"""So far apart no P0 waits for another: a receiver's limit lets one through each second."""
LONGEST = 2 * SECOND
TICK = SECOND / 2
"""The longest pause between two looks at what is due that can be set."""
LONGEST_SECONDS = 600
"""For 20,000 cursors, on a machine that does other things too."""
OFF = timedelta(hours=1)
FLOOD = "flood"
P3_BY_THE_RULES = "opening: [tickets, ticket-queue]\n        calendar: business-days"
PAGING_P3 = "opening: [incidents]\n        levels:\n          - {lasts: 8h, tell: [page-oncall, incidents]}"


@pytest.fixture(params=["one by one", "in digests"])
def flooded(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Off for an hour, with 10,000 P3s to be paged and told where P0s are too."""
    rules = copy_rules(tmp_path)
    replace_in(rules, "escalation.yaml", (P3_BY_THE_RULES, PAGING_P3))
    if request.param == "one by one":
        replace_in(rules, "destinations.yaml", ("per_minute: 60\n", "per_minute: 60\n  one_by_one: 0\n"))
    with open_bench(database_url, rules) as bench:
        bench.hear(lesser(FLOOD, "info"))
        bench.store.write(_multiply)
        bench.clock.advance(OFF)
        yield bench


@pytest.mark.timeout(LONGEST_SECONDS)
def test_no_p0_waits_over_2_s_behind_10_000_overdue_p3s(flooded: Bench) -> None:
    random = Random(7)
    arrivals = [flooded.now + number * APART + random.random() * APART / 2 for number in range(URGENT)]
    heard: dict[str, datetime] = {}
    waiting: list[int] = []
    for at in sorted([*arrivals, *_looks(flooded.now, arrivals[-1] + LONGEST + TICK)]):
        flooded.clock.advance(at - flooded.now)
        if at in arrivals:
            heard[_hear_p0(flooded, f"place-{len(heard)}")] = at
            waiting.append(_waiting(flooded))
        else:
            _look(flooded)
    assert waiting[0] >= OVERDUE - BURSTS, "it shows nothing where they don't wait"
    assert max(_waits(flooded, heard).values()) <= LONGEST


def _looks(begin: datetime, end: datetime) -> list[datetime]:
    return [begin + number * TICK for number in range((end - begin) // TICK)]


def _look(bench: Bench) -> None:
    """What a timekeeper and the workers do at one look."""
    work = bench.runtime.due()
    bench.runtime.tick(work.get(ESCALATE, ()))
    bench.deliver({queue: list(work.get(queue, ())) for queue in (PAGE, TELL)})


def _hear_p0(bench: Bench, place: str) -> str:
    """It is told of by a webhook, and its jobs are enqueued behind all others."""
    bench.hear(alert(place, starts_at=bench.now))
    (found,) = bench.with_key(place)
    bench.deliver({PAGE: [found.id], TELL: [found.id]})
    return found.id


def _waits(bench: Bench, heard: Mapping[str, datetime]) -> dict[tuple[str, str], timedelta]:
    """How long each P0's page and card took."""
    told = sa.select(CURSORS).where(CURSORS.c.incident_id.in_(heard))
    rows = bench.store.read(lambda tx: tx.execute(told).all())
    found = {(row.incident_id, row.destination): row for row in rows}
    return {
        (id_, where): (found[id_, where].accepted_at or bench.now) - at
        for id_, at in heard.items()
        for where in ("page-oncall", "incidents")
    }


def _waiting(bench: Bench) -> int:
    """Of how many P3s the page or the card has yet to leave."""
    untold = sa.select(sa.func.count(CURSORS.c.incident_id.distinct())).where(CURSORS.c.accepted_at.is_(None))
    return bench.store.read(lambda tx: tx.scalar(untold)) or 0


def _multiply(tx: Connection) -> None:
    """Of the one incident there is, with all that belongs to it, so many."""
    one = tx.execute(
        sa.select(INCIDENTS.c.id, ALERTS.c.fingerprint).join(ALERTS, ALERTS.c.incident_id == INCIDENTS.c.id)
    )
    id_, fingerprint = one.one()
    for table in (INCIDENTS, ENTRIES, ALERTS, CURSORS):
        rows = [row._asdict() for row in tx.execute(sa.select(table))]
        if table is INCIDENTS:
            # The database gives the numbers.
            del rows[0]["number"]
        copies = []
        for number in range(1, OVERDUE):
            names = {id_: str(uuid.UUID(int=number)), fingerprint: f"{number:016x}", FLOOD: f"{FLOOD}-{number}"}
            copies += [_renamed(row, names) for row in rows]
        tx.execute(sa.insert(table), copies)


def _renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    renamed = dict(row)
    for old, new in names.items():
        renamed = {
            name: value.replace(old, new) if isinstance(value, str) else value for name, value in renamed.items()
        }
    return renamed
