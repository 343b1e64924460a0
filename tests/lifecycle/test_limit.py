"""Receivers' limits: kept by all senders together, the most urgent first."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from incidentd.incident.command import Acknowledge, Escalate
from incidentd.incident.slot import PAGE
from tests.lifecycle.bench import KEYS, SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import twin
from tests.servers import wait_until

BURST = 5


@pytest.fixture
def narrow(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose every page may come in bursts of 5, then one a second."""
    rules = copy_rules(tmp_path)
    replace_in(rules, "destinations.yaml", ("burst: 60", f"burst: {BURST}"))
    with open_bench(database_url, rules) as opened:
        yield opened


def test_no_more_than_the_burst_leaves_at_once_and_the_rest_one_a_second(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 3)))
    sent = [_paged(narrow)]
    for _ in range(3):
        narrow.clock.advance(SECOND)
        sent.append(_paged(narrow))
    assert sent == [BURST, BURST + 1, BURST + 2, BURST + 3]


def test_the_most_urgent_leaves_first(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 3)), alert())
    _paged(narrow)
    summaries = [event.payload["summary"] for event in narrow.events("trigger")]
    assert [summary for summary in summaries if summary.startswith("P0")]


def test_one_that_comes_when_the_bucket_is_empty_waits_for_one_token_only(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 20)))
    _paged(narrow)
    narrow.hear(alert())
    _paged(narrow)
    narrow.clock.advance(SECOND)
    _paged(narrow)
    assert narrow.events("trigger")[-1].payload["summary"].startswith("P0")


def test_what_one_receiver_holds_back_holds_up_no_other(narrow: Bench) -> None:
    narrow.hear(*(alert(f"place-{number}") for number in range(BURST + 40)), lesser("disk", "critical"))
    (disk,) = narrow.with_key("disk")
    narrow.act(Escalate("anna"), disk.id)
    narrow.runtime.deliver_pages(narrow.incident_ids())
    wait_until(lambda: narrow.events("trigger", level=2), "the manager's page", 10)


def test_what_has_nothing_to_say_takes_nothing_of_the_limit(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 3)))
    for incident_id in narrow.incident_ids():
        narrow.act(Acknowledge("anna"), incident_id)
    narrow.hear(lesser("new", "critical"))
    assert _paged(narrow) == 1
    assert all(row.due_at is None for row in narrow.cursors(queue=PAGE))


def test_two_processes_keep_one_limit_together(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 10)))
    with twin(narrow) as other:
        for runtime in (narrow.runtime, other):
            runtime.deliver_pages(narrow.incident_ids())
    wait_until(lambda: len(narrow.events("trigger")) >= BURST, "the pages of the burst", 10)
    _paged(narrow)
    assert len(narrow.events("trigger")) == BURST


def _paged(bench: Bench) -> int:
    """How many pages there are once every job for this instant is done."""
    bench.runtime.due()
    bench.deliver({PAGE: bench.incident_ids()})
    return len([event for event in bench.events("trigger") if event.routing_key == KEYS[1]])
