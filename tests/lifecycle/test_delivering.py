"""`/-/delivering` names what waits for what; an outsider is not alarmed by a storm that moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from incidentd.sandbox.fault import FaultKind
from incidentd.store import overdue
from incidentd.store.overdue import Overdue
from tests.lifecycle.bench import KEYS, MINUTE, SECOND, Bench, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in

MANY = 5


@pytest.fixture
def slow(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A bench on which each page key takes one page a minute, and none are shared."""
    rules = copy_rules(tmp_path)
    for name in ("INCIDENTD_PAGERDUTY_ROUTING_KEY", "INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER"):
        assert name in (rules / "destinations.yaml").read_text()
    replace_in(
        rules,
        "destinations.yaml",
        ("  per_minute: 60\n  burst: 60\n", "  per_minute: 1\n  burst: 1\n  one_by_one: 0\n"),
    )
    with open_bench(database_url, rules) as opened:
        yield opened


def stands(bench: Bench) -> Overdue:
    return bench.store.read(lambda tx: overdue.read(tx, bench.now))


def test_pages_in_a_line_that_moves_are_overdue_and_do_get_out(slow: Bench) -> None:
    slow.hear(*(lesser(f"slo-{number}", "critical") for number in range(MANY)))
    slow.forward(90 * SECOND)
    found = stands(slow)
    assert found.held == {"page-oncall": found.count}
    assert found.count > 1
    assert found.says == f"{found.count} overdue: {found.count} wait for the limit of page-oncall"
    assert found.stuck == 0


def test_pages_in_a_line_that_stands_still_are_stuck(slow: Bench) -> None:
    slow.hear(*(lesser(f"slo-{number}", "critical") for number in range(MANY)))
    slow.settle()
    slow.clock.advance(3 * MINUTE)
    found = stands(slow)
    assert found.stuck == found.count > 0
    assert f"{found.held['page-oncall']} wait for the limit of page-oncall, whose line does not move" in found.says


def test_pages_that_were_tried_in_vain_are_named_with_their_receiver(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503, times=None, target=KEYS[1])
    bench.hear(lesser("core", "critical"))
    bench.forward(2 * MINUTE)
    found = stands(bench)
    assert found.says == "1 overdue: 1 was tried in vain at page-oncall"
    assert found.stuck == 1


def test_what_nobody_does_is_told_apart(bench: Bench) -> None:
    bench.hear(lesser("core", "critical"))
    bench.clock.advance(20 * MINUTE)
    assert stands(bench).says == (
        "2 overdue: 1 for page-oncall was not tried: see the page workers, 1 incident waits for the escalate workers"
    )


def test_nothing_overdue_is_ok(bench: Bench) -> None:
    bench.hear(lesser("core", "critical"))
    bench.settle()
    assert (stands(bench).says, stands(bench).count) == ("ok", 0)
