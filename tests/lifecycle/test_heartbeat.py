"""Expected heartbeats: silence is one incident, on time, never early; a sign of life ends it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from incidentd.alert import Alert
from incidentd.errors import NotFoundError
from incidentd.incident.command import Resolve
from incidentd.incident.state import Incident, State
from incidentd.intake import fingerprint
from incidentd.lifecycle.gap import SETTLED
from incidentd.lifecycle.pulse import Pulse
from incidentd.lifecycle.silence import AGAIN
from incidentd.lifecycle.work import Webhook
from incidentd.runtime import Runtime
from incidentd.sentence import sentence
from incidentd.settings import load_settings
from incidentd.store import cycles, heartbeats, standing
from incidentd.store.heartbeats import Heartbeat
from incidentd.tier import Tier
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, open_bench
from tests.lifecycle.table import copy_rules
from tests.lifecycle.twin import twin
from tests.servers import wait_until

WATCHDOG = """\
watchdog:
  match: [alertname="Watchdog"]
  every: 2m
  tier: P0
  title: "Alerts don't arrive: {heartbeat}"
  runbook: https://runbooks.example.com/watchdog
  destinations: [tickets]
"""
BACKUP = "backup: {every: 10m, tier: P2}\n"
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = copy_rules(tmp_path)
    (folder / "heartbeats.yaml").write_text(WATCHDOG + BACKUP)
    return folder


@pytest.fixture
def bench(database_url: str, rules: Path) -> Iterator[Bench]:
    with open_bench(database_url, rules) as opened:
        opened.runtime.due()
        yield opened


def watchdog(**changes: Any) -> Alert:
    labels = {"alertname": "Watchdog", "severity": "none", "prometheus": "monitoring/k8s"}
    return replace(Alert(fingerprint(labels), labels, {}, BEGIN, None, firing=True), **changes)


def keep_time(bench: Bench, by: timedelta, *runtimes: Runtime, step: timedelta = 8 * SECOND) -> None:
    """Let time pass while timekeepers go round, as seldom as may be without a gap that counts as lost time."""
    end = bench.now + by
    while bench.now < end:
        bench.clock.advance(min(step, end - bench.now))
        for runtime in runtimes or (bench.runtime,):
            runtime.tick(runtime.due().get("escalate", ()))


def report(bench: Bench, name: str = "backup") -> None:
    bench.runtime.submit_heartbeat(name, "10.0.0.2").result(120)


def about(bench: Bench, name: str) -> list[Incident]:
    return [incident for incident in map(bench.incident, bench.incident_ids()) if incident.key.endswith(f"/{name}")]


def stored(bench: Bench, name: str) -> Heartbeat:
    return next(each for each in bench.store.read(heartbeats.all_of_them) if each.name == name)


def statements(bench: Bench) -> list[str]:
    """The statements that write, from now on."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            seen.append(statement)

    event.listen(bench.store.engine, "before_cursor_execute", note)
    return seen


# Missing.


def test_a_heartbeat_never_heard_is_missing_when_its_time_has_passed_since_the_table_came_in_force(
    bench: Bench,
) -> None:
    keep_time(bench, 2 * MINUTE - SECOND)
    bench.clock.advance(SECOND - MOMENT)
    bench.runtime.due()
    assert about(bench, "watchdog") == []
    bench.clock.advance(MOMENT)
    bench.runtime.due()
    (missing,) = about(bench, "watchdog")
    assert missing.key == "incidentd/heartbeat/watchdog"
    assert (missing.tier, missing.state, missing.system) == (Tier.P0, State.TRIGGERED, "incidentd")
    assert missing.title == "Alerts don't arrive: watchdog"
    assert missing.row == "heartbeats/watchdog"
    assert missing.reason == "never heard since it was first expected at 2026-01-05 12:00:00 UTC, expected every 2m"
    assert missing.origin == BEGIN + 2 * MINUTE
    assert about(bench, "backup") == []


