"""A system that its table only observes, with real store, rules and channels: the receivers hear nothing of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from incidentd.drill import DrillMark, labels_of
from incidentd.errors import StoreUnavailableError
from incidentd.incident.state import State
from incidentd.intake import fingerprint
from incidentd.jobs import ESCALATE
from incidentd.lifecycle.work import Webhook
from incidentd.runtime import Runtime
from incidentd.store import query
from incidentd.store.query import Filter
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import twin
from tests.servers import wait_until

OBSERVED = ("system: avalo\n", "system: avalo\nobserve: true\n")
BASELINE = ("system: avalo\n", "system: avalo\nobserve: true\nobserve_until: 2026-01-12\n")
AGENTMESH_P0 = {"system": "agentmesh", "slo": "availability"}
HOUR = timedelta(hours=1)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder of rules that the test may change."""
    return copy_rules(tmp_path)


@pytest.fixture
def observing(database_url: str, rules: Path, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose table observes avalo."""
    replace_in(rules, "avalo.yaml", OBSERVED)
    with open_bench(database_url, rules, INCIDENTD_SPOOL=str(tmp_path / "spool")) as opened:
        yield opened


def said(bench: Bench) -> int:
    """How many messages and pages receivers got."""
    return len(bench.sandbox.pagerduty.requests) + len(bench.sandbox.slack.requests)


def test_a_p0_is_recorded_with_its_reason_and_nobody_is_told_however_long_it_lasts(observing: Bench) -> None:
    observing.hear(alert())
    observing.forward(3 * HOUR)
    incident = observing.incident()
    assert (incident.state, incident.observed, incident.row) == (State.TRIGGERED, True, "avalo/core-api-outage")
    assert (observing.cursors(), said(observing)) == ([], 0)
    observing.hear(alert(firing=False))
    observing.forward(HOUR)
    assert (observing.incident().state, said(observing)) == (State.RESOLVED, 0)


def test_other_systems_are_told_of_as_ever(observing: Bench) -> None:
    observing.hear(alert(), lesser("search", "critical"))
    observing.settle()
    (told,) = observing.with_key("search")
    assert {cursor.incident_id for cursor in observing.cursors()} == {told.id}
    assert said(observing) > 0


def test_an_alert_of_the_system_that_no_row_takes_is_observed_too(observing: Bench) -> None:
    observing.hear(alert(labels={"slo": "unheard-of", "sli": "none", "severity": "critical"}))
    observing.forward(HOUR)
    assert (observing.incident().row, said(observing)) == ("severity", 0)


def test_when_a_reload_ends_observing_people_are_told_at_once(observing: Bench, rules: Path) -> None:
    observing.hear(alert())
    observing.forward(HOUR)
    observing.hear(alert())
    assert observing.kinds() == ["opened"], "a repeat is no news while it is observed"
    replace_in(rules, "avalo.yaml", (OBSERVED[1], OBSERVED[0]))
    observing.runtime.reload()
    observing.settle()
    incident = observing.incident()
    assert (incident.observed, incident.level, incident.version) == (False, 1, observing.runtime.rules.version)
    assert incident.respond_by == observing.now + 5 * MINUTE
    assert len(observing.events("trigger")) == 1
    observing.forward(6 * MINUTE)
    assert observing.incident().level == 2


def test_observing_ends_on_its_day_without_a_reload(database_url: str, rules: Path) -> None:
    replace_in(rules, "avalo.yaml", BASELINE)
    with open_bench(database_url, rules) as bench:
        bench.hear(alert())
        bench.forward(timedelta(days=6, hours=11, minutes=59))
        bench.hear(alert())
        bench.settle()
        assert (bench.incident().observed, said(bench)) == (True, 0)
        bench.forward(MINUTE - SECOND / 1000)
        assert (bench.incident().observed, said(bench)) == (True, 0)
        bench.forward(SECOND / 1000)
        began = next(entry for entry in bench.timeline() if entry.kind == "round")
        assert began.at == datetime(2026, 1, 12, tzinfo=UTC)
        assert len(bench.events("trigger")) == 1
        before = bench.kinds()
        bench.hear(alert())
        assert bench.kinds() == before, "hearing of it again is no news"
        bench.hear(alert("preview"))
        bench.settle()
        assert [found.observed for found in map(bench.incident, bench.incident_ids())] == [False, False]
        assert len(bench.events("trigger")) == 2


def test_several_processes_end_observing_once_for_each_incident(database_url: str, rules: Path) -> None:
    replace_in(rules, "avalo.yaml", BASELINE)
    with open_bench(database_url, rules) as bench, ExitStack() as stack:
        bench.hear(*(alert(f"place-{number}") for number in range(30)))
        bench.clock.advance(datetime(2026, 1, 12, tzinfo=UTC) - bench.now)
        runtimes = [bench.runtime, *(stack.enter_context(twin(bench)) for _ in range(2))]
        start = threading.Barrier(3)

        def keep_time(runtime: Runtime) -> list[str]:
            start.wait()
            found = list(runtime.due().get(ESCALATE, ()))
            runtime.tick(found)
            return found

        with ThreadPoolExecutor(3) as pool:
            found = [each for some in pool.map(keep_time, runtimes) for each in some]
        assert sorted(found) == sorted(bench.incident_ids()), "each is marked by one of them"
        for runtime in runtimes:
            runtime.tick(found)
        assert {tuple(bench.kinds(each)) for each in found} == {("opened", "round")}


def test_it_ends_though_nothing_ran_at_its_instant(database_url: str, rules: Path) -> None:
    replace_in(rules, "avalo.yaml", BASELINE)
    with open_bench(database_url, rules) as bench:
        bench.hear(alert())
        bench.settle()
        bench.clock.advance(timedelta(days=9))
        bench.settle()
        assert (bench.incident().observed, bench.incident().level) == (False, 1)
        assert bench.incident().respond_by == bench.now + 5 * MINUTE


def test_nobody_is_woken_for_one_that_recovers_when_observing_ends(database_url: str, rules: Path) -> None:
    replace_in(rules, "avalo.yaml", BASELINE)
    with open_bench(database_url, rules) as bench:
        bench.hear(alert())
        bench.forward(timedelta(days=6, hours=11, minutes=59))
        bench.hear(alert(firing=False))
        bench.forward(10 * MINUTE)
        assert (bench.incident().state, said(bench)) == (State.RESOLVED, 0)


def test_a_later_day_that_a_reload_names_is_kept(database_url: str, rules: Path) -> None:
    replace_in(rules, "avalo.yaml", BASELINE)
    with open_bench(database_url, rules) as bench:
        bench.hear(alert())
        replace_in(rules, "avalo.yaml", ("2026-01-12", "2026-01-14"))
        bench.runtime.reload()
        bench.forward(timedelta(days=7))
        assert (bench.incident().observed, said(bench)) == (True, 0)
        bench.forward(timedelta(days=2))
        assert (bench.incident().observed, len(bench.events("trigger"))) == (False, 1)


def test_a_system_whose_incidents_bear_another_name_is_observed_until_it_is_not(database_url: str, rules: Path) -> None:
    replace_in(rules, "avalo.yaml", (BASELINE[0], BASELINE[1] + "key: {system: [team]}\n"))
    named = alert(labels={"team": "money"})
    with open_bench(database_url, rules) as bench:
        bench.hear(named)
        bench.forward(timedelta(days=6))
        assert (bench.incident().system, bench.incident().observed, said(bench)) == ("money", True, 0)
        assert not bench.runtime.due(), "it is not asked about again and again"
        bench.forward(timedelta(days=1))
        assert (bench.incident().observed, len(bench.events("trigger"))) == (False, 1)


def test_a_drill_of_an_observed_system_reaches_people_as_ever(observing: Bench) -> None:
    mark = DrillMark("01939e3c-0000-7000-8000-000000000000", Tier.P1, "avalo")
    drill = alert()
    labels = labels_of(mark, None)
    observing.hear(replace(drill, labels=labels, fingerprint=fingerprint(labels)), drill)
    observing.settle()
    found = {incident.system: incident.observed for incident in map(observing.incident, observing.incident_ids())}
    assert found == {"avalo": True, "incidentd-drill": False}
    (page,) = observing.events("trigger")
    assert "DRILL" in page.payload["summary"]
    (card,) = observing.sandbox.slack.cards("#incidents")
    assert "DRILL" in card.text


def test_who_was_told_is_told_of_the_end_when_the_system_becomes_observed_meanwhile(
    database_url: str, rules: Path
) -> None:
    with open_bench(database_url, rules) as bench:
        bench.hear(alert())
        bench.settle()
        replace_in(rules, "avalo.yaml", OBSERVED)
        bench.runtime.reload()
        bench.hear(alert())
        bench.hear(alert(firing=False))
        bench.forward(6 * MINUTE)
        assert (bench.incident().state, len(bench.events("resolve"))) == (State.RESOLVED, 1)
        before = said(bench)
        bench.hear(alert(starts_at=bench.now))
        bench.forward(HOUR)
        assert [found.observed for found in map(bench.incident, bench.incident_ids())] == [False, True]
        assert said(bench) == before


def test_no_page_goes_out_for_it_while_the_database_is_away(observing: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_work: object) -> NoReturn:
        raise StoreUnavailableError("away")

    for name in ("read", "write"):
        monkeypatch.setattr(observing.store, name, refuse)
    other = alert(labels=AGENTMESH_P0)
    for each in (alert(), other):
        observing.runtime.page_directly(Webhook((each,), "10.0.0.1"))
    wait_until(lambda: len(observing.events("trigger")) == 1, "the page of the other system")
    observing.runtime.direct.close()
    (page,) = observing.events("trigger")
    assert "agentmesh" in str(page.payload)
    monkeypatch.undo()


def test_it_is_counted_and_found_by_itself(observing: Bench) -> None:
    observing.hear(alert(), lesser("search", "critical"))
    runtime = observing.runtime
    counted = {
        tuple(sample.labels.values()): sample.value
        for family in runtime.meter.collect()
        for sample in family.samples
        if sample.name == "incidentd_observed_incidents_total"
    }
    assert counted == {("P0",): 1, ("P1",): 0, ("P2",): 0, ("P3",): 0}
    for observed, system in ((True, "avalo"), (False, "other")):
        found = observing.store.read(partial(query.by_urgency, wanted=Filter(observed=observed), limit=10))
        assert [each.incident.system for each in found] == [system]
