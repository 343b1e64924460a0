"""An acknowledgement and an escalation at the same instant: one order, the same for everybody, each time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.lifecycle.work import Action
from tests.lifecycle.bench import MINUTE, Bench, alert, open_bench
from tests.lifecycle.twin import twin

TIMES = 1_000
TOGETHER = 20
"""The one begins at the front of so many incidents, the other at the back, so that both orders come about."""


def test_acknowledgement_and_escalation_at_one_instant_have_one_order_a_thousand_times(database_url: str) -> None:
    with ExitStack() as stack:
        bench = stack.enter_context(open_bench(database_url))
        timekeeper = stack.enter_context(twin(bench))
        bench.hear(*(alert(f"place-{number}") for number in range(TIMES)))
        ids = bench.incident_ids()
        bench.clock.advance(5 * MINUTE)
        rounds = [ids[first : first + TOGETHER] for first in range(0, TIMES, TOGETHER)]
        start = threading.Barrier(2, timeout=120)

        def climb() -> None:
            for some in rounds:
                start.wait()
                for few in _by_four(some[::-1]):
                    timekeeper.tick(few)

        def answer() -> None:
            for some in rounds:
                start.wait()
                for few in _by_four(some):
                    waiting = [bench.runtime.submit_action(Action(each, Acknowledge("anna", "slack"))) for each in few]
                    assert all(each.result(120).changed for each in waiting)

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(climb), pool.submit(answer)]:
                done.result(240)
        orders = [_order(bench, each) for each in ids]
    assert set(orders) == {("acknowledged",), ("level", "acknowledged")}
    assert len(orders) == TIMES


def _by_four(ids: list[str]) -> list[list[str]]:
    return [ids[first : first + 4] for first in range(0, len(ids), 4)]


def _order(bench: Bench, incident_id: str) -> tuple[str, ...]:
    """Who was first; everything else must agree with it."""
    timeline = bench.timeline(incident_id)
    assert [entry.number for entry in timeline] == list(range(1, len(timeline) + 1))
    kinds = tuple(entry.kind for entry in timeline[1:])
    incident = bench.incident(incident_id)
    assert incident.state is State.ACKNOWLEDGED
    assert incident.responded_in_time is True
    assert incident.level == (2 if "level" in kinds else 1)
    second_page = [row for row in bench.cursors(incident_id=incident_id) if row.slot == "e1.r1.l2"]
    assert len(second_page) == (1 if "level" in kinds else 0)
    return kinds
