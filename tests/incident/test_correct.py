"""A clock that was ahead is put right: what it had set comes as much earlier, and nothing else moves (model 40)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from incidentd.clock import JUMP
from incidentd.incident.command import CorrectDeadlines
from incidentd.incident.correct import set_after
from incidentd.incident.wake import wake_at
from incidentd.timeline import ClockSetBack, Data
from tests.incident.build import HOUR, MINUTE, MONDAY_NOON, OFFICE, SECOND, Story, policy

AHEAD = 10 * MINUTE
LATER = MONDAY_NOON + MINUTE


def nothing(_: Story) -> None:
    """The opening is all that happens."""


def recover(story: Story) -> None:
    story.resolve_alert()


def recover_and_fire_again(story: Story) -> None:
    story.acknowledge()
    story.resolve_alert()
    story.off(minutes=1)
    story.repeat()


def resolve(story: Story) -> None:
    story.resolve()


def note(story: Story) -> None:
    story.acknowledge()
    story.off(minutes=1)
    story.note()


@pytest.fixture
def story() -> Story:
    return Story()


def set_back(story: Story, by: timedelta = AHEAD) -> list[Data]:
    """The clock goes back, and the deadlines that it had set are looked for."""
    story.now -= by
    return story.do(CorrectDeadlines(by, set_after(story.entries, story.now + JUMP)))


def deadlines(story: Story) -> list[datetime | None]:
    """All that time will do, and when it is known to have been done."""
    incident = story.incident
    answer = incident.acknowledgement
    return [
        wake_at(incident),
        incident.next_at,
        incident.respond_by,
        incident.hold_until,
        incident.grace_until,
        incident.recovering_at,
        incident.resolved_at,
        incident.round_at,
        answer.until if answer else None,
        answer.at if answer else None,
    ]


@pytest.mark.parametrize("act", [nothing, recover, recover_and_fire_again, resolve, note, Story.acknowledge])
@pytest.mark.parametrize("opened_ahead", [False, True])
def test_all_stands_as_if_the_clock_had_been_right(act: Callable[[Story], object], *, opened_ahead: bool) -> None:
    ahead, right = Story(), Story()
    right.fire()
    right.off(minutes=1)
    act(right)
    ahead.now += AHEAD if opened_ahead else timedelta(0)
    ahead.fire(started=MONDAY_NOON)
    ahead.off(minutes=1)
    ahead.now += timedelta(0) if opened_ahead else AHEAD
    act(ahead)
    set_back(ahead)
    assert deadlines(ahead) == deadlines(right)


def test_what_the_true_time_had_set_stays(story: Story) -> None:
    story.fire()
    before = story.incident
    story.off(minutes=1)
    assert set_back(story, 10 * SECOND) == []
    assert story.incident == before


def test_the_next_level_comes_when_it_would_have_come(story: Story) -> None:
    story.now += AHEAD
    story.fire()
    story.now += MINUTE
    (entry,) = set_back(story)
    assert isinstance(entry, ClockSetBack)
    assert entry.next_at == MONDAY_NOON + 15 * MINUTE
    story.until(MONDAY_NOON + 15 * MINUTE)
    assert story.incident.level == 2


def test_a_second_look_finds_nothing(story: Story) -> None:
    story.now += AHEAD
    story.fire()
    assert len(set_back(story)) == 1
    assert story.do(CorrectDeadlines(AHEAD, set_after(story.entries, story.now + JUMP))) == []


def test_a_level_that_was_due_meanwhile_is_told_at_once(story: Story) -> None:
    story.now += HOUR
    story.fire()
    story.off(minutes=20)
    set_back(story, HOUR)
    assert story.incident.level == 2


def test_a_snooze_ends_when_the_person_said(story: Story) -> None:
    story.fire()
    until = MONDAY_NOON + 3 * HOUR
    story.now += MINUTE
    story.now += 10 * MINUTE
    story.acknowledge(until=until)
    set_back(story, 10 * MINUTE)
    assert story.incident.acknowledgement
    assert story.incident.acknowledgement.until == until
    assert story.incident.acknowledgement.at == LATER


def test_nobody_is_told_outside_the_calendar() -> None:
    """09:30 in Berlin, taken for 10:30: fifteen minutes of business time before is before the opening, never early."""
    story = Story(policy(calendar=OFFICE), at=MONDAY_NOON.replace(hour=8, minute=0))
    story.fire()
    assert story.incident.next_at == MONDAY_NOON.replace(hour=8, minute=15)
    set_back(story, 50 * MINUTE)
    assert story.incident.next_at == MONDAY_NOON.replace(hour=8, minute=0)


def test_an_alert_that_waits_to_count_counts_in_time(story: Story) -> None:
    """Resolved and fired again within a minute, both by a clock that is ahead (model 23)."""
    story.now += AHEAD
    story.fire(started=MONDAY_NOON)
    story.off(seconds=10)
    story.resolve_alert()
    story.off(seconds=10)
    story.repeat()
    waiting = story.incident.members["a"].counts_at
    assert waiting
    set_back(story)
    assert story.incident.members["a"].counts_at == waiting - AHEAD


def test_an_answer_in_pagerduty_after_the_true_start_of_the_round_counts(story: Story) -> None:
    """The third party's clock was right all the time (model 28)."""
    story.now += AHEAD
    story.fire()
    story.off(minutes=2)
    set_back(story)
    assert story.acknowledge(dated_at=MONDAY_NOON + MINUTE)
    assert story.incident.acknowledgement