def test_who_stands_at_the_levels_is_paged_and_those_who_follow_are_told(bench: Bench) -> None:
    keep_time(bench, 2 * MINUTE)
    bench.settle()
    assert len(bench.events("trigger", level=1)) == 1
    assert bench.cursor(destination="tickets").accepted_at is not None


def test_a_job_that_reports_is_not_missing_and_one_that_stops_is_on_time(bench: Bench) -> None:
    for _ in range(3):
        keep_time(bench, 9 * MINUTE)
        report(bench)
    heard_at = bench.now
    keep_time(bench, 10 * MINUTE - SECOND)
    assert about(bench, "backup") == []
    keep_time(bench, SECOND)
    (missing,) = about(bench, "backup")
    assert missing.origin == heard_at + 10 * MINUTE
    assert missing.title == "Heartbeat backup is missing"
    assert missing.reason == f"not heard since {heard_at:%Y-%m-%d %H:%M:%S} UTC, expected every 10m"


def test_a_report_of_what_the_rules_dont_expect_is_refused(bench: Bench) -> None:
    for name in ("restore", "watchdog"):
        with pytest.raises(NotFoundError):
            report(bench, name)


def test_a_watchdog_that_fires_is_no_incident_and_no_alert_that_is_stored(bench: Bench) -> None:
    bench.hear(watchdog(), alert())
    assert [incident.system for incident in map(bench.incident, bench.incident_ids())] == ["avalo"]
    assert stored(bench, "watchdog").heard_at == BEGIN


def test_a_sign_of_life_is_not_paged_while_the_database_is_away(bench: Bench) -> None:
    webhook = Webhook((watchdog(), watchdog(firing=False), alert()), "10.0.0.1")
    assert Pulse(bench.runtime.rulebook).without_signs(webhook).alerts == (watchdog(firing=False), alert())


def test_repeats_alone_keep_a_heartbeat_alive(bench: Bench) -> None:
    for _ in range(10):
        keep_time(bench, MINUTE)
        bench.hear(watchdog())
    assert about(bench, "watchdog") == []


def test_a_watchdog_that_ended_is_no_sign_of_life(bench: Bench) -> None:
    bench.hear(watchdog(firing=False, ends_at=BEGIN))
    assert stored(bench, "watchdog").heard_at is None
    keep_time(bench, 2 * MINUTE)
    assert [incident.key for incident in map(bench.incident, bench.incident_ids())] == ["incidentd/heartbeat/watchdog"]


def test_it_is_seen_by_two_timekeepers_and_opened_once(bench: Bench) -> None:
    with ExitStack() as stack:
        runtimes = [bench.runtime, *(stack.enter_context(twin(bench)) for _ in range(2))]
        keep_time(bench, 2 * MINUTE - SECOND, *runtimes)
        bench.clock.advance(SECOND)
        start = threading.Barrier(3)

        def look(number: int) -> None:
            start.wait()
            runtimes[number].due()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(look, range(3)))
    assert len(about(bench, "watchdog")) == 1
    assert bench.kinds(about(bench, "watchdog")[0].id).count("opened") == 1


def test_what_another_web_part_hears_counts(bench: Bench) -> None:
    with twin(bench) as other:
        for _ in range(2):
            keep_time(bench, 9 * MINUTE)
            other.submit_heartbeat("backup", "10.0.0.3").result(120)
    assert about(bench, "backup") == []


# Heard again.


def test_it_recovers_and_resolves_once_it_is_heard_again(bench: Bench) -> None:
    keep_time(bench, 10 * MINUTE)
    report(bench)
    assert about(bench, "backup")[0].state is State.RECOVERING
    bench.hear(watchdog())
    keep_time(bench, 5 * MINUTE)
    assert about(bench, "backup")[0].state is State.RESOLVED


