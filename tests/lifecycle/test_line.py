"""The line before a receiver's limit: whatever happens while they wait, nobody waits there for ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from incidentd.incident.command import Acknowledge, ChangeTier
from incidentd.incident.slot import PAGE, TELL
from incidentd.store.cursors import HELD
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in

BURST = 5
HOUR = 60 * MINUTE


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A table of the test's own, in which every page may come in bursts of 5, then one a second."""
    rules = copy_rules(tmp_path)
    replace_in(
        rules,
        "destinations.yaml",
        ("burst: 60", f"burst: {BURST}\n  one_by_one: 0"),
        ("burst: 10", f"burst: {BURST}\n  one_by_one: 0"),
    )
    return rules


@pytest.fixture
def narrow(database_url: str, rules: Path) -> Iterator[Bench]:
    """A bench with that table."""
    with open_bench(database_url, rules) as opened:
        yield opened


def test_a_limit_without_a_burst_lets_one_through_at_a_time(database_url: str, rules: Path) -> None:
    replace_in(rules, "destinations.yaml", (f"  burst: {BURST}\n  one_by_one: 0\n", ""))
    with open_bench(database_url, rules) as bench:
        bench.hear(*(lesser(f"slo-{number}", "critical") for number in range(3)))
        sent = [_paged(bench)]
        for _ in range(2):
            bench.clock.advance(SECOND)
            sent.append(_paged(bench))
        assert sent == [1, 2, 3]


def test_an_incident_that_got_worse_before_it_came_to_the_line_stands_where_it_belongs(narrow: Bench) -> None:
    _line(narrow)
    narrow.hear(lesser("worse", "critical"))
    (worse,) = narrow.with_key("worse")
    narrow.act(ChangeTier("anna", Tier.P0, "worse than it looks"), worse.id)
    _paged(narrow)
    narrow.clock.advance(SECOND)
    _paged(narrow)
    assert narrow.events("trigger")[-1].payload["summary"].startswith("P0")


def test_what_was_answered_while_it_waited_is_settled_though_others_still_wait(narrow: Bench) -> None:
    _line(narrow)
    answered = narrow.cursors(queue=PAGE, token=HELD)[-1].incident_id
    narrow.act(Acknowledge("anna"), answered)
    _paged(narrow)
    assert narrow.cursor(queue=PAGE, incident_id=answered).due_at is None


def test_the_card_of_what_was_answered_has_its_place_in_the_line(narrow: Bench) -> None:
    _line(narrow)
    narrow.hear(alert("answered"))
    (answered,) = narrow.with_key("answered")
    narrow.act(Acknowledge("anna"), answered.id)
    narrow.deliver({TELL: narrow.incident_ids()})
    narrow.clock.advance(SECOND)
    narrow.runtime.due()
    narrow.deliver({TELL: narrow.incident_ids()})
    assert narrow.cursor(destination="incidents", incident_id=answered.id).accepted_at is not None


def test_what_wakes_somebody_goes_before_what_only_says_that_others_are_answered(narrow: Bench) -> None:
    for number in range(12):
        narrow.hear(alert(f"place-{number}"))
        narrow.forward(SECOND)
    for incident_id in narrow.incident_ids():
        narrow.act(Acknowledge("anna"), incident_id)
    _paged(narrow)
    narrow.hear(lesser("disk", "critical"))
    _paged(narrow)
    narrow.clock.advance(SECOND)
    _paged(narrow)
    assert narrow.events("trigger")[-1].payload["component"] == "disk"


def test_whoever_was_called_keeps_the_turn_though_the_job_is_late(narrow: Bench) -> None:
    _line(narrow)
    narrow.clock.advance(SECOND)
    narrow.runtime.due()
    narrow.clock.advance(4 * SECOND)
    narrow.runtime.due()
    narrow.deliver({PAGE: narrow.incident_ids()})
    assert len(narrow.events("trigger")) == BURST + 1 + 4


def test_a_clock_that_goes_back_holds_up_nobody_in_the_line(narrow: Bench) -> None:
    _line(narrow)
    narrow.clock.jump(-HOUR)
    narrow.runtime.due()
    narrow.clock.advance(2 * SECOND)
    assert _paged(narrow) == BURST + 2


def test_a_clock_that_goes_back_keeps_no_page_from_its_next_try(narrow: Bench) -> None:
    narrow.hear(lesser("disk", "critical"))
    narrow.clock.jump(-HOUR)
    narrow.runtime.due()
    narrow.clock.advance(MINUTE)
    assert narrow.runtime.due()[PAGE] == narrow.incident_ids()


def test_once_a_reload_lifts_the_limit_nobody_waits_for_it_any_more(narrow: Bench, rules: Path) -> None:
    _line(narrow)
    replace_in(rules, "destinations.yaml", ("  per_minute: 60\n", ""), (f"  burst: {BURST}\n  one_by_one: 0\n", ""))
    narrow.runtime.reload()
    narrow.clock.advance(SECOND)
    _paged(narrow)
    assert len(narrow.events("trigger")) == len(narrow.incident_ids())


def test_once_a_reload_widens_the_limit_the_line_moves_as_fast(narrow: Bench, rules: Path) -> None:
    _line(narrow, 30)
    replace_in(rules, "destinations.yaml", ("per_minute: 60", "per_minute: 600"), (f"burst: {BURST}", "burst: 10"))
    narrow.runtime.reload()
    narrow.clock.advance(SECOND)
    before = _paged(narrow)
    narrow.clock.advance(SECOND)
    assert _paged(narrow) == before + 10


def _line(bench: Bench, length: int = 9) -> None:
    """Use up the burst, and let as many more stand in line, for pages and for cards."""
    bench.hear(*(lesser(f"slo-{number}", "critical") for number in range(BURST + length)))
    bench.deliver({queue: bench.incident_ids() for queue in (PAGE, TELL)})


def _paged(bench: Bench) -> int:
    """How many pages there are once every job for this instant is done."""
    bench.runtime.due()
    bench.deliver({PAGE: bench.incident_ids()})
    return len(bench.events("trigger"))
