"""A shadow table is tried on each new alert, tells nobody, and stops nothing, whatever is wrong with it."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from pydantic_core import from_json
from structlog.testing import capture_logs
from typer.testing import CliRunner

from incidentd.cli.rules import app
from incidentd.errors import RulesError, StoreUnavailableError
from incidentd.lifecycle.shadow_verdict import LONGEST_EXAMPLE, Kind, example_of
from incidentd.runtime import Runtime
from incidentd.store import prune, rules, shadow
from incidentd.store.shadow import COMPARISONS_KEPT, MOST, Comparison, Difference
from incidentd.tier import Tier
from tests.lifecycle.bench import BEGIN, MINUTE, Bench, alert, lesser, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import twin
from tests.servers import wait_until

CALMER = ('slo="core-api", sli="outage"]\n    tier: P0', 'slo="core-api", sli="outage"]\n    tier: P1')
MAIL = "incidents:\n  kind: email\n  from: incidentd@example.com\n  to: [team@example.com]"
LOUDER = ("warning: P2", "warning: P1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shadow's folder: the table in force, to be changed."""
    (tmp_path / "second").mkdir()
    return copy_rules(tmp_path / "second")


@pytest.fixture
def bench(database_url: str, folder: Path) -> Iterator[Bench]:
    with open_bench(database_url, INCIDENTD_SHADOW_RULES=str(folder)) as opened:
        yield opened


def found(bench: Bench) -> list[Difference]:
    """What is stored of the present two tables."""
    bench.runtime.shadow.work()
    first, second = bench.runtime.rules.version, bench.store.read(shadow.in_force) or ""
    return bench.store.read(lambda tx: shadow.differences(tx, first, second))


def compared(bench: Bench) -> Comparison | None:
    bench.runtime.shadow.work()
    first, second = bench.runtime.rules.version, bench.store.read(shadow.in_force) or ""
    return bench.store.read(lambda tx: shadow.comparison(tx, first, second))


def outcomes(runtime: Runtime) -> Mapping[str, float]:
    families = runtime.meter.collect()
    samples = [each for family in families for each in family.samples if each.name == "incidentd_shadow_alerts_total"]
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.value}


def test_what_differs_is_kept_with_rows_tiers_how_often_and_the_last_example(bench: Bench, folder: Path) -> None:
    replace_in(folder, "avalo.yaml", CALMER)
    replace_in(folder, "tiers.yaml", LOUDER)
    bench.runtime.shadow.reload()
    bench.hear(alert(), lesser("queue", "warning"), lesser("other", "critical"))
    bench.clock.advance(MINUTE)
    bench.hear(alert("preview", region="us", starts_at=bench.now))
    calmer, louder = found(bench)
    assert (calmer.from_row, calmer.to_row) == ("avalo/core-api-outage", "avalo/core-api-outage")
    assert (calmer.from_tier, calmer.to_tier, calmer.kind) == (Tier.P0, Tier.P1, "less_urgent")
    assert (calmer.alerts, calmer.first_at, calmer.last_at) == (2, BEGIN, bench.now)
    assert from_json(calmer.example)["labels"]["region"] == "us"
    assert (louder.from_row, louder.from_tier, louder.to_tier) == ("severity", Tier.P2, Tier.P1)
    total = compared(bench)
    assert total is not None
    assert (total.alerts, total.differing) == (4, 3)
    assert outcomes(bench.runtime) == {"same": 1, "less_urgent": 2, "more_urgent": 1}


def test_it_never_acts(bench: Bench, folder: Path) -> None:
    replace_in(folder, "avalo.yaml", CALMER)
    bench.runtime.shadow.reload()
    bench.hear(alert())
    bench.settle()
    assert bench.incident().tier is Tier.P0
    assert bench.incident().version == bench.runtime.rules.version != bench.store.read(shadow.in_force)
    assert bench.store.read(lambda tx: [each.version for each in rules.history(tx, 9)]) == [bench.runtime.rules.version]


