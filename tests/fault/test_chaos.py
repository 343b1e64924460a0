"""The plan of a chaos run follows from its seed, its summary says what came of it, and it runs."""

import json
import re
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from unittest.mock import create_autospec

import pytest

from incidentd.clock import SystemClock
from tests.fault import mark
from tests.fault.chaos import director
from tests.fault.chaos.__main__ import main
from tests.fault.chaos.director import DEEDS, Director
from tests.fault.chaos.happened import TAIL, Happened, during
from tests.fault.chaos.pace import DEFAULT
from tests.fault.chaos.plan import KINDS, POSTGRESQL, SQLITE, Fault, one_by_one, plan
from tests.fault.chaos.process_fault import End
from tests.fault.chaos.run import FAULTS_PER_SECOND
from tests.fault.chaos.station import Station
from tests.fault.chaos.story import Plot, stories
from tests.fault.chaos.summary import Summary, markdown, report, together
from tests.fault.chaos.verdict import Delay, Duplicate
from tests.incident.build import MONDAY_NOON, SECOND

_ATTACK = DEFAULT.attack(300)
_COUNT = round(_ATTACK * FAULTS_PER_SECOND)


@pytest.mark.parametrize("database", [SQLITE, POSTGRESQL])
def test_five_minutes_hold_a_hundred_faults_of_every_kind(database: str) -> None:
    for seed in range(20):
        faults = plan(seed, _ATTACK, _COUNT, database, DEFAULT.lease)
        assert len(faults) >= 100
        assert {fault.kind for fault in faults} == {kind for kind in KINDS if kind.database in ("", database)}
        assert all(fault.at >= 0 and fault.at + fault.seconds <= _ATTACK for fault in faults)


def test_the_same_seed_chooses_the_same_faults_and_alerts_and_another_one_others() -> None:
    first, again, other = (plan(seed, _ATTACK, _COUNT, SQLITE, 30) for seed in (1, 1, 2))
    assert first == again != other
    assert stories(1, 60, 1) == stories(1, 60, 1) != stories(2, 60, 1)


def test_two_faults_never_take_the_same_thing_at_the_same_time() -> None:
    faults = plan(7, _ATTACK, _COUNT, POSTGRESQL, 30)
    for one in faults:
        for other in faults:
            if one is not other and one.kind.hits & other.kind.hits:
                assert one.at + one.seconds <= other.at or other.at + other.seconds <= one.at


def test_a_fault_that_takes_longer_than_planned_is_waited_for_by_those_that_hit_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = next(each for each in KINDS if each.name == "PostgreSQL stopped")

    def slow(_station: Station, _random: Random) -> tuple[str, End]:
        return "", lambda: time.sleep(0.1)

    monkeypatch.setitem(director.DEEDS, kind.name, slow)
    station = create_autospec(Station, instance=True)
    faults = [Fault(0, kind, 0, number) for number in range(3)]
    directing = Director(station, faults, lambda _: None, SystemClock().now)
    directing.run()
    directing.close()
    assert (len(directing.happened), directing.broken) == (3, [])
    in_order = sorted(directing.happened, key=lambda each: each.began_at)
    assert all(one.ended_at and one.ended_at <= other.began_at for one, other in pairwise(in_order))


def test_a_fault_that_can_not_be_ended_is_a_failure_of_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(each for each in KINDS if each.name == "PostgreSQL read-only")

    def fail() -> None:
        raise ConnectionRefusedError

    monkeypatch.setitem(director.DEEDS, kind.name, lambda _station, _random: ("", fail))
    directing = Director(create_autospec(Station), [Fault(0, kind, 0, 1)], lambda _: None, SystemClock().now)
    directing.run()
    directing.close()
    assert [each.partition(":")[0] for each in directing.broken] == [kind.name]
    assert directing.happened[0].ended_at


