"""What is counted: under fixed names, with bounded labels, and together by several processes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from incidentd import __version__
from incidentd.channels.registry import KINDS
from incidentd.jobs import QUEUES
from incidentd.meter import Meter
from incidentd.meter.exposition import text
from incidentd.meter.folder import FOLDER, PLACE, counting_in, emptied, summed
from incidentd.store.deliveries import Outcome
from incidentd.tier import Tier
from tests.servers import leashed, program

NAMES = {
    "incidentd_webhooks": {"answer"},
    "incidentd_source_webhooks": {"source", "answer"},
    "incidentd_cut_off_requests": {"answer"},
    "incidentd_alerts": {"outcome"},
    "incidentd_incidents_opened": {"tier"},
    "incidentd_observed_incidents": {"tier"},
    "incidentd_acceptance_seconds": {"channel"},
    "incidentd_deliveries": {"channel", "outcome"},
    "incidentd_digests": {"channel"},
    "incidentd_folded_incidents": {"channel"},
    "incidentd_direct_pages": {"outcome"},
    "incidentd_pagerduty_webhooks": {"answer"},
    "incidentd_pagerduty_events": {"outcome"},
    "incidentd_slack_socket_connections": {"outcome"},
    "incidentd_slack_socket_envelopes": {"outcome"},
    "incidentd_deadline_lateness_seconds": set(),
    "incidentd_job_seconds": {"queue"},
    "incidentd_jobs_enqueued": {"queue"},
    "incidentd_enqueue_failures": set(),
    "incidentd_statement_seconds": {"verb"},
    "incidentd_rules_reloads": {"result"},
    "incidentd_shadow_alerts": {"outcome"},
    "incidentd_shadow_reloads": {"result"},
    "incidentd_pings": {"outcome"},
    "incidentd_drills": {"outcome"},
    "incidentd_drill_step_seconds": {"step"},
    "incidentd_reconciled": {"action"},
    "incidentd_build_info": {"version"},
}
HOSTILE = [
    "",
    "P4",
    "P0 ",
    "x" * 100_000,
    'a"b\n{c="d"}',
    "\x00\x1f",
    "\ud83d\ude00",
    "Ünïcödé",
    *(f"/{number}" for number in range(2000)),
]

Series = tuple[str, frozenset[tuple[str, str]]]


def values(raw: bytes) -> dict[Series, float]:
    """Each series with its value, as Prometheus reads them."""
    families = text_string_to_metric_families(raw.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(raw: bytes, name: str, **labels: str) -> float:
    return values(raw)[name, frozenset(labels.items())]


def test_names_and_labels_are_the_fixed_ones() -> None:
    families = text_string_to_metric_families(text(Meter().collect()).decode())
    found = {family.name: {label for s in family.samples for label in s.labels} - {"le"} for family in families}
    assert found == NAMES


def test_every_series_that_can_be_expected_is_there_from_the_start_at_zero() -> None:
    raw = text(Meter().collect())
    for channel in KINDS:
        assert value(raw, "incidentd_acceptance_seconds_count", channel=channel) == 0
        for outcome in Outcome:
            assert value(raw, "incidentd_deliveries_total", channel=channel, outcome=outcome.name.lower()) == 0
    for queue in QUEUES:
        assert value(raw, "incidentd_jobs_enqueued_total", queue=queue) == 0
        assert value(raw, "incidentd_job_seconds_count", queue=queue) == 0
    assert [value(raw, "incidentd_incidents_opened_total", tier=tier) for tier in Tier] == [0] * len(Tier)
    assert value(raw, "incidentd_build_info", version=__version__) == 1


def test_what_is_known_counts_as_what_it_is() -> None:
    meter = Meter()
    for outcome in Outcome:
        meter.deliveries.add("slack", outcome.name.lower())
    for tier in Tier:
        meter.opened.add(tier, amount=2)
    for queue in QUEUES:
        meter.jobs.observe(0.02, queue)
    raw = text(meter.collect())
    # "other" is a verb of its own.
    assert not [labels for _, labels in values(raw) if "other" in dict(labels).values() and "verb" not in dict(labels)]
    assert value(raw, "incidentd_incidents_opened_total", tier="P0") == 2


def test_whatever_a_stranger_sends_adds_at_most_one_series_of_each_kind() -> None:
    meter = Meter()
    before = len(text(meter.collect()).splitlines())
    for odd in HOSTILE:
        meter.webhooks.add(odd)
        meter.alerts.add(odd)
        meter.opened.add(odd)
        meter.deliveries.add(odd, odd)
        meter.deliveries.add("slack", odd)
        meter.enqueued.add(odd)
    raw = text(meter.collect())
    assert len(raw.splitlines()) == before + 5
    assert value(raw, "incidentd_webhooks_total", answer="other") == len(HOSTILE)
    assert value(raw, "incidentd_deliveries_total", channel="other", outcome="other") == 2 * len(HOSTILE)


def test_two_meters_of_one_process_count_apart() -> None:
    one, other = Meter(), Meter()
    one.webhooks.add("200")
    other.webhooks.add("200", amount=5)
    assert value(text(one.collect()), "incidentd_webhooks_total", answer="200") == 1
    assert value(text(other.collect()), "incidentd_webhooks_total", answer="200") == 5


def test_a_duration_falls_into_its_bucket() -> None:
    meter = Meter()
    for seconds in (0.004, 0.3, 400.0):
        meter.acceptance.observe(seconds, "pagerduty")
    raw = text(meter.collect())
    below = {
        le: value(raw, "incidentd_acceptance_seconds_bucket", channel="pagerduty", le=le)
        for le in ("0.005", "0.25", "0.5", "300.0", "+Inf")
    }
    assert below == {"0.005": 1, "0.25": 1, "0.5": 2, "300.0": 2, "+Inf": 3}
    assert value(raw, "incidentd_acceptance_seconds_sum", channel="pagerduty") == pytest.approx(400.304)


def test_prometheus_finds_nothing_to_complain_of() -> None:
    meter = Meter()
    meter.webhooks.add("200")
    lint = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text(meter.collect()), capture_output=True, check=False
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, b"")


# Processes that count together. Each says when it has counted, and lives until it is killed.
_COUNT = """
import os, sys
from incidentd.meter import Meter
from incidentd.process import log
log.configure()
meter = Meter(os.environ)
meter.webhooks.add("200", amount=int(sys.argv[1]))
meter.lateness.observe(0.2)
print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def counting(environ: Mapping[str, str], amount: int) -> Iterator["subprocess.Popen[str]"]:
    """A process that has counted so many webhooks and one lateness; killed with -9 at the end."""
    argv = leashed([sys.executable, "-c", _COUNT, str(amount)])
    process = subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        assert process.stdout.readline() == "counted\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def place(folder: Path, name: str) -> dict[str, str]:
    return {**counting_in(os.environ, folder), PLACE: name}