def test_repeats_ends_drills_and_our_own_alerts_are_not_counted(bench: Bench) -> None:
    bench.runtime.shadow.reload()
    bench.hear(alert())
    bench.hear(alert())
    bench.hear(alert(firing=False))
    bench.runtime.shadow.compare([])
    total = compared(bench)
    assert total is not None
    assert (total.alerts, total.differing, found(bench)) == (1, 0, [])


@pytest.mark.parametrize(
    ("file", "change", "kind"),
    [
        (
            "escalation.yaml",
            ("{lasts: 5m, tell: [page-oncall, incidents]}", "{lasts: 9m, tell: [page-oncall]}"),
            "told",
        ),
        ("avalo.yaml", ("system: avalo\n", "system: avalo\nobserve: true\n"), "told"),
        ("escalation.yaml", ("rounds: 3", "rounds: 1"), "told"),
        (
            "destinations.yaml",
            ("alerts:\n  kind: slack", 'nobodys: {kind: slack, channel: "#a"}\n\nalerts:\n  kind: slack'),
            None,
        ),
        ("avalo.yaml", ("name: core-api-outage", "name: core-api-gone"), "row"),
        ("tiers.yaml", ("also: [environment]", "also: [region]"), "incident"),
        ("avalo.yaml", ("# avalo", "# Avalo"), None),
    ],
)
def test_what_differs_besides_the_tier_is_told_apart(
    bench: Bench, folder: Path, file: str, change: tuple[str, str], kind: str | None
) -> None:
    replace_in(folder, file, change)
    if kind == "row":
        replace_in(folder, file, ("row: core-api-outage", "row: core-api-gone"))
    bench.runtime.shadow.reload()
    bench.hear(alert())
    assert [each.kind for each in found(bench)] == ([kind] if kind else [])


HOURS = 'business-hours:\n  zone: UTC\n  weekdays: [mon, tue, wed, thu, fri]\n  opens: "09:00"'
"""In force where BEGIN is a Monday, at noon."""


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ((HOURS, HOURS.replace("09:00", "08:00")), "told"),
        ((HOURS, HOURS.replace("UTC", "Europe/Berlin")), "told"),
        ((HOURS, HOURS + "\n  holidays: {dates: [2026-01-06]}"), "told"),
        ((HOURS, HOURS + "\n  holidays: {country: PL}"), "told"),
        ((HOURS, HOURS + "\n  holidays: {dates: [2026-01-04, 2026-12-24]}"), None),
        (("business-days:", "others:\n  zone: Asia/Tokyo\n  weekdays: [mon]\n\nbusiness-days:"), None),
    ],
    ids=("opens earlier", "zone", "holiday tomorrow", "public holidays", "holidays far off", "another calendar"),
)
def test_other_hours_or_holidays_are_other_times_where_they_come_soon_enough(
    bench: Bench, folder: Path, change: tuple[str, str], kind: str | None
) -> None:
    replace_in(folder, "calendars.yaml", change)
    bench.runtime.shadow.reload()
    labels = {"system": "astudio", "slo": "mcp-availability", "sli": "availability"}
    bench.hear(alert(labels=labels, annotations={"value": "99.1"}), lesser("disk", "critical"))
    assert [(each.from_row, each.kind) for each in found(bench)] == ([("astudio/mcp-below-99.5", kind)] if kind else [])


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("destinations.yaml", ('channel: "#incidents"', 'channel: "#elsewhere"')),
        ("destinations.yaml", ('incidents:\n  kind: slack\n  channel: "#incidents"', MAIL)),
        ("destinations.yaml", ("routing_key: [INCIDENTD_PAGERDUTY_ROUTING_KEY", "routing_key: [INCIDENTD_OTHER_KEY")),
        ("escalation.yaml", ("1: {name: on-call engineer}", '1: {name: on-call engineer, slack: "<@U0123456>"}')),
    ],
)
def test_another_place_kind_or_mention_under_the_same_name_is_told_apart(
    bench: Bench, folder: Path, file: str, change: tuple[str, str]
) -> None:
    replace_in(folder, file, change)
    assert bench.runtime.shadow.reload() is not None
    bench.hear(alert())
    assert [each.kind for each in found(bench)] == ["told"]


