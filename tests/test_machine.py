"""What a test is granted for its machine is tested too: what it was not let do, and nothing else."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests import machine
from tests.machine import Stopwatch, stood_still
from tests.servers import leashed

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BUSY = """
import os, time
os.sched_setaffinity(0, {{{processor}}})
print("ready", flush=True)
input()
while time.process_time() < 0.4: pass
print("done", flush=True)
input()
"""


def test_processes_that_share_one_processor_are_granted_what_they_waited_for_it() -> None:
    watch = Stopwatch()
    code = BUSY.format(processor=min(os.sched_getaffinity(0)))
    argv = leashed([sys.executable, "-c", code])
    some = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        _say(some, "ready")
        for each in some:
            assert each.stdin
            each.stdin.write("go\n")
            each.stdin.flush()
        _say(some, "done")
        # In whatever order: one of them has waited for three others, another for two, another for one.
        assert watch.withheld() > 0.4 * 3
        assert watch.complaint(within=watch.passed - 1) == ""
    finally:
        for each in some:
            each.kill()
            each.communicate()
    assert watch.withheld() > 0.4 * 3, "what was seen counts, also of those that are gone"


def test_who_is_gone_before_anybody_asks_is_followed() -> None:
    watch = Stopwatch()
    code = BUSY.format(processor=min(os.sched_getaffinity(0)))
    with watch.followed(), ThreadPoolExecutor(4) as pool:
        argv = [sys.executable, "-c", code]
        some = [pool.submit(subprocess.run, leashed(argv), input=b"\n" * 2, check=True) for _ in range(4)]
        assert [each.result(60).returncode for each in some] == [0] * 4
    assert watch.withheld() > 0.4


def _say(some: list["subprocess.Popen[str]"], word: str) -> None:
    for each in some:
        assert each.stdout
        assert each.stdout.readline() == f"{word}\n"


def test_who_merely_sleeps_is_granted_nothing() -> None:
    watch = Stopwatch()
    time.sleep(1.5)
    assert "where 0.1 s are promised" in watch.complaint(within=0.1)
    assert "took 3.00 s" in watch.complaint(within=0.1, took=3)
    assert watch.complaint(within=0.1, took=0.1) == ""


def test_a_slow_processor_is_granted_what_it_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_work", lambda: 5 * machine._REFERENCE_SECONDS)
    watch = Stopwatch()
    end = time.process_time() + 1
    while time.process_time() < end:
        pass
    assert watch.withheld() > 0.75


def test_a_fast_one_is_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_work", lambda: machine._REFERENCE_SECONDS / 3)
    assert machine.slowness() == 1


def test_of_what_stood_still_at_the_same_time_each_second_counts_once_and_only_within_the_time_asked_for() -> None:
    spans = [(NOON + 2 * SECOND, NOON + 6 * SECOND), (NOON, NOON + 3 * SECOND), (NOON + 8 * SECOND, NOON + 9 * SECOND)]
    assert stood_still(spans, NOON + SECOND, NOON + 20 * SECOND) == 6 * SECOND
    assert stood_still(spans, NOON + 4 * SECOND, NOON + 5 * SECOND) == SECOND
    assert stood_still(spans, NOON + 6 * SECOND, NOON + 8 * SECOND) == timedelta()


def test_a_standstill_that_another_saw_is_granted() -> None:
    began = datetime.now(UTC)
    watch = Stopwatch(lambda: [(began - SECOND, began + 2 * SECOND)])
    time.sleep(0.5)
    assert watch.complaint(within=0.1, took=0.5) == ""