def webhooks(folder: Path) -> float:
    return value(text(summed(folder)), "incidentd_webhooks_total", answer="200")


def test_several_processes_are_told_in_their_sum(tmp_path: Path) -> None:
    with counting(place(tmp_path, "page-1"), 3), counting(place(tmp_path, "page-2"), 4):
        assert webhooks(tmp_path) == 7
        assert value(text(summed(tmp_path)), "incidentd_deadline_lateness_seconds_count") == 2
        assert value(text(summed(tmp_path)), "incidentd_deadline_lateness_seconds_bucket", le="0.25") == 2


def test_who_takes_a_dead_ones_place_counts_on_and_files_stay_as_few_as_places(tmp_path: Path) -> None:
    for life in range(1, 6):
        with counting(place(tmp_path, "page-1"), 3):
            assert webhooks(tmp_path) == 3 * life
    assert webhooks(tmp_path) == 15
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_page-1.db", "histogram_page-1.db"]


def test_what_an_earlier_run_counted_does_not_count(tmp_path: Path) -> None:
    folder = emptied(tmp_path / "metrics")
    with counting(place(folder, "web-1"), 3):
        pass
    with counting(place(emptied(folder), "web-1"), 2):
        assert webhooks(folder) == 2


def test_the_text_is_the_same_whether_one_counts_or_several(tmp_path: Path) -> None:
    def named(raw: bytes) -> set[str]:
        return {line for line in raw.decode().splitlines() if line.startswith("#")}

    with counting(place(tmp_path, "web-1"), 1):
        assert named(text(summed(tmp_path))) == named(text(Meter().collect()))
        assert values(text(summed(tmp_path))).keys() == values(text(Meter().collect())).keys()


@pytest.mark.parametrize("leave_out", [FOLDER, PLACE])
def test_a_variable_that_is_there_by_chance_makes_nobody_share(tmp_path: Path, leave_out: str) -> None:
    environ = place(tmp_path, "web-1")
    del environ[leave_out]
    with counting(environ, 1):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_keeps_no_process_from_its_work(tmp_path: Path) -> None:
    with counting(place(tmp_path / "gone", "page-1"), 1) as process:
        assert process.poll() is None


def test_no_folder_is_inherited_by_chance() -> None:
    assert FOLDER not in counting_in({FOLDER: "/somewhere/else", "PATH": "/bin"}, None)