def test_silence_soon_after_opens_the_same_incident_again(bench: Bench) -> None:
    keep_time(bench, 10 * MINUTE)
    report(bench)
    keep_time(bench, 10 * MINUTE)
    (missing,) = about(bench, "backup")
    assert (missing.state, missing.episode) == (State.TRIGGERED, 2)


def test_a_silence_that_a_person_resolved_over_opens_again_when_the_grace_is_over(bench: Bench) -> None:
    keep_time(bench, 10 * MINUTE)
    bench.act(Resolve("ada"), about(bench, "backup")[0].id)
    keep_time(bench, 10 * MINUTE - SECOND)
    assert about(bench, "backup")[0].state is State.RESOLVED
    keep_time(bench, AGAIN)
    assert about(bench, "backup")[0].state is State.TRIGGERED


def test_the_timeline_says_of_a_silence_within_the_grace_that_it_fires(bench: Bench) -> None:
    bench.hear(watchdog())
    keep_time(bench, 2 * MINUTE)
    bench.act(Resolve("ada"), about(bench, "watchdog")[0].id)
    bench.hear(watchdog())
    keep_time(bench, 2 * MINUTE)
    last = bench.timeline(about(bench, "watchdog")[0].id)[-1]
    assert sentence(last, {}) == "Alerts changed: 1 alert firing that does not count before 12:12:00 UTC."


def test_a_silence_that_lasts_writes_next_to_nothing_and_no_entry(bench: Bench) -> None:
    keep_time(bench, 2 * MINUTE)
    bench.hear(watchdog())
    keep_time(bench, 8 * MINUTE)
    (missing,) = about(bench, "backup")
    before = bench.kinds(missing.id)
    writes = statements(bench)
    keep_time(bench, AGAIN + SECOND)
    assert bench.kinds(missing.id) == before
    assert len([each for each in writes if "heartbeats" in each]) == 2
    assert not [each for each in writes if "alerts" in each]


# Cheap.


def test_repeats_are_stored_now_and_then_and_the_last_of_them_always(bench: Bench) -> None:
    bench.hear(watchdog())
    writes = statements(bench)
    for _ in range(9):
        bench.clock.advance(SECOND)
        bench.hear(watchdog())
    assert writes == []
    last = bench.now
    bench.clock.advance(SECOND)
    wait_until(lambda: stored(bench, "watchdog").heard_at == last, "the last sign of life to be stored")
    assert len([each for each in writes if "heartbeats" in each]) == 1


def test_where_nothing_is_expected_nothing_is_asked(database_url: str) -> None:
    with open_bench(database_url) as bench:
        bench.runtime.due()
        asked: list[str] = []
        event.listen(bench.store.engine, "before_cursor_execute", lambda c, cur, text, *rest: asked.append(text))
        keep_time(bench, 5 * SECOND)
        bench.hear(watchdog())
        assert not [each for each in asked if "heartbeats" in each]


# The rules change.


def test_a_heartbeat_that_is_expected_anew_counts_from_then(bench: Bench, rules: Path) -> None:
    keep_time(bench, MINUTE)
    (rules / "heartbeats.yaml").write_text(WATCHDOG + BACKUP + "report: {every: 1m, tier: P1}\n")
    bench.runtime.reload()
    keep_time(bench, MINUTE, step=SECOND)
    assert about(bench, "report") == []
    bench.clock.advance(SECOND)
    bench.runtime.due()
    assert len(about(bench, "report")) == 1


def test_one_that_nobody_expects_any_more_is_forgotten_and_its_incident_ends(bench: Bench, rules: Path) -> None:
    keep_time(bench, 2 * MINUTE)
    (rules / "heartbeats.yaml").write_text(BACKUP)
    bench.runtime.reload()
    bench.runtime.due()
    assert about(bench, "watchdog")[0].state is State.RECOVERING
    assert [each.name for each in bench.store.read(heartbeats.all_of_them)] == ["backup"]


