"""Growth is told from noise, the flow is steady, and a soak runs."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from incidentd.clock import ManualClock
from incidentd.web.webhook import STORE_SECONDS
from tests.fault.soak.flow import END, PER_TICK, REPEATS, TICK_SECONDS, Flow
from tests.fault.soak.growth import Growth, growth
from tests.fault.soak.run import Soaked, soak
from tests.fault.soak.summary import markdown
from tests.fault.standstill import Standstill
from tests.machine import Stopwatch


def test_what_grows_while_it_warms_up_and_then_stays_has_not_grown() -> None:
    assert growth("memory", "MB", [*range(20), *[20.0] * 80], 5).is_good


def test_a_slow_leak_is_growth() -> None:
    assert not growth("memory", "MB", [100 + 0.1 * n for n in range(100)], 5).is_good


def test_a_peak_is_no_growth() -> None:
    assert growth("memory", "MB", [*[100.0] * 97, 500.0, 500.0, 100.0], 5).is_good


def test_of_what_may_not_grow_one_more_is_too_many() -> None:
    assert growth("files", "", [7.0] * 100).is_good
    assert growth("files", "", [*[7.0] * 50, *[6.0] * 50]).is_good
    assert not growth("files", "", [*[7.0] * 80, *[8.0] * 20]).is_good
    assert not growth("files", "", [*[0.0] * 80, *[1.0] * 20]).is_good
    assert growth("files", "", [*[7.0] * 80, *[70.0] * 18, 7.0, 70.0]).is_good, "a burst that is over again"


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth("memory", "MB", [1.0] * 9)


def test_the_flow_has_as_many_alerts_a_second_as_asked_and_ends_each() -> None:
    flow, begin = Flow("http://127.0.0.1:1", "token", 20, ManualClock().now), ManualClock().at
    ticks = [list(flow.webhooks(tick, begin)) for tick in range(3 * END)]
    sent = [alert for webhook in ticks[-1] for alert in webhook]
    assert len(sent) / TICK_SECONDS == 20
    assert Counter(alert["status"] for alert in sent) == {
        "firing": len(sent) * (PER_TICK - 1) // PER_TICK,
        "resolved": 2,
    }
    first = [
        alert
        for webhooks in ticks
        for webhook in webhooks
        for alert in webhook
        if alert["labels"]["environment"] == "s0"
    ]
    assert [alert["status"] for alert in first] == ["firing"] * (1 + len(REPEATS)) + ["resolved"]
    assert len({alert["startsAt"] for alert in first}) == 1
    assert first[-1]["endsAt"] == (begin + timedelta(seconds=END * TICK_SECONDS)).isoformat()


GOOD = Soaked("sqlite", 60, 72_000, Counter({200: 10}), 5, [Growth("memory of web", "MB", 100, 101, 5)])


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, statuses=Counter({200: 9, 503: 1})),
        replace(GOOD, pages=0),
        replace(GOOD, growths=[Growth("open files of web", "", 7, 8, 0)]),
    ],
)
def test_a_refused_webhook_no_page_and_growth_fail_and_are_shown(bad: Soaked) -> None:
    assert GOOD.is_good
    assert "| memory of web | 100.0 → 101.0 MB (+1.0 %) |" in markdown([GOOD])
    assert not bad.is_good
    assert "**not as it should be**" in markdown([bad])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_short_soak_with_real_processes_samples_all_of_them(database: str, tmp_path: Path) -> None:
    watch, standstill = Stopwatch(), Standstill(tmp_path / "standstill")
    standstill.start()
    with watch.followed():
        found = soak(database, 0.15, 20, tmp_path, lambda _: watch.restart())
    standstill.close()
    # The flow sends nothing again: what the database refuses for want of time is the machine's.
    excused = {503} if standstill.found or watch.withheld() > STORE_SECONDS else set()
    assert {200} <= set(found.statuses) <= {200} | excused
    assert found.pages > 0
    names = {each.what for each in found.growths}
    assert {"memory of web", "memory of timekeeper 1", "open files of page 2", "memory of Redis"} <= names
    assert all(each.before > 0 for each in found.growths)