def test_how_many_regions_make_it_more_urgent_is_told_apart_where_it_matters(bench: Bench, folder: Path) -> None:
    replace_in(folder, "avalo.yaml", ("    regions: 2\n", "    regions: 3\n"))
    bench.runtime.shadow.reload()
    bench.hear(alert(), alert("b", labels={"sli": "availability"}, annotations={"value": "99.7"}))
    assert [(each.from_row, each.kind) for each in found(bench)] == [("avalo/core-api-below-99.8", "told")]


def test_a_table_that_means_the_same_differs_on_nothing_whatever_its_calendars(bench: Bench, folder: Path) -> None:
    replace_in(folder, "tiers.yaml", ("tables:", "# Another comment.\ntables:"))
    bench.runtime.shadow.reload()
    assert bench.store.read(shadow.in_force) != bench.runtime.rules.version
    bench.hear(alert(), *(lesser(each, each) for each in ("critical", "warning", "info")))
    assert (found(bench), outcomes(bench.runtime)) == ([], {"same": 4})


def test_a_broken_folder_stops_no_start_and_no_alert_and_is_logged_and_counted(database_url: str, folder: Path) -> None:
    (folder / "tiers.yaml").write_text("tiers: [")
    with capture_logs() as logs, open_bench(database_url, INCIDENTD_SHADOW_RULES=str(folder)) as bench:
        bench.runtime.shadow.start()
        wait_until(lambda: any(each["event"] == "shadow_rules_refused" for each in logs), "the refusal")
        bench.hear(alert())
        bench.settle()
        assert len(bench.events("trigger")) == 1
        assert bench.runtime.shadow_rules is None


def test_a_broken_reload_leaves_the_shadow_that_was_tried_and_the_main_table_is_taken(
    bench: Bench, folder: Path
) -> None:
    bench.runtime.shadow.reload()
    before = bench.store.read(shadow.in_force)
    (folder / "avalo.yaml").unlink()
    loaded = bench.runtime.reload().shadow
    assert loaded is not None
    assert (loaded.version, bench.store.read(shadow.in_force)) == (before, before)
    assert any("avalo" in fault for fault in loaded.faults)


def test_an_unsound_main_table_is_refused_as_ever_and_the_shadow_is_read_all_the_same(
    database_url: str, folder: Path, tmp_path: Path
) -> None:
    main = copy_rules(tmp_path)
    with open_bench(database_url, main, INCIDENTD_SHADOW_RULES=str(folder)) as bench:
        replace_in(main, "avalo.yaml", ("tier: P0", "tier: P9"))
        replace_in(folder, "avalo.yaml", CALMER)
        with capture_logs() as logs, pytest.raises(RulesError):
            bench.runtime.reload()
        (refused,) = [each for each in logs if each["event"] == "rules_refused"]
        assert refused["in_force"] == bench.runtime.rules.version
        assert "avalo.yaml" in refused["cause"]
        assert bench.runtime.shadow_rules is not None


def test_a_table_that_fails_on_an_alert_is_counted_and_the_alert_goes_its_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    bench.runtime.shadow.reload()
    monkeypatch.setattr("incidentd.lifecycle.shadow.compared", fail)
    with capture_logs() as logs:
        bench.hear(alert(), lesser("queue", "warning"))
        bench.runtime.shadow.work()
    assert outcomes(bench.runtime) == {"failed": 2}
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["shadow_failed"]
    bench.settle()
    assert len(bench.events("trigger")) == 1


def test_what_is_too_much_is_skipped_and_counted_never_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incidentd.lifecycle.shadow.WAITING", 2)
    bench.runtime.shadow.reload()
    bench.hear(*(lesser(f"queue-{each}", "warning") for each in range(5)))
    bench.runtime.shadow.work()
    assert outcomes(bench.runtime) == {"same": 2, "skipped": 3}


def test_counts_that_cannot_be_stored_wait_until_they_can(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_work: object) -> NoReturn:
        raise StoreUnavailableError("away")

    bench.runtime.shadow.reload()
    bench.hear(alert())
    with monkeypatch.context() as away:
        away.setattr(bench.store, "write", refuse)
        with pytest.raises(StoreUnavailableError):
            bench.runtime.shadow.work()
    bench.hear(lesser("queue", "warning"))
    total = compared(bench)
    assert total is not None
    assert total.alerts == 2


