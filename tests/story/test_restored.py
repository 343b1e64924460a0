"""An hour-old copy is restored: whom is PagerDuty told of anew, and what becomes of what was open?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from incidentd.alert import Alert
from incidentd.incident.command import Acknowledge
from incidentd.incident.state import Incident, State
from incidentd.sandbox.pagerduty import AlertState, PagerDutyAlert
from incidentd.store.backup import back_up, restore
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert

HOUR = timedelta(hours=1)


@pytest.fixture
def new_url(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A new database of the same kind."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/restored.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@contextmanager
def restored(bench: Bench, copy: Path, url: str) -> Iterator[Bench]:
    """incidentd on a database made of the copy; its clock and its receivers are those of before."""
    bench.runtime.close()
    restore(copy, url)
    later = Bench(url, bench.sandbox, bench.clock, {**bench.environ, "INCIDENTD_DATABASE_URL": url})
    try:
        yield later
    finally:
        later.close()


def pages(bench: Bench, level: int | None = None) -> list[PagerDutyAlert]:
    """The alerts that PagerDuty ever opened, of one level or of all."""
    found = bench.sandbox.pagerduty.alerts
    return [each for each in found if level is None or f"(level {level}" in each.latest.payload["summary"]]


def named(bench: Bench, place: str) -> Incident:
    (found,) = bench.with_key(place)
    return found


@pytest.mark.parametrize("minutes", [0, 2, 4.9])
def test_what_was_paged_after_the_copy_meets_the_same_page_and_wakes_nobody_twice(
    bench: Bench, tmp_path: Path, new_url: str, minutes: float
) -> None:
    copy = tmp_path / "copy.db"
    back_up(bench.database_url, copy)
    bench.forward(HOUR)
    fired = alert("later", starts_at=bench.now - 7 * SECOND)
    bench.hear(fired)
    bench.forward(minutes * MINUTE)
    (paged,) = pages(bench)
    with restored(bench, copy, new_url) as later:
        assert later.incident_ids() == []
        later.hear(fired)
        later.settle()
        assert [each.dedup_key for each in pages(later)] == [paged.dedup_key]
        assert [each.dedup_key for each in later.events("trigger")] == [paged.dedup_key] * 2
        assert pages(later)[0].state is AlertState.TRIGGERED
        later.act(Acknowledge("anna"))
        later.settle()
        assert pages(later)[0].state is AlertState.ACKNOWLEDGED


def test_an_incident_of_several_alerts_meets_its_page_too(bench: Bench, tmp_path: Path, new_url: str) -> None:
    """The key has the earliest start of the alerts that opened it: Alertmanager repeats them together."""
    back_up(bench.database_url, tmp_path / "copy.db")
    bench.forward(HOUR)
    together = [alert("later", region, starts_at=bench.now - ago * SECOND) for region, ago in (("eu", 9), ("us", 30))]
    bench.hear(*together)
    bench.settle()
    keys = [each.dedup_key for each in pages(bench)]
    with restored(bench, tmp_path / "copy.db", new_url) as later:
        later.hear(*reversed(together))
        later.settle()
        assert [each.dedup_key for each in pages(later)] == keys


def test_one_that_climbed_after_the_copy_climbs_again_under_the_same_keys(
    bench: Bench, tmp_path: Path, new_url: str
) -> None:
    back_up(bench.database_url, tmp_path / "copy.db")
    bench.forward(HOUR)
    fired = alert("later", starts_at=bench.now)
    bench.hear(fired)
    bench.forward(16 * MINUTE)
    keys = [each.dedup_key for each in pages(bench)]
    assert len(keys) == 3
    with restored(bench, tmp_path / "copy.db", new_url) as later:
        later.hear(fired)
        later.forward(16 * MINUTE)
        assert [each.dedup_key for each in pages(later)] == keys


def test_what_is_open_in_the_copy_goes_on_and_what_fell_due_follows_one_level_at_a_time(
    bench: Bench, tmp_path: Path, new_url: str
) -> None:
    bench.hear(alert("before"))
    bench.forward(MINUTE)
    back_up(bench.database_url, tmp_path / "copy.db")
    bench.clock.advance(HOUR)
    with restored(bench, tmp_path / "copy.db", new_url) as later:
        later.settle()
        assert (len(pages(later, 1)), len(pages(later, 2)), len(pages(later, 3))) == (1, 1, 0)
        later.forward(59 * SECOND)
        assert len(pages(later, 3)) == 0
        later.forward(SECOND)
        assert (len(pages(later, 1)), len(pages(later, 2)), len(pages(later, 3))) == (1, 1, 1)
        assert named(later, "before").round == 1


def test_the_levels_that_were_told_meanwhile_meet_their_pages(bench: Bench, tmp_path: Path, new_url: str) -> None:
    bench.hear(alert("before"))
    bench.forward(MINUTE)
    back_up(bench.database_url, tmp_path / "copy.db")
    bench.forward(20 * MINUTE)
    keys = [each.dedup_key for each in pages(bench)]
    assert len(keys) == 3
    with restored(bench, tmp_path / "copy.db", new_url) as later:
        later.forward(2 * MINUTE)
        assert [each.dedup_key for each in pages(later)] == keys


def test_what_ended_after_the_copy_and_fires_no_more_is_open_until_somebody_resolves_it(
    bench: Bench, tmp_path: Path, new_url: str
) -> None:
    fired = alert("before")
    bench.hear(fired)
    bench.forward(MINUTE)
    back_up(bench.database_url, tmp_path / "copy.db")
    bench.hear(alert("before", firing=False))
    bench.forward(10 * MINUTE)
    assert named(bench, "before").state is State.RESOLVED
    with restored(bench, tmp_path / "copy.db", new_url) as later:
        later.settle()
        assert named(later, "before").state is State.TRIGGERED
        later.hear(alert("before", firing=False))
        later.forward(5 * MINUTE)
        assert named(later, "before").state is State.RESOLVED
        assert {each.state for each in pages(later)} == {AlertState.RESOLVED}


def again(bench: Bench) -> tuple[Alert, ...]:
    """One that came, went and came back: its second episode began a second round."""
    first = alert("later", starts_at=bench.now)
    bench.hear(first)
    bench.forward(MINUTE)
    bench.hear(alert("later", starts_at=first.starts_at, firing=False))
    bench.forward(10 * MINUTE)
    second = alert("later", starts_at=bench.now)
    bench.hear(second)
    bench.settle()
    return (second,)


def unanswered(bench: Bench) -> tuple[Alert, ...]:
    """One whose first round nobody answered."""
    fired = alert("later", starts_at=bench.now)
    bench.hear(fired)
    bench.forward(31 * MINUTE)
    return (fired,)


def joined_by_an_older_one(bench: Bench) -> tuple[Alert, ...]:
    """One that an alert joined which had begun earlier, and which is now repeated first."""
    first, second = (
        alert("later", region, starts_at=bench.now - ago * SECOND) for region, ago in (("us", 5), ("eu", 30))
    )
    for each in (first, second):
        bench.hear(each)
        bench.settle()
    return (second, first)


@pytest.mark.parametrize("happens", [again, unanswered, joined_by_an_older_one])
def test_what_the_copy_can_not_know_is_one_page_more_and_none_less(
    bench: Bench, tmp_path: Path, new_url: str, happens: Callable[[Bench], tuple[Alert, ...]]
) -> None:
    """The key holds the round and the opening's earliest start, and both are lost: docs/operating.md says so."""
    back_up(bench.database_url, tmp_path / "copy.db")
    bench.forward(HOUR)
    repeats = happens(bench)
    before = len(pages(bench))
    with restored(bench, tmp_path / "copy.db", new_url) as later:
        for each in repeats:
            later.hear(each)
            later.settle()
        assert len(pages(later)) == before + 1
        assert pages(later)[-1].state is AlertState.TRIGGERED
