"""Many are due at once: several processes race for them, and the most urgent go first."""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE
from incidentd.jobs import ESCALATE
from incidentd.lifecycle import keep_time
from incidentd.store.engine import Store
from incidentd.store.tables import CURSORS, ENTRIES, INCIDENTS
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, Bench, lesser
from tests.servers import leashed
from tests.store.row import minutes, open_cursors, open_incident

RACERS = 4
DUE = 1_000
OVERDUE = 10_000
URGENT = 50
LONGEST_SECONDS = 240


def test_four_processes_race_for_1000_due_incidents_and_each_climbs_once(bench: Bench, tmp_path: Path) -> None:
    for first in range(0, DUE, 250):
        bench.hear(*(lesser(f"slo-{number}", "critical") for number in range(first, first + 250)))
    bench.clock.advance(15 * MINUTE)
    gate = tmp_path / "gate"
    argv = leashed([sys.executable, "-m", "tests.fault.racing", bench.now.isoformat(), str(gate)])
    environ = {"PYTHONPATH": str(Path(__file__).parents[2]), **bench.environ}
    racers = [subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(RACERS)]
    try:
        for racer in racers:
            assert racer.stdout
            assert "ready" in racer.stdout.readline()
        gate.touch()
        assert [racer.wait(LONGEST_SECONDS) for racer in racers] == [0] * RACERS
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    climbed = sa.select(ENTRIES.c.incident_id).where(ENTRIES.c.kind == "level")
    told = sa.select(CURSORS.c.incident_id).where(CURSORS.c.slot == "e1.r1.l2")
    for statement in (climbed, told):
        counted = Counter(_names(bench.store, statement))
        assert (len(counted), set(counted.values())) == (DUE, {1})


def test_of_10_000_overdue_incidents_and_pages_the_most_urgent_are_found_first_and_then_the_oldest(
    store: Store,
) -> None:
    order = _overdue(store)
    found: dict[str, list[str]] = {ESCALATE: [], PAGE: []}
    while some := keep_time.due(store, minutes(10), MINUTE, MINUTE):
        for queue, ids in some.items():
            assert len(ids) <= keep_time.MOST
            found[queue] += ids
    assert found == {ESCALATE: order, PAGE: order}


def _names(store: Store, statement: sa.Select[tuple[str]]) -> list[str]:
    return store.read(lambda tx: list(tx.scalars(statement)))


def _overdue(store: Store) -> list[str]:
    """So many incidents that are to climb, with a page to be sent: a few P0s among them, and not the oldest ones.

    Their ids as they are to be found.
    """
    tiers = {f"i{n:05}": Tier.P0 if n % (OVERDUE // URGENT) == 7 else (Tier.P1, Tier.P2)[n % 2] for n in range(OVERDUE)}
    open_incident(store, "one")
    open_cursors(store, ["one"])

    def copies(one: Mapping[str, Any], due: str, name: str) -> dict[str, Any]:
        late = minutes(1) + timedelta(milliseconds=int(name[1:]))
        return {**one, "tier": tiers[name].value, due: late}

    def work(tx: Connection) -> None:
        incident, cursor = (tx.execute(sa.select(table)).one()._asdict() for table in (INCIDENTS, CURSORS))
        for table in (CURSORS, INCIDENTS):
            tx.execute(sa.delete(table))
        rows = [
            copies(incident, "wake_at", name) | {"id": name, "key": name, "holds": name, "number": number}
            for number, name in enumerate(tiers, 1)
        ]
        tx.execute(sa.insert(INCIDENTS), rows)
        tx.execute(sa.insert(CURSORS), [copies(cursor, "due_at", name) | {"incident_id": name} for name in tiers])

    store.write(work)
    return sorted(tiers, key=lambda name: (tiers[name], name))
