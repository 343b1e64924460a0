"""A person resolves while alerts fire, and alerts that nobody resolves (model 24, 39)."""

from dataclasses import replace

import pytest

from incidentd.errors import RefusedError
from incidentd.incident.hear import takes
from incidentd.incident.state import State
from incidentd.incident.wake import wake_at
from incidentd.sentence import sentence
from incidentd.tier import Tier
from incidentd.timeline import Entry
from tests.incident.build import MINUTE, Story, member


class TestGrace:
    """24: a person resolves while alerts fire."""

    def resolved(self) -> Story:
        story = Story()
        story.hear(member("a"), member("b", tier=Tier.P2))
        story.resolve("ann")
        return story

    def test_it_is_resolved(self) -> None:
        story = self.resolved()
        assert story.state is State.RESOLVED
        assert story.incident.grace_until == story.now + 10 * MINUTE
        assert wake_at(story.incident) is None

    def test_the_same_episodes_notified_within_10_minutes_reopen_nothing(self) -> None:
        story = self.resolved()
        story.off(minutes=9.99)
        assert story.repeat("a") == []
        story.forward(hours=2)
        assert story.state is State.RESOLVED

    def test_the_same_episode_notified_after_10_minutes_reopens_it(self) -> None:
        story = self.resolved()
        story.off(minutes=10)
        story.repeat("a")
        assert story.incident.episode == 2
        assert {m.fingerprint for m in story.incident.firing} == {"a", "b"}

    def test_the_same_episode_reopens_it_at_any_time(self) -> None:
        story = self.resolved()
        story.off(hours=50)
        assert takes(story.incident, [member("a")], story.policy, story.now)
        story.repeat("a")
        assert story.incident.episode == 2

    def test_a_new_one_opens_another_incident_after_the_reopen_window(self) -> None:
        story = self.resolved()
        story.off(minutes=31)
        assert not takes(story.incident, [member("c")], story.policy, story.now)
        assert not takes(story.incident, [member("a"), member("c")], story.policy, story.now)

    def test_a_new_one_within_the_grace_waits_for_its_end_and_then_reopens(self) -> None:
        story = self.resolved()
        story.off(minutes=3)
        story.fire("c", tier=Tier.P0)
        waits = story.state
        story.forward(minutes=7)
        assert (waits, story.state) == (State.RESOLVED, State.TRIGGERED)
        assert story.incident.tier is Tier.P0
        assert story.incident.episode == 2

    def test_the_timeline_says_of_one_that_begins_within_the_grace_that_it_fires(self) -> None:
        story = self.resolved()
        story.off(minutes=3)
        (begun,) = story.fire("c")
        said = "Alerts changed: 1 alert firing that does not count before 12:10:00 UTC."
        assert sentence(Entry(9, story.now, "alertmanager", begun), {}) == said
        (ended,) = story.resolve_alert("c")
        assert sentence(Entry(9, story.now, "alertmanager", ended), {}) == "Alerts changed: 1 alert no longer firing."

    def test_a_new_one_that_ends_within_the_grace_reopens_nothing(self) -> None:
        story = self.resolved()
        story.fire("c")
        story.off(minutes=3)
        story.resolve_alert("c")
        story.forward(hours=1)
        assert story.state is State.RESOLVED

    def test_an_alert_that_ended_and_fires_again_within_the_grace_waits_for_its_end(self) -> None:
        story = self.resolved()
        story.resolve_alert("a")
        story.off(seconds=30)
        story.repeat("a")
        assert wake_at(story.incident) == story.incident.grace_until

    def test_an_alert_that_waited_before_the_person_resolved_waits_for_the_graces_end_too(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        story.off(seconds=30)
        story.repeat()
        story.resolve()
        assert wake_at(story.incident) == story.now + 10 * MINUTE
        story.forward(minutes=10)
        assert story.incident.episode == 2

    def test_an_incident_that_waits_takes_what_comes_so_that_no_second_one_has_its_key(self) -> None:
        story = self.resolved()
        story.fire("c")
        story.off(hours=2)
        assert takes(story.incident, [member("d")], story.policy, story.now)

    def test_alerts_that_end_in_the_grace_leave_it_resolved_for_good(self) -> None:
        story = self.resolved()
        story.resolve_alert("a")
        story.resolve_alert("b")
        story.forward(hours=1)
        assert story.state is State.RESOLVED

    def test_resolved_with_firing_copies_of_one_episode_in_one_notification_reopens_nothing(self) -> None:
        story = self.resolved()
        story.off(minutes=11)
        story.hear(member("a"), member("a", firing=False))
        assert story.state is State.RESOLVED

    def test_a_person_who_resolves_what_no_longer_fires_needs_no_grace(self) -> None:
        story = Story()
        story.fire()
        story.resolve_alert()
        story.resolve()
        assert story.incident.grace_until is None

    def test_the_same_person_again_is_no_entry_and_another_is_told_who_did(self) -> None:
        story = self.resolved()
        assert story.resolve("ann") == []
        with pytest.raises(RefusedError, match="ann"):
            story.resolve("bob")


class TestExpiry:
    """39: an alert that nobody resolves ends by itself."""

    def test_it_ends_by_its_own_clock_and_the_hold_down_follows(self) -> None:
        story = Story()
        story.fire(expires_at=story.now + 30 * MINUTE)
        story.acknowledge()
        story.forward(minutes=30)
        before = story.state
        story.forward(minutes=5)
        assert (before, story.state) == (State.RECOVERING, State.RESOLVED)

    def test_a_repeat_puts_it_off_and_repeats_by_minutes_write_nothing(self) -> None:
        story = Story()
        story.fire(expires_at=story.now + 30 * MINUTE)
        first = story.incident.members["a"]
        story.off(seconds=59)
        assert story.hear(replace(first, expires_at=story.now + 30 * MINUTE)) == []
        story.off(seconds=1)
        assert len(story.hear(replace(first, expires_at=story.now + 30 * MINUTE))) == 1

    def test_that_it_lives_on_is_told_to_nobody(self) -> None:
        story = Story()
        story.fire(expires_at=story.now + 30 * MINUTE)
        news, first = story.incident.news, story.incident.members["a"]
        story.off(minutes=10)
        story.hear(replace(first, expires_at=story.now + 30 * MINUTE))
        assert (story.kinds[-1], story.incident.news) == ("prolonged", news)
        assert story.incident.members["a"].expires_at == story.now + 30 * MINUTE

    def test_that_it_lives_on_while_another_joins_is_told_with_that(self) -> None:
        story = Story()
        story.fire(expires_at=story.now + 30 * MINUTE)
        first = story.incident.members["a"]
        story.off(minutes=10)
        story.hear(replace(first, expires_at=story.now + 30 * MINUTE), member("b"))
        assert story.kinds[-1] == "alerts"

    def test_a_changed_verdict_of_one_that_lives_on_is_told(self) -> None:
        story = Story()
        story.fire(expires_at=story.now + 30 * MINUTE)
        first = story.incident.members["a"]
        story.off(minutes=10)
        story.hear(replace(first, region="eu", expires_at=story.now + 30 * MINUTE))
        assert story.kinds[-1] == "alerts"

    def test_what_expired_while_a_person_had_it_resolved_does_not_come_back(self) -> None:
        story = Story()
        story.fire("a", tier=Tier.P0, expires_at=story.now + 12 * MINUTE)
        story.resolve()
        story.forward(minutes=15)
        story.fire("b", tier=Tier.P2)
        assert [m.fingerprint for m in story.incident.firing] == ["b"]
        assert story.incident.tier is Tier.P2
        assert story.tick() == []
