"""A page that its receiver's limit keeps waiting for over a minute is told elsewhere too; of many, in one message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from incidentd.incident.command import Acknowledge
from incidentd.incident.slot import PAGE
from incidentd.lifecycle.stand_in import CAUSE, TOO_LONG
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.message import Message
from incidentd.timeline import FellBack
from tests.lifecycle.bench import KEYS, MINUTE, SECOND, Bench, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import twin

MANY = 40


@pytest.fixture
def slow(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose pages leave by themselves: one at once, then one a minute."""
    rules = copy_rules(tmp_path)
    one_a_minute = "per_minute: 1\n  burst: 1\n  one_by_one: 0"
    replace_in(rules, "destinations.yaml", ("per_minute: 60\n  burst: 60", one_a_minute))
    with open_bench(database_url, rules) as opened:
        yield opened


def hear(bench: Bench, how_many: int) -> None:
    bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(how_many)))


def stood_in(bench: Bench) -> list[str]:
    """The incidents whose fallback was told, each as often as it was."""
    return [each for each in bench.incident_ids() for kind in bench.kinds(each) if kind == "fell_back"]


def test_a_page_that_waits_in_line_for_over_a_minute_goes_out_on_its_fallback_too(slow: Bench) -> None:
    hear(slow, 4)
    slow.forward(TOO_LONG - 5 * SECOND)
    assert stood_in(slow) == []
    slow.forward(15 * SECOND)
    assert len(slow.events("trigger")) == 2
    waiting = [row.incident_id for row in slow.cursors(queue=PAGE) if row.accepted_at is None]
    assert sorted(stood_in(slow)) == sorted(waiting)
    (fact,) = [entry.data for entry in slow.timeline(waiting[0]) if isinstance(entry.data, FellBack)]
    assert (fact.destination, fact.fallback, fact.cause) == ("page-oncall", "incidents", CAUSE)
    cards = [card for card in slow.sandbox.slack.cards("#incidents") if "stands in for a page" in str(card.blocks)]
    assert len(cards) == len(waiting)


def test_who_stood_in_line_keeps_the_place_and_is_paged_once_all_the_same(slow: Bench) -> None:
    hear(slow, 4)
    slow.forward(4 * MINUTE)
    assert len({event.dedup_key for event in slow.events("trigger", level=1)}) == 4
    assert len(slow.events("trigger", level=1)) == 4
    assert len(stood_in(slow)) == len({*stood_in(slow)})


def test_what_was_answered_while_it_waited_needs_no_fallback(slow: Bench) -> None:
    hear(slow, 3)
    slow.settle()
    for incident_id in slow.incident_ids():
        slow.act(Acknowledge("anna"), incident_id)
    slow.forward(2 * MINUTE)
    assert stood_in(slow) == []


def test_two_timekeepers_let_a_fallback_stand_in_once(slow: Bench) -> None:
    hear(slow, 4)
    slow.settle()
    with twin(slow) as other:
        slow.clock.advance(TOO_LONG + 10 * SECOND)
        slow.runtime.due()
        other.due()
    assert stood_in(slow)
    assert len(stood_in(slow)) == len({*stood_in(slow)})


def test_the_fallback_of_a_page_that_many_share_is_one_message_that_says_so(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, times=None, status=503, target=KEYS[1])
    hear(bench, MANY)
    bench.forward(3 * MINUTE)
    assert len(stood_in(bench)) == MANY
    loud = [each for each in bench.sandbox.slack.messages("#incidents") if each.broadcast]
    assert loud == _posts(bench, "call")
    assert len(loud) == 1
    said = "This stands in for pages that could not be delivered to page-oncall."
    (digest,) = _posts(bench, "digest")
    assert said in loud[0].text
    assert said in str(digest.blocks)
    bench.sandbox.faults.clear()
    bench.forward(2 * MINUTE)
    (page,) = {event.dedup_key for event in bench.events("trigger", level=1)}
    assert all(row.accepted_at for row in bench.cursors(queue=PAGE))
    assert page


def _posts(bench: Bench, kind: str) -> list[Message]:
    found = bench.sandbox.slack.messages("#incidents")
    return [each for each in found if (each.metadata or {}).get("event_type") == f"incidentd_{kind}"]
