"""(e), (f), (i): deadlines with many incidents open, and what one takes up."""

import json
import time
from datetime import datetime, timedelta

import sqlalchemy as sa

from bench.database import Fresh, size
from bench.filling import fill, open_at
from bench.installation import installation, percentile
from bench.result import Result
from incidentd.clock import SystemClock
from incidentd.store.engine import open_engine
from incidentd.store.tables import ENTRIES, INCIDENTS
from incidentd.timeline import LevelReached

SIZES = (1_000, 10_000, 100_000)
A_SECOND = 50
SECONDS = 20
AT_ONCE = 5_000
RESPONSE = timedelta(minutes=15)
"""How long the first level of a P1 lasts in the shipped rules."""
_START = timedelta(seconds=20)
_LONGEST_SECONDS = 120.0
# Rarely: looking costs what is being measured.
_LOOK_SECONDS = 2.0


def measure(fresh_database: Fresh) -> list[Result]:
    """(e) and (f), on a database for each size."""
    results = []
    for wanted in SIZES:
        with fresh_database() as url:
            # Before all that falls due: what is dated ahead of a clock is taken for another clock's fault.
            since = SystemClock().now() - RESPONSE
            fill(url, 1, since)
            empty = size(url)
            fill(url, wanted - 1, since)
            each = (size(url) - empty) / wanted
            lateness, kept = _lateness(url, wanted)
            results.append(lateness)
    return [*results, _room(each, kept)]


def measure_at_once(fresh_database: Fresh) -> list[Result]:
    """(i)"""
    with fresh_database() as url:
        due_at = SystemClock().now() + _START + timedelta(seconds=AT_ONCE / 250)
        open_at(url, [due_at - RESPONSE] * AT_ONCE, "critical")
        with installation(url, limited=False):
            _refuse_late_start(due_at)
            late = _claimed(url, due_at - RESPONSE, AT_ONCE)
    took = max(late)
    good = took < 3 and min(late) >= 0 and len(late) == AT_ONCE
    measured = f"{took:.1f} s, {len(late):,} claims, {sum(each < 0 for each in late)} early"
    return [Result("i", "5,000 deadlines at one instant: until all are claimed", measured, "< 3 s, each once", good)]


def _lateness(url: str, open_incidents: int) -> tuple[Result, int]:
    """The lateness, and how many keys Redis holds afterwards."""
    first = SystemClock().now() + _START
    instants = [first + timedelta(seconds=number / A_SECOND) - RESPONSE for number in range(A_SECOND * SECONDS)]
    open_at(url, instants, "critical")
    with installation(url, limited=False) as here:
        _refuse_late_start(first)
        late = _claimed(url, instants[0], len(instants))
        kept = here.keys()
    early = sum(each < 0 for each in late)
    p50, p99, most = (1000 * value for value in (percentile(late, 0.5), percentile(late, 0.99), max(late)))
    measured = f"p50 {p50:.0f}, p99 {p99:.0f}, max {most:.0f} ms, {early} early"
    what = f"deadlines late, 50 due a second, {open_incidents:,} open"
    met = p99 < 150 and early == 0 and len(late) == len(instants)
    return Result("e", what, measured, "p99 < 150 ms, 0 early", met), kept


def _room(each: float, kept: int) -> Result:
    measured = f"{each:,.0f} bytes, {kept} keys"
    what = "an open incident in the database; keys in Redis with 100,000 open"
    return Result("f", what, measured, "≤ 4,096 bytes, 0 keys", each <= 4096 and kept == 0)


def _refuse_late_start(first: datetime) -> None:
    if SystemClock().now() > first:
        raise RuntimeError("this machine is too slow: the parts started after the first deadline")


def _claimed(url: str, since: datetime, how_many: int) -> list[float]:
    """Seconds from each deadline to the decision that the next level is told, for each such decision."""
    engine = open_engine(url)
    reached = (
        sa.select(INCIDENTS.c.opened_at, ENTRIES.c.at, ENTRIES.c.data)
        .join(ENTRIES, ENTRIES.c.incident_id == INCIDENTS.c.id)
        .where(INCIDENTS.c.opened_at >= since, INCIDENTS.c.tier == "P1", ENTRIES.c.kind == LevelReached.kind)
    )
    end = time.monotonic() + _LONGEST_SECONDS
    found: list[float] = []
    while len(found) < how_many and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        with engine.connect() as connection:
            rows = connection.execute(reached).all()
        found = [
            (at - opened - RESPONSE).total_seconds() for opened, at, data in rows if json.loads(data)["level"] == 2
        ]
    engine.dispose()
    return found
