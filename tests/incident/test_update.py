"""While an incident is open, what holds is said again every so often (model 19)."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from incidentd.incident.command import CorrectDeadlines, Delivered
from incidentd.incident.correct import set_after
from incidentd.incident.state import State
from incidentd.incident.wake import APART, wake_at
from incidentd.policy import Policy
from incidentd.sentence import sentence
from incidentd.tier import Tier
from incidentd.timeline import DeliveryFailed, Told, Updated
from tests.incident.build import HOUR, MINUTE, OFFICE, SECOND, Story, member, policy, tiers

EVERY = 15 * MINUTE


def every(length: timedelta = EVERY, *which: Tier, version: str = "v1") -> Policy:
    """The default policy, with updates of some tiers; of P0 to P2 where none is named."""
    chosen = which or (Tier.P0, Tier.P1, Tier.P2)
    return policy({tier: replace(tiers()[tier], updates=length) for tier in chosen}, version=version)


@pytest.fixture
def story() -> Story:
    return Story(every())


def updates(story: Story) -> list[datetime]:
    return [entry.at for entry in story.entries if isinstance(entry.data, Updated)]


def minutes(story: Story) -> list[float]:
    """When updates were told, in minutes since the opening."""
    return [(at - story.entries[0].at) / MINUTE for at in updates(story)]


def test_every_15_minutes_whoever_has_it_and_whether_it_fires_or_not(story: Story) -> None:
    story.fire(tier=Tier.P1)
    story.forward(minutes=20)
    story.acknowledge()
    story.forward(minutes=23)
    story.resolve_alert()
    story.forward(minutes=3)
    assert story.state is State.RECOVERING
    assert minutes(story) == [15, 30, 45]


def test_nothing_more_once_it_is_resolved(story: Story) -> None:
    story.fire()
    story.resolve_alert()
    story.forward(hours=3)
    assert (story.state, story.incident.update_at, updates(story)) == (State.RESOLVED, None, [])


def test_one_that_opens_again_begins_to_count_anew(story: Story) -> None:
    story.fire()
    story.forward(minutes=16)
    story.resolve_alert()
    story.forward(minutes=10)
    story.fire()
    story.forward(minutes=15)
    assert (story.incident.episode, minutes(story)) == (2, [15, 41])
    assert [each.count for each in story.find(Updated)] == [1, 1]
    assert story.find(Updated)[-1].since == story.now - EVERY


def test_none_where_the_policy_has_none() -> None:
    story = Story()
    story.fire(tier=Tier.P3)
    story.forward(hours=100)
    assert (updates(story), story.incident.update_at, story.incident.news_at) == ([], None, None)


def test_it_goes_along_with_what_is_told_at_the_same_instant(story: Story) -> None:
    story.fire(tier=Tier.P1)
    story.forward(minutes=15)
    assert story.kinds == ["opened", "level", "update"]
    assert len({entry.at for entry in story.entries[1:]}) == 1


def test_after_other_news_it_waits_for_a_minute_from_them(story: Story) -> None:
    story.fire(tier=Tier.P2)
    story.forward(minutes=14, seconds=40)
    told = story.now
    story.note()
    assert wake_at(story.incident) == told + APART
    story.forward(minutes=2)
    assert updates(story) == [told + APART]
    assert story.entries[-1].due_at == told + APART, "it is not late"
    story.forward(minutes=15)
    assert minutes(story)[1:] == [30], "the timetable stays"


def test_while_it_waits_it_goes_along_with_the_next_news(story: Story) -> None:
    story.fire(tier=Tier.P2)
    story.forward(minutes=14, seconds=40)
    story.note()
    story.forward(seconds=30)
    story.do(Delivered(DeliveryFailed("incidents", "e1", "503")))
    assert story.kinds[-1] == "delivery_failed", "what nobody is told takes no update along"
    story.note()
    assert story.kinds[-2:] == ["note", "update"]
    assert story.forward(minutes=10) == []


def test_what_is_told_to_nobody_does_not_put_it_off(story: Story) -> None:
    story.fire(tier=Tier.P2, expires_at=story.now + 30 * MINUTE)
    story.forward(minutes=14, seconds=40)
    story.hear(replace(member(tier=Tier.P2), starts_at=story.entries[0].at, expires_at=story.now + 30 * MINUTE))
    assert story.entries[-1].data.told is Told.NO
    story.forward(minutes=1)
    assert minutes(story) == [15]


@pytest.mark.parametrize("off", [2 * MINUTE, 10 * MINUTE, 20 * MINUTE, 2 * HOUR + 4 * MINUTE])
def test_however_late_there_is_one_and_the_next_is_on_the_timetable(story: Story, off: timedelta) -> None:
    story.fire(tier=Tier.P2)
    story.acknowledge()
    story.off(minutes=15, seconds=off.total_seconds())
    story.tick()
    assert len(updates(story)) == 1
    story.forward(hours=1)
    gap = updates(story)[1] - updates(story)[0]
    assert gap >= EVERY / 2
    assert minutes(story)[1] % 15 == 0


def test_the_calendar_does_not_stop_it() -> None:
    story = Story(policy({Tier.P1: replace(tiers()[Tier.P1], updates=EVERY, calendar=OFFICE)}))
    story.off(hours=8)
    story.fire(tier=Tier.P1)
    story.forward(hours=1)
    assert (story.incident.level, len(updates(story))) == (0, 4)


def test_a_snooze_does_not_stop_it_and_is_said(story: Story) -> None:
    story.fire(tier=Tier.P1)
    until = story.now + 3 * HOUR
    story.acknowledge(until=until)
    story.forward(minutes=15)
    (told,) = story.find(Updated)
    assert (told.by, told.snoozed_until) == ("ann", until)


def test_a_tier_with_updates_begins_them_and_one_without_ends_them() -> None:
    story = Story(every(EVERY, Tier.P0))
    story.fire(tier=Tier.P2)
    story.forward(minutes=50)
    assert story.incident.update_at is None
    story.fire("b", tier=Tier.P0)
    story.acknowledge()
    story.forward(minutes=20)
    assert minutes(story) == [65]
    story.set_tier(Tier.P1)
    story.forward(minutes=40)
    assert (minutes(story), story.incident.update_at) == ([65], None)


def test_a_tier_whose_updates_are_rarer_does_not_put_off_the_one_that_stands() -> None:
    story = Story(policy({t: replace(tiers()[t], updates=n * EVERY) for t, n in ((Tier.P0, 1), (Tier.P1, 4))}))
    story.fire(tier=Tier.P0)
    story.acknowledge()
    story.forward(minutes=10)
    story.set_tier(Tier.P1)
    story.forward(hours=2)
    assert minutes(story) == [15, 75]


def test_a_new_round_takes_the_updates_of_the_table_in_force() -> None:
    story = Story(policy())
    story.fire(tier=Tier.P0)
    story.reload(every(version="v2"))
    story.forward(minutes=29)
    assert updates(story) == []
    story.forward(minutes=16)
    assert minutes(story) == [45], "15 minutes after the round that began at 30"


def test_what_is_only_observed_has_none_until_observing_ends(story: Story) -> None:
    story.hear(replace(member(tier=Tier.P0), observed=True))
    story.forward(hours=2)
    assert updates(story) == []
    story.hear(member(tier=Tier.P0))
    story.forward(minutes=15)
    assert minutes(story) == [135]


def test_a_clock_that_was_ahead_takes_it_back_too(story: Story) -> None:
    true = story.now
    story.off(hours=1)
    story.fire(tier=Tier.P2, started=true)
    story.now = true + SECOND
    story.do(CorrectDeadlines(HOUR, set_after(story.entries, story.now)))
    story.forward(minutes=16)
    assert updates(story) == [true + EVERY]


def test_it_says_what_holds() -> None:
    story = Story(every())
    story.hear(
        *(member(name, tier=Tier.P0, region=name, reason=f"error_rate {n} > 5") for n, name in ((7, "eu"), (6, "us")))
    )
    story.forward(minutes=75)
    people = {number: level.name for number, level in enumerate(story.policy.tiers[Tier.P0].levels, 1)}
    said = [sentence(entry, people) for entry in story.entries if entry.kind == "update"]
    assert said[-1] == (
        "Open for 1 h 15 min as P0. Nobody has answered; told last: level 3, cto."
        " 2 alerts fire in eu and us: error_rate 7 > 5."
    )
