"""The hour that is left out and the one that comes twice: levels are told by the time that has passed."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from incidentd.clock import ManualClock
from incidentd.incident.state import State
from tests.story.story import Story, telling

# At 01:00 UTC clocks in Berlin are put from 2 to 3 in the spring, and from 3 to 2 in the autumn.
CHANGES = {
    "it begins": datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    "it ends": datetime(2026, 10, 25, 1, 0, tzinfo=UTC),
}
BEFORE = timedelta(minutes=3)


@pytest.fixture(params=CHANGES)
def changing(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A story that begins three minutes before, on a machine whose own clock is Berlin's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with telling(database_url, clock=ManualClock(CHANGES[request.param] - BEFORE)) as told:
            yield told
    finally:
        monkeypatch.undo()
        time.tzset()


def test_while_summer_time_begins_or_ends_each_level_is_told_once_and_at_its_time(changing: Story) -> None:
    story = changing
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    for level, minutes in ((2, 5), (3, 10)):
        story.forward(minutes=minutes - 1, seconds=59)
        story.expect_no_page()
        story.forward(seconds=1)
        story.expect_page(level=level)
    story.forward(minutes=14, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    story.expect_page(level=1)
    story.expect(State.TRIGGERED, round=2)


def test_while_summer_time_begins_or_ends_an_answer_lapses_after_half_an_hour(changing: Story) -> None:
    story = changing
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.acknowledge()
    story.forward(minutes=29, seconds=59)
    story.expect_no_page()
    story.forward(seconds=1)
    story.expect_page(level=1)


def test_while_summer_time_begins_or_ends_an_answer_is_in_time_until_its_five_minutes_are_over(
    changing: Story,
) -> None:
    story = changing
    story.fire("avalo/core-api", value=99.4, region="eu")
    story.expect_page(level=1)
    story.forward(minutes=4, seconds=59)
    story.acknowledge()
    story.expect(State.ACKNOWLEDGED, responded_in_time=True)
