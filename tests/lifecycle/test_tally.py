"""Use cases count what they did, once it is stored: alerts, incidents, deliveries, acceptance, lateness."""

from datetime import timedelta
from pathlib import Path

import pytest

from incidentd.errors import RulesError
from incidentd.incident.command import Acknowledge
from incidentd.lifecycle.work import Complaint, Webhook
from incidentd.meter.exposition import text
from incidentd.sandbox.fault import FaultKind
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, lesser
from tests.test_meter import value

BROKEN = Complaint("no_labels", "an alert has no labels")


def count(bench: Bench, name: str, **labels: str) -> float:
    return value(text(bench.runtime.meter.collect()), f"incidentd_{name}", **labels)


def alerts(bench: Bench) -> tuple[float, float, float]:
    news, repeat, broken = (count(bench, "alerts_total", outcome=o) for o in ("news", "repeat", "not_understood"))
    return news, repeat, broken


def test_alerts_count_as_news_once_and_then_as_repeats(bench: Bench) -> None:
    bench.hear(alert("a"), alert("b"))
    assert alerts(bench) == (2, 0, 0)
    bench.hear(alert("a"), alert("b"))
    bench.hear(alert("a"), alert("c"))
    assert alerts(bench) == (3, 3, 0)
    bench.hear(alert("a", firing=False))
    assert alerts(bench) == (4, 3, 0)


def test_the_copies_of_two_replicas_at_once_are_one_news_and_one_repeat(bench: Bench) -> None:
    copies = [bench.runtime.submit_webhook(Webhook((alert("a"),), source, ())) for source in ("10.0.0.1", "10.0.0.2")]
    for each in copies:
        each.result(120)
    assert alerts(bench) == (1, 1, 0)


def test_what_is_not_understood_counts_by_itself_and_not_as_news(bench: Bench) -> None:
    bench.hear(alert("a"), complaints=(BROKEN,))
    assert alerts(bench) == (1, 0, 1)
    assert count(bench, "incidents_opened_total", tier="P1") == 1


def test_what_incidentd_complains_of_itself_is_nobodys_alert(bench: Bench) -> None:
    bench.runtime.complain(Complaint("clock", "the clock jumped"))
    bench.hear(alert("a"))
    assert alerts(bench) == (1, 0, 0)


def test_incidents_count_by_the_tier_they_open_with(bench: Bench) -> None:
    bench.hear(alert("a"), alert("b"), lesser("x", "warning"))
    bench.hear(alert("a", region="us"))
    opened = {tier: count(bench, "incidents_opened_total", tier=tier) for tier in ("P0", "P1", "P2", "P3")}
    assert opened == {"P0": 2, "P1": 0, "P2": 1, "P3": 0}


def test_an_accepted_page_counts_with_its_time_since_receipt(bench: Bench) -> None:
    bench.hear(alert("a"))
    bench.clock.advance(2 * SECOND)
    bench.settle()
    assert count(bench, "deliveries_total", channel="pagerduty", outcome="accepted") == 1
    assert count(bench, "acceptance_seconds_count", channel="pagerduty") == 1
    assert count(bench, "acceptance_seconds_sum", channel="pagerduty") == pytest.approx(2)


def test_a_level_told_later_is_measured_from_its_own_beginning(bench: Bench) -> None:
    bench.hear(alert("a"))
    bench.forward(5 * MINUTE)
    assert len(bench.events("trigger")) == 2
    assert count(bench, "acceptance_seconds_count", channel="pagerduty") == 2
    assert count(bench, "acceptance_seconds_sum", channel="pagerduty") == pytest.approx(0)


def test_what_is_told_after_failures_waited_since_its_first_news(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    bench.hear(alert("a"))
    begun = bench.now
    bench.settle()
    assert count(bench, "deliveries_total", channel="pagerduty", outcome="failed") == 1
    assert count(bench, "acceptance_seconds_count", channel="pagerduty") == 0
    bench.forward(MINUTE)
    accepted = bench.cursor(queue="page").accepted_at
    assert accepted > begun
    waited = count(bench, "acceptance_seconds_sum", channel="pagerduty")
    assert waited == pytest.approx((accepted - begun).total_seconds())


def test_a_deadline_counts_with_its_lateness(bench: Bench) -> None:
    bench.hear(alert("a"))
    bench.settle()
    bench.clock.advance(5 * MINUTE + timedelta(seconds=3))
    bench.settle()
    assert count(bench, "deadline_lateness_seconds_count") >= 1
    assert count(bench, "deadline_lateness_seconds_bucket", le="2.5") == 0
    assert count(bench, "deadline_lateness_seconds_bucket", le="5.0") >= 1


def test_a_tick_that_changes_nothing_counts_as_no_deadline(bench: Bench) -> None:
    bench.hear(alert("a"))
    bench.runtime.tick(bench.incident_ids())
    bench.act(Acknowledge("anna"))
    bench.runtime.tick(bench.incident_ids())
    assert count(bench, "deadline_lateness_seconds_count") == 0
    assert count(bench, "job_seconds_count", queue="escalate") == 2


def test_statements_and_commits_are_timed(bench: Bench) -> None:
    before = {verb: count(bench, "statement_seconds_count", verb=verb) for verb in ("insert", "commit")}
    bench.hear(alert("a"))
    after = {verb: count(bench, "statement_seconds_count", verb=verb) for verb in before}
    assert after["commit"] == before["commit"] + 1
    assert after["insert"] > before["insert"]


def test_a_reload_counts_as_taken_or_refused(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.runtime.reload()
    unsound = bench.runtime.settings.model_copy(update={"rules": tmp_path})
    monkeypatch.setattr(bench.runtime, "settings", unsound)
    with pytest.raises(RulesError):
        bench.runtime.reload()
    assert count(bench, "rules_reloads_total", result="taken") == 1
    assert count(bench, "rules_reloads_total", result="refused") == 1