def test_silence_may_last_as_the_newest_table_says(bench: Bench, rules: Path) -> None:
    (rules / "heartbeats.yaml").write_text(WATCHDOG.replace("2m", "1m") + BACKUP.replace("10m", "1h"))
    bench.runtime.reload()
    keep_time(bench, MINUTE)
    assert len(about(bench, "watchdog")) == 1
    keep_time(bench, 20 * MINUTE)
    assert about(bench, "backup") == []


# Time that was lost, or never was.


def test_time_in_which_nobody_kept_time_is_no_silence(bench: Bench) -> None:
    report(bench)
    bench.store.write(lambda tx: cycles.beat(tx, "gone", bench.now))
    bench.clock.advance(timedelta(hours=3))
    with twin(bench) as started:
        keep_time(bench, SECOND, started)
        keep_time(bench, 10 * MINUTE - 3 * SECOND, started)
        assert about(bench, "backup") == []
        keep_time(bench, 4 * SECOND, started)
        assert len(about(bench, "backup")) == 1


def test_after_time_was_lost_nothing_is_missing_for_a_minute(bench: Bench) -> None:
    keep_time(bench, MINUTE)
    bench.hear(watchdog())
    keep_time(bench, 2 * MINUTE - 3 * SECOND)
    with capture_logs() as logs:
        bench.clock.advance(MINUTE)
        bench.runtime.due()
    assert [line["seconds"] for line in logs if line["event"] == "time_lost"] == [60]
    keep_time(bench, SETTLED - SECOND)
    assert about(bench, "watchdog") == []
    keep_time(bench, 2 * SECOND)
    assert len(about(bench, "watchdog")) == 1


@pytest.mark.parametrize("leap", [timedelta(hours=1), timedelta(days=1), -timedelta(hours=1), -timedelta(days=1)])
def test_a_clock_that_leaps_makes_nothing_missing_and_loses_nothing(bench: Bench, leap: timedelta) -> None:
    keep_time(bench, MINUTE)
    report(bench)
    bench.hear(watchdog())
    bench.clock.jump(leap)
    for _ in range(20):
        keep_time(bench, MINUTE)
        bench.hear(watchdog())
        report(bench)
    assert bench.incident_ids() == []
    keep_time(bench, 11 * MINUTE)
    assert len(about(bench, "watchdog")) == 1
    assert len(about(bench, "backup")) == 1


def test_a_process_that_still_goes_by_the_time_before_a_leap_is_believed(bench: Bench) -> None:
    keep_time(bench, 9 * MINUTE + 50 * SECOND)
    slow = replace(bench.clock)
    with closing(Runtime(load_settings(bench.environ, None), bench.environ, clock=slow)) as other:
        bench.clock.jump(timedelta(hours=1))
        bench.runtime.due()
        other.submit_heartbeat("backup", "10.0.0.3").result(120)
    keep_time(bench, 9 * MINUTE)
    assert about(bench, "backup") == []
    keep_time(bench, 2 * MINUTE)
    assert len(about(bench, "backup")) == 1


# Told.


def test_the_gauges_say_since_when_each_is_silent_and_which_is_missing(bench: Bench) -> None:
    bench.hear(watchdog())
    keep_time(bench, 3 * MINUTE)
    now: datetime = bench.now
    stands = bench.store.read(lambda tx: standing.read(tx, now))
    assert stands.silences == {"backup": 3 * MINUTE, "watchdog": 3 * MINUTE}
    assert stands.missing == {"watchdog"}


def test_a_fault_of_ours_in_watching_stops_no_page_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.hear(alert())
    bench.settle()

    def broken(*_arguments: object) -> bool:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(heartbeats, "any_due", broken)
    bench.clock.advance(5 * MINUTE)
    with capture_logs() as logs:
        assert list(bench.runtime.due()) == ["escalate"]
    assert "heartbeats_failed" in [line["event"] for line in logs]
    wait_until(lambda: bench.with_key("incidentd/heartbeats/"), "the incident about it")
