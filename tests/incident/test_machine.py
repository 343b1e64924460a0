"""Any story, whatever happens in it and however late the ticks, keeps the laws and comes to rest."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from pydantic import TypeAdapter

from incidentd.errors import RefusedError
from incidentd.incident.apply import fold
from incidentd.incident.command import (
    Acknowledge,
    AlertsHeard,
    ChangeTier,
    Command,
    Delivered,
    Enforce,
    Escalate,
    Identity,
    Note,
    Resolve,
    StartOver,
    TakeOver,
    Tick,
)
from incidentd.incident.hear import takes
from incidentd.incident.state import Incident, State
from incidentd.incident.wake import wake_at
from incidentd.policy import Policy
from incidentd.tier import Tier
from incidentd.timeline import KINDS, Accepted, DeliveryFailed, Fact, FellBack, GaveUp, Member, PagedDirectly, Scope
from tests.incident.build import (
    GLOBAL,
    HOUR,
    MINUTE,
    MONDAY_NOON,
    OFFICE,
    SECOND,
    Story,
    levels,
    member,
    policy,
    tiers,
    with_levels,
)
from tests.incident.law import (
    Spacing,
    check_clocks,
    check_facts,
    check_hours,
    check_observed,
    check_steps,
    check_updates,
)
from tests.incident.profile import effort

SATURDAY = datetime.fromisoformat("2026-03-07T03:00:00+00:00")
FRIDAY = datetime.fromisoformat("2026-03-06T15:50:00+00:00")  # ten minutes before the office closes
POLICIES: dict[str, Policy] = {
    "default": policy(),
    "office": policy(calendar=OFFICE),
    "office for pages only": policy({Tier.P1: replace(tiers()[Tier.P1], calendar=OFFICE)}),
    "without hold-down": policy(hold_down=timedelta(0)),
    "nobody at level 2": with_levels(Tier.P0, ("page-engineer",), (), ("page-cto",)),
    "nobody at level 1": with_levels(Tier.P0, (), ("page-manager",), ("page-cto",)),
    "nobody at all": with_levels(Tier.P1, (), (), ()),
    "seconds": policy({tier: replace(tiers()[tier], levels=levels((0.1, 0.2, 0.1))) for tier in (Tier.P0, Tier.P1)}),
    "with updates": policy({tier: replace(tiers()[tier], updates=15 * MINUTE) for tier in Tier}),
    "with updates of what is urgent": policy(
        {Tier.P0: replace(tiers()[Tier.P0], updates=MINUTE), Tier.P1: replace(tiers()[Tier.P1], updates=HOUR)},
        calendar=OFFICE,
    ),
    "longer when calmer": with_levels(Tier.P0, ("page-engineer",), ("page-manager",), minutes=(5, 10)),
}
WIDE = Scope(minimum=Tier.P2, regions=2, tier=Tier.P1)

ALERTS = st.sampled_from(["a", "b", "c", "d"])
TIERS = st.sampled_from(list(Tier))
REGIONS = st.sampled_from([None, "eu", "us"])
SCOPES = st.sampled_from([None, GLOBAL, WIDE])
ROUNDS_BACK = st.sampled_from([None, 0, 0, 1])
PEOPLE = st.sampled_from(["ann", "bob"])
WAITS = st.sampled_from(
    [SECOND / 2, 5 * SECOND, 30 * SECOND, MINUTE, 4 * MINUTE, 5 * MINUTE, 11 * MINUTE, 29 * MINUTE, HOUR, 13 * HOUR]
)
DESTINATIONS = st.sampled_from([(), (), ("growth",), ("page-cto",)])
INCIDENT = TypeAdapter(Incident)
DATA: dict[str, TypeAdapter[Any]] = {kind: TypeAdapter(type_) for kind, type_ in KINDS.items()}


class Life(RuleBasedStateMachine):
    """One incident, from its first alert to its rest."""

    @initialize(
        name=st.sampled_from(sorted(POLICIES)),
        at=st.sampled_from([FRIDAY, SATURDAY]),
        tier=TIERS,
        observed=st.sampled_from([False, False, True]),
    )
    def open(self, name: str, at: datetime, tier: Tier, observed: bool) -> None:
        self.observed = observed
        self.story = Story(POLICIES[name], at=at)
        self.spacing = Spacing()
        self.latest: dict[str, Member] = {}
        self._hear([member("a", tier=tier, started=at, region="eu", scope=GLOBAL)])

    # What Alertmanager sends

    @rule(name=ALERTS, tier=TIERS, region=REGIONS, scope=SCOPES, destinations=DESTINATIONS)
    def fire(
        self, name: str, tier: Tier, region: str | None, scope: Scope | None, destinations: tuple[str, ...]
    ) -> None:
        alert = member(name, tier=tier, started=self.story.now, region=region, scope=scope, destinations=destinations)
        self._hear([alert])

    @rule(name=ALERTS)
    def fire_with_an_end(self, name: str) -> None:
        self._hear([member(name, started=self.story.now, expires_at=self.story.now)])

    @rule(names=st.lists(ALERTS, min_size=1, max_size=3))
    def repeat(self, names: list[str]) -> None:
        self._hear([replace(self.latest[name], firing=True) for name in names if name in self.latest])

    @rule(name=ALERTS, tier=TIERS)
    def repeat_with_another_value(self, name: str, tier: Tier) -> None:
        if name in self.latest:
            self._hear([replace(self.latest[name], firing=True, tier=tier)])

    @rule(names=st.lists(ALERTS, min_size=1, max_size=4))
    def resolve_alerts(self, names: list[str]) -> None:
        self._hear([replace(self.latest[name], firing=False) for name in names if name in self.latest])

    @rule(name=ALERTS, region=REGIONS)
    def resolve_one_never_announced(self, name: str, region: str | None) -> None:
        self._hear([member(name, firing=False, started=self.story.now, region=region)])

    @rule(name=ALERTS)
    def repeat_an_older_episode(self, name: str) -> None:
        self.do_hear([member(name, started=self.story.now - 5 * HOUR)])

    @rule(name=ALERTS, back=st.sampled_from([SECOND / 1000, MINUTE]))
    def repeat_with_an_earlier_start(self, name: str, back: timedelta) -> None:
        if name in self.latest:
            self.do_hear([self._again(self.latest[name], back)])

    # What people do

    @rule(by=PEOPLE, snooze=st.sampled_from([None, None, MINUTE, 3 * HOUR]))
    def acknowledge(self, by: str, snooze: timedelta | None) -> None:
        self._do(Acknowledge(by, until=self.story.now + snooze if snooze else None))

    @rule(by=PEOPLE, ago=WAITS, back=ROUNDS_BACK)
    def resolve_elsewhere(self, by: str, ago: timedelta, back: int | None) -> None:
        self._do(Resolve(by, "pagerduty", dated_at=self.story.now - ago, round=self._some_round(back)))

    @rule(by=PEOPLE, ago=WAITS, back=ROUNDS_BACK)
    def acknowledge_elsewhere(self, by: str, ago: timedelta, back: int | None) -> None:
        self._do(Acknowledge(by, "pagerduty", dated_at=self.story.now - ago, round=self._some_round(back)))

    @rule(by=PEOPLE)
    def take_over(self, by: str) -> None:
        self._do(TakeOver(by))

    @rule(by=PEOPLE)
    def resolve(self, by: str) -> None:
        self._do(Resolve(by))

    @rule(by=PEOPLE)
    def escalate(self, by: str) -> None:
        self._do(Escalate(by))

    @rule(by=PEOPLE, tier=TIERS)
    def change_tier(self, by: str, tier: Tier) -> None:
        self._do(ChangeTier(by, tier, "because"))

    @rule(by=PEOPLE, ago=st.sampled_from([None, timedelta(0), HOUR]))
    def note(self, by: str, ago: timedelta | None) -> None:
        self._do(Note(by, "looking", None if ago is None else self.story.now - ago))

    @rule(automation=st.booleans(), ago=WAITS, back=ROUNDS_BACK)
    def start_over(self, automation: bool, ago: timedelta, back: int | None) -> None:
        self._do(StartOver("pagerduty", automation, self.story.now - ago, self._some_round(back)))

    def _some_round(self, back: int | None) -> int | None:
        """The round whose page it was done to; None where nobody knows."""
        return None if back is None else max(1, self.story.incident.round - back)

    # What deliveries come to

    @rule(
        fact=st.sampled_from(
            [
                Accepted("page-engineer", "e1.r1.l1", True, 1, 100, 1, 2),
                DeliveryFailed("page-engineer", "e1.r1.l1", "503"),
                GaveUp("incidents", "e1", "channel_not_found"),
                FellBack("page-engineer", "page-cto", "503"),
                FellBack("page-engineer", "emergency", "503"),
                PagedDirectly("page-engineer", "key", MONDAY_NOON, took_over=True),
            ]
        )
    )
    def deliver(self, fact: Fact) -> None:
        self._do(Delivered(fact))

    @rule(name=st.sampled_from(sorted(POLICIES)))
    def reload(self, name: str) -> None:
        self.story.reload(replace(POLICIES[name], version=name))

    @rule()
    def begin_or_end_observing(self) -> None:
        self.observed = not self.observed

    @precondition(lambda self: self.story.opened and not self.observed)
    @rule()
    def enforce(self) -> None:
        self._do(Enforce())
        assert not self.story.incident.observed or self.story.state in (State.RECOVERING, State.RESOLVED)

    # Time

    @rule(wait=WAITS)
    def time_passes_without_a_tick(self, wait: timedelta) -> None:
        self.story.now += wait

    @rule()
    def tick(self) -> None:
        self._do(Tick())

    @precondition(lambda self: self.story.opened and wake_at(self.story.incident) is not None)
    @rule(late=st.sampled_from([timedelta(0), timedelta(0), SECOND / 5, 2 * HOUR]))
    def tick_when_due(self, late: timedelta) -> None:
        due = wake_at(self.story.incident)
        assert due is not None
        self.story.now = max(self.story.now, due) + late
        self._do(Tick())

    def _hear(self, alerts: list[Member]) -> None:
        """An alert that expires is heard with a new end each time, as incidentd's own are."""
        quiet = 30 * MINUTE
        alerts = [replace(each, expires_at=self.story.now + quiet) if each.expires_at else each for each in alerts]
        self.latest.update({alert.fingerprint: alert for alert in alerts})
        self.do_hear(alerts)

    def _again(self, alert: Member, back: timedelta) -> Member:
        """The alert fires on with a start that moved back, and ends as late as if it were heard for the first time."""
        end = self.story.now + 30 * MINUTE if alert.expires_at else None
        return replace(alert, firing=True, starts_at=alert.starts_at - back, expires_at=end)

    def do_hear(self, alerts: list[Member]) -> None:
        story = self.story
        alerts = [replace(each, observed=self.observed) for each in alerts]
        if not story.opened or takes(story.incident, alerts, story.policy, story.now):
            self._do(AlertsHeard(tuple(alerts), Identity("id", "key", "avalo", "core-api")))

    def _do(self, command: Command) -> None:
        story = self.story
        before, policy_before, count = story.incident if story.opened else None, story.policy, len(story.entries)
        try:
            story.do(command)
        except RefusedError:
            assert len(story.entries) == count
            story.do(Tick())
        entries = story.entries[count:]
        check_steps(before, entries, story.now)
        check_facts(story.incident)
        check_observed(before, story.incident, story.policy)
        check_updates(entries, story.incident, story.policy, story.now)
        check_clocks(story.incident, story.policy, story.now)
        if policy_before.newer is None:
            check_hours(before, entries, story.incident, story.policy, story.now)
        self.spacing.see(before, entries, story.policy_of)
        assert fold(story.entries) == story.incident
        for entry in entries:
            assert DATA[entry.kind].validate_json(DATA[entry.kind].dump_json(entry.data)) == entry.data
        assert INCIDENT.validate_json(INCIDENT.dump_json(story.incident, exclude_defaults=True)) == story.incident

    def teardown(self) -> None:
        """When all its alerts end, it comes to rest, without anybody's help."""
        if not hasattr(self, "story"):
            return
        story = self.story
        for alert in list(story.incident.members.values()):
            self._hear([replace(alert, firing=False)])
        for _ in range(20):
            due = wake_at(story.incident)
            if due is None:
                break
            story.now = max(story.now, due)
            self._do(Tick())
        assert story.state is State.RESOLVED
        assert wake_at(story.incident) is None


TestLife = pytest.mark.timeout(7200)(Life.TestCase)
TestLife.settings = effort(150)
