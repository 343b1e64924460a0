"""Somebody sets the clock while an incident climbs: nothing early, nothing twice, nothing stuck (model 40)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from incidentd import follower
from incidentd.clock import DOUBT
from incidentd.lifecycle.correction import Correction
from tests.lifecycle.bench import BEGIN
from tests.lifecycle.doubtful import DoubtfulClock
from tests.story.story import Story, telling

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def doubtful(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A story whose clock can be set.

    Its process corrects nothing by itself: at its start it would take a clock that was set back meanwhile for one of
    which nobody knows how far it was ahead.
    """
    monkeypatch.setattr(follower, "FOLLOW_SECONDS", DAY.total_seconds())
    with telling(database_url, clock=DoubtfulClock(BEGIN)) as told:
        yield told


@pytest.mark.parametrize("leap", [HOUR, DAY], ids=["an hour on", "a day on"])
def test_a_clock_that_leaps_ahead_pages_one_level_at_a_time(doubtful: Story, leap: timedelta) -> None:
    story = doubtful
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.forward(minutes=2)
    story.bench.clock.jump(leap)
    story.forward(seconds=DOUBT.total_seconds() - 1)
    story.expect_no_page()
    story.forward(seconds=2)
    story.expect_page(level=2)
    story.forward(seconds=57)
    story.expect_no_page()
    story.forward(seconds=4)
    story.expect_page(level=3)


@pytest.mark.parametrize("leap", [-HOUR, -DAY], ids=["an hour back", "a day back"])
def test_a_clock_that_leaps_back_pages_nobody_early_and_each_level_still(doubtful: Story, leap: timedelta) -> None:
    story = doubtful
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.forward(minutes=2)
    _set_back(story, leap)
    story.forward(minutes=1, seconds=58)
    story.expect_no_page()
    story.forward(seconds=2)
    story.expect_page(level=2)
    story.expect_card("Triggered")
    story.forward(minutes=9, seconds=58)
    story.expect_no_page()
    story.forward(seconds=4)
    story.expect_page(level=3)
    assert story.bench.kinds().count("clock_set_back") == 1


@pytest.mark.parametrize("leap", [HOUR, DAY], ids=["an hour", "a day"])
def test_once_a_clock_that_was_ahead_is_put_right_an_answer_lapses_at_its_true_time(
    doubtful: Story, leap: timedelta
) -> None:
    story = doubtful
    story.bench.clock.jump(leap)
    story.forward(minutes=2)
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.acknowledge()
    story.forward(minutes=1)
    _set_back(story, -leap)
    story.forward(minutes=27, seconds=58)
    story.expect_no_page()
    story.forward(seconds=4)
    story.expect_page(level=1)
    story.forward(minutes=5)
    story.expect_page(level=2)


def _set_back(story: Story, leap: timedelta) -> None:
    """Until it is believed, and what every process then does (``tests/lifecycle/test_correction.py``)."""
    bench = story.bench
    bench.clock.jump(leap)
    story.forward(seconds=DOUBT.total_seconds())
    assert isinstance(bench.clock, DoubtfulClock)
    found = bench.clock.leap()
    assert found
    seconds = timedelta(seconds=1)
    correction = Correction(
        bench.store, bench.runtime.rulebook, bench.clock.now, 3 * seconds, 30 * seconds, lambda _work: None
    )
    correction.correct(-found)
    bench.settle()