def test_one_at_a_time_leaves_each_fault_more_than_a_lease() -> None:
    faults = one_by_one(1, 600, 30)
    assert len({fault.kind for fault in faults}) == 7
    for one, other in pairwise(faults):
        assert one.at + one.seconds + 30 < other.at


def test_more_faults_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="finds no room"):
        plan(1, 1, 1000, SQLITE, 30)


def test_every_kind_but_copies_of_webhooks_has_its_deed() -> None:
    assert {kind.name for kind in KINDS} - set(DEEDS) == {"copies of webhooks, out of order"}
    assert set(DEEDS) <= {kind.name for kind in KINDS}


def test_every_alert_says_in_the_end_what_is_so() -> None:
    told = stories(3, 100, 2)
    assert {story.plot for story in told} == set(Plot)
    for story in told:
        last = max(story.notices, key=lambda notice: notice.at)
        assert last.number == max(notice.number for notice in story.notices)
        assert last.firing is (story.plot is not Plot.OVER)


def test_a_fault_is_reckoned_with_until_a_moment_after_its_end() -> None:
    fault = Happened("Redis killed", MONDAY_NOON, MONDAY_NOON + SECOND)
    over = MONDAY_NOON + SECOND + TAIL
    assert list(during([fault], MONDAY_NOON - 2 * SECOND, MONDAY_NOON - SECOND)) == []
    assert list(during([fault], over, over + SECOND)) == [fault]
    assert list(during([fault], over + timedelta(microseconds=1), over + SECOND)) == []


def _summary(**changes: object) -> Summary:
    made = Summary(
        SQLITE, [1], 5, Counter({200: 3, 503: 1}), Counter({"Redis killed": 2}), 2, 3, 3,
        [Delay("p1", 1, 0.5, ("Redis killed",)), Delay("p2", 1, 7.25, ()), Delay("p3", 1, 4.0, ("Redis killed",))],
        [Duplicate("level 1 of p1", "kill -9 of a worker")],
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_summary_shows_the_worst_delay_of_each_kind_of_fault() -> None:
    text = markdown([_summary()])
    assert "| Redis killed | 2 | 4.0 s |" in text
    assert "| no fault at the time |  | 7.2 s |" in text
    assert "| result | nothing lost |" in text


@pytest.mark.parametrize(
    "changes",
    [{"losses": ["p1 is gone"]}, {"seen": 2}, {"duplicates": [Duplicate("level 1 of p1", "")]}],
)
def test_a_loss_a_missing_page_and_an_unexplained_duplicate_fail(changes: dict[str, object]) -> None:
    summary = _summary(**changes)
    assert not summary.is_good
    assert "nothing lost" not in report(summary)


def test_several_runs_sum_up_and_one_bad_one_is_enough() -> None:
    total = together([_summary(), _summary(seeds=[2], losses=["p1 is gone"])])
    assert (total.seeds, total.expected, total.faults["Redis killed"]) == ([1, 2], 6, 4)
    assert not total.is_good
    assert "lost or wrong: p1 is gone" in report(total)


@pytest.mark.parametrize("name", ["chaos", "single", "soak"])
def test_each_table_has_its_place_in_the_page(name: str) -> None:
    page = mark.PAGE.read_text("utf-8")
    assert "| new |" in mark.placed("| new |", name, page)
    assert mark.placed("| new |", name, mark.placed("x", name, page)) == mark.placed("| new |", name, page)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks chaos"):
        mark.placed("text", "chaos", "a page")


@pytest.mark.timeout(900)
def test_a_short_run_with_real_processes_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chaos.json"
    status = main(["--database", SQLITE, "--minutes", "1", "--pace", "short", "--seed", "5", "--json", str(file)])
    (result,) = json.loads(file.read_text())
    assert status == 0, capsys.readouterr().out
    assert result["pages"]["expected"] == result["pages"]["seen"] > 0
    assert sum(result["faults"].values()) >= 10
    assert re.search(r"\| result \| nothing lost \|", capsys.readouterr().out)
