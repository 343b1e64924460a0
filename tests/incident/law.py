"""What holds of every decision, whatever led to it: the laws that the state machine checks after each step."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from incidentd.incident.apply import apply
from incidentd.incident.audience import audience
from incidentd.incident.command import Tick
from incidentd.incident.decide import decide
from incidentd.incident.state import Incident, State
from incidentd.incident.tiering import natural_tier
from incidentd.incident.wake import APART, wake_at
from incidentd.policy import Policy
from incidentd.timeline import (
    Ended,
    Entry,
    FellBack,
    LevelReached,
    Opened,
    Reminded,
    RoundBegan,
    TierRose,
    TierSet,
    Unanswered,
    Updated,
)

MOMENT = timedelta(microseconds=1)
LATER = timedelta(days=10)


def check_clocks(incident: Incident, policy: Policy, now: datetime) -> None:
    """It sleeps until later than now, or for good; a second tick and any early one do nothing."""
    due = wake_at(incident)
    assert due is None or due > now
    assert decide(incident, Tick(), policy, now) == []
    early = [due - MOMENT, now + (due - now) / 2] if due else [now + LATER]
    for at in early:
        assert decide(incident, Tick(), policy, at) == []


def check_facts(incident: Incident) -> None:
    """What the state says of itself agrees."""
    assert incident.news <= incident.last
    if incident.state is State.RESOLVED:
        return
    assert (incident.recovering_at is None) == bool(incident.firing)
    assert (incident.hold_until is None) == (incident.recovering_at is None)
    if incident.firing and not incident.ceiling:
        assert incident.tier <= natural_tier(incident.firing)
    has = incident.acknowledgement
    if has:
        assert has.tier <= incident.tier
        assert incident.seen_regions <= has.regions


def check_observed(before: Incident | None, incident: Incident, policy: Policy) -> None:
    """Of what is only observed nobody is told, no clock climbs or asks; who was told of an incident never loses it."""
    if incident.observed:
        assert audience(incident, policy) == set()
        assert (incident.next_at, incident.respond_by, incident.level) == (None, None, 0)
        assert before is None or before.observed


def check_updates(entries: Iterable[Entry], incident: Incident, policy: Policy, now: datetime) -> None:
    """What holds is said again while it is open, on time, once, and nowhere else."""
    every = (policy.observing if incident.observed else policy).tiers[incident.tier].updates
    if incident.state is State.RESOLVED or every is None:
        assert incident.update_at is None
    else:
        assert incident.update_at is not None
        assert now - APART < incident.update_at <= now + every * 3 / 2
        due = wake_at(incident)
        assert due is not None
        assert due <= max(incident.update_at, now + APART)
    told = [entry for entry in entries if isinstance(entry.data, Updated)]
    assert len(told) <= 1
    assert told == list(entries)[-1:] or not told


def check_steps(before: Incident | None, entries: Iterable[Entry], now: datetime) -> None:
    """Each entry is one that the model allows in the state before it."""
    climbs = 0
    for entry in entries:
        assert entry.at == now
        assert entry.due_at is None or entry.due_at <= now
        climbs += _is_climb(entry)
        if before is not None:
            _check_answered(before, entry)
            _check_tier(before, entry)
            _check_level(before, entry)
        before = apply(before, entry)
    assert climbs <= 1


def check_hours(before: Incident | None, entries: list[Entry], after: Incident, policy: Policy, now: datetime) -> None:
    """Outside the calendar nobody is woken but by a person, or by a page that was due while it was open."""
    tier = policy.tiers[after.tier]
    by_right = any(_wakes_at_night(entry, now, policy) for entry in entries)
    if tier.calendar.is_open(now) or by_right or after.acknowledgement:  # an answer holds its pages back
        return
    woken = {slot for slot in audience(after, policy) if slot.paging}
    known = {slot for slot in audience(before, policy) if slot.paging} if before else set()
    rows = after.followers | {fallback for _, fallback in after.stand_ins} | set(tier.opening)
    assert {slot for slot in woken - known if slot.destination not in rows} == set()


def _wakes_at_night(entry: Entry, now: datetime, policy: Policy) -> bool:
    match entry.data:
        case LevelReached(by_person=True) | FellBack():
            return True
        case LevelReached(held=False):
            return entry.due_at is not None and now <= entry.due_at + policy.closest
        case _:
            return False


def _is_climb(entry: Entry) -> bool:
    match entry.data:
        case LevelReached(by_person=False) | RoundBegan(why=Ended.UNANSWERED) | Reminded():
            return True
        case _:
            return False


def _check_answered(before: Incident, entry: Entry) -> None:
    if before.acknowledgement is None or isinstance(entry.data, Opened):
        return
    assert not _is_climb(entry)
    assert not isinstance(entry.data, Unanswered)
    if isinstance(entry.data, TierRose | TierSet):
        assert entry.data.level == before.level


def _check_tier(before: Incident, entry: Entry) -> None:
    match entry.data:
        case TierRose() as data:
            assert data.tier < before.tier
        case TierSet() as data if data.tier > before.tier:
            assert data.respond_by == before.respond_by
            return
        case TierSet() as data:
            pass
        case Opened():
            return
        case _:
            assert apply(before, entry).tier is before.tier
            return
    if before.respond_by is not None:
        assert data.respond_by is not None
        assert data.respond_by <= before.respond_by
    if before.next_at is not None and data.level == before.level:
        assert data.next_at is not None
        assert data.next_at <= before.next_at
    assert data.level >= before.level


def _check_level(before: Incident, entry: Entry) -> None:
    match entry.data:
        case LevelReached(by_person=False) as data:
            assert before.state is State.TRIGGERED
            assert entry.due_at == before.next_at
            assert data.level > before.level or (before.held and data.level == before.level)
        case RoundBegan() as data:
            assert data.round == before.round + 1
        case Opened() as data:
            assert (data.round, data.episode) == (before.round + 1, before.episode + 1)
        case _:
            pass


class Spacing:
    """Levels never come closer than the rule says: a level's own time, or a minute after an outage (model 14)."""

    def __init__(self) -> None:
        self._told: tuple[datetime, timedelta] | None = None

    def see(self, incident: Incident | None, entries: Iterable[Entry], policy_of: Callable[[Incident], Policy]) -> None:
        """Check the climbs among ``entries``, given the state before them."""
        for entry in entries:
            after = apply(incident, entry)
            if self._told and _is_climb(entry) and not isinstance(entry.data, Reminded):
                at, own = self._told
                unheld = isinstance(entry.data, LevelReached) and incident is not None and incident.held
                assert unheld or entry.at >= at + own
            self._remember(after, entry, policy_of(after))
            incident = after

    def _remember(self, after: Incident, entry: Entry, policy: Policy) -> None:
        match entry.data:
            case TierRose() | TierSet():
                self._told = None  # model 13: the earlier of the old time and the new tier's
            case Opened(level=level) | RoundBegan(level=level) | LevelReached(level=level):
                levels = policy.tiers[after.tier].levels
                duration = levels[min(level, len(levels)) - 1].duration if level and levels else timedelta(0)
                self._told = (entry.at, min(duration, policy.closest))
            case _:
                pass
