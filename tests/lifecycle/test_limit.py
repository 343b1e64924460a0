"""Receivers' limits: kept by all senders together, the most urgent first."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.incident.command import Acknowledge, ChangeTier, Escalate
from incidentd.incident.slot import PAGE
from incidentd.keyring import Keyring
from incidentd.lifecycle.limit import WAIT
from incidentd.store import buckets
from incidentd.store.buckets import Bucket
from incidentd.store.cursors import HELD
from incidentd.store.tables import BUCKETS
from incidentd.tier import Tier
from tests.lifecycle.bench import KEYS, SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import twin
from tests.servers import wait_until

BURST = 5


@pytest.fixture
def narrow(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose every page may come in bursts of 5, then one a second."""
    rules = copy_rules(tmp_path)
    replace_in(rules, "destinations.yaml", ("burst: 60", f"burst: {BURST}\n  one_by_one: 0"))
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


def test_who_waits_in_line_costs_nothing_until_called(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 20)))
    _paged(narrow)
    assert narrow.runtime.due() == {}
    narrow.clock.advance(2 * SECOND)
    work = narrow.runtime.due()
    assert [len(ids) for ids in work.values()] == [2]


def test_who_comes_while_others_wait_does_not_overtake_the_more_urgent(narrow: Bench) -> None:
    narrow.hear(*(alert(f"place-{number}") for number in range(BURST)), *(alert(f"slo-{n}") for n in range(3)))
    _paged(narrow)
    narrow.clock.advance(SECOND)
    narrow.hear(lesser("disk", "critical"))
    narrow.deliver({PAGE: [found.id for found in narrow.with_key("disk")]})
    assert not any("disk" in event.payload["summary"] for event in narrow.events("trigger"))


def test_an_incident_that_gets_worse_moves_up_in_the_line(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 9)))
    _paged(narrow)
    paged = {event.dedup_key for event in narrow.events("trigger")}
    waiting = narrow.cursors(queue=PAGE, token=HELD)[-1].incident_id
    narrow.act(ChangeTier("anna", Tier.P0, "worse than it looks"), waiting)
    _paged(narrow)
    narrow.clock.advance(SECOND)
    _paged(narrow)
    (fresh,) = [event for event in narrow.events("trigger") if event.dedup_key not in paged]
    assert fresh.payload["summary"].startswith("P0")


def test_whoever_was_called_and_has_nothing_to_say_gives_the_turn_back(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 2)))
    _paged(narrow)
    narrow.clock.advance(SECOND)
    called = list(narrow.runtime.due()[PAGE])
    narrow.act(Acknowledge("anna"), called[0])
    narrow.deliver({PAGE: called})
    assert _paged(narrow) == BURST + 1


def test_should_nobody_call_them_those_in_line_are_found_due(narrow: Bench) -> None:
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 3)))
    _paged(narrow)
    narrow.store.write(lambda tx: tx.execute(sa.update(BUCKETS).values(next_at=None)))
    narrow.clock.advance(WAIT)
    assert len(narrow.runtime.due()[PAGE]) == 3


def test_a_changed_limit_counts_at_once(narrow: Bench) -> None:
    narrow.store.write(lambda tx: buckets.write(tx, Bucket(_bucket(narrow), 5.0, narrow.now, 0, 0), first=True))
    narrow.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + 3)))
    assert _paged(narrow) == BURST


def test_what_one_receiver_holds_back_holds_up_no_other(narrow: Bench) -> None:
    narrow.hear(*(alert(f"place-{number}") for number in range(BURST + 40)), lesser("disk", "critical"))
    (disk,) = narrow.with_key("disk")
    narrow.act(Escalate("anna"), disk.id)
    narrow.runtime.deliver_pages(narrow.incident_ids())
    wait_until(lambda: narrow.events("trigger", level=2), "the manager's page")


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
    wait_until(lambda: len(narrow.events("trigger")) >= BURST, "the pages of the burst")
    _paged(narrow)
    assert len(narrow.events("trigger")) == BURST


def _bucket(bench: Bench) -> str:
    spec = bench.runtime.rulebook.in_force.destinations["page-oncall"]
    destination = Keyring(bench.runtime.settings, {}).destination(spec)
    assert destination is not None
    return destination.bucket


def _paged(bench: Bench) -> int:
    """How many pages there are once every job for this instant is done."""
    bench.runtime.due()
    bench.deliver({PAGE: bench.incident_ids()})
    return len([event for event in bench.events("trigger") if event.routing_key == KEYS[1]])