def test_another_process_follows_the_shadow_that_one_has_read(bench: Bench, folder: Path) -> None:
    with twin(bench) as other:
        other.shadow.start()
        wait_until(lambda: other.shadow_rules is not None, "the first shadow")
        replace_in(folder, "avalo.yaml", CALMER)
        version = bench.runtime.reload().shadow
        assert version is not None
        wait_until(lambda: other.shadow_rules is not None and other.shadow_rules.version == version.version, "the next")


def test_the_thread_compares_and_stores_by_itself(bench: Bench, folder: Path) -> None:
    replace_in(folder, "avalo.yaml", CALMER)
    bench.runtime.shadow.start()
    wait_until(lambda: bench.runtime.shadow_rules is not None, "the shadow")
    bench.hear(alert())
    first, second = bench.runtime.rules.version, bench.store.read(shadow.in_force) or ""
    wait_until(lambda: bool(bench.store.read(lambda tx: shadow.differences(tx, first, second))), "the difference")


def test_what_is_kept_is_bounded_whatever_comes(bench: Bench) -> None:
    def difference(number: int) -> Difference:
        return Difference(f"a/{number}", "a/b", Tier.P1, Tier.P0, Kind.MORE_URGENT, 1, BEGIN, BEGIN, "{}")

    def total(number: int) -> Comparison:
        at = BEGIN + timedelta(seconds=number)
        return Comparison("v1", f"s{number}", BEGIN, at, 1, 1)

    every = [difference(number) for number in range(MOST + 20)]
    bench.store.write(lambda tx: shadow.add(tx, total(0), every))
    bench.store.write(lambda tx: shadow.add(tx, total(0), every[:1] + every[-1:]))
    kept = bench.store.read(lambda tx: shadow.differences(tx, "v1", "s0", MOST * 2))
    assert (len(kept), kept[0].alerts) == (MOST, 2)
    for number in range(1, 10):
        bench.store.write(partial(shadow.add, comparison=total(number), differences=every[:1]))
    bench.store.write(shadow.forget_older)
    left = [n for n in range(10) if bench.store.read(partial(shadow.comparison, first="v1", second=f"s{n}"))]
    assert left == list(range(10 - COMPARISONS_KEPT, 10))
    assert bench.store.read(lambda tx: shadow.differences(tx, "v1", "s0")) == []
    huge = alert(labels={f"label-{number}": "x" * 5000 for number in range(100)})
    verdict = bench.runtime.rulebook.classifier(huge)
    text = example_of(huge, verdict, verdict)
    assert len(text) <= LONGEST_EXAMPLE
    assert from_json(text)["labels"]["system"] == "avalo"


def test_pruning_leaves_the_shadow_its_text(bench: Bench, folder: Path) -> None:
    replace_in(folder, "avalo.yaml", CALMER)
    bench.runtime.shadow.reload()
    version = bench.store.read(shadow.in_force) or ""
    bench.store.write(lambda tx: prune.tables(tx, BEGIN + timedelta(days=900), set(), remove=True))
    assert bench.store.read(lambda tx: rules.files(tx, version)) is not None


def test_the_command_lists_what_differs(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bench.environ.items():
        monkeypatch.setenv(name, value)
    assert "No shadow table" in CliRunner().invoke(app, ["shadow"]).output
    replace_in(folder, "avalo.yaml", CALMER)
    bench.runtime.shadow.reload()
    assert "No new alert" in CliRunner().invoke(app, ["shadow"]).output
    bench.hear(alert())
    bench.runtime.shadow.work()
    shown = CliRunner().invoke(app, ["shadow"]).output
    assert "1 new alert since 2026-01-05 12:00:00 UTC; 1 differs." in shown
    assert "P0 avalo/core-api-outage → P1 avalo/core-api-outage: less urgent" in shown
    found = from_json(CliRunner().invoke(app, ["shadow", "--json"]).output)
    assert (found["alerts"], found["differences"][0]["kind"]) == (1, "less_urgent")
