"""Whatever Alertmanagers say, in whatever order: the laws that no comparison breaks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from incidentd.alert import Alert
from incidentd.channels.view import Listed, View
from incidentd.lifecycle.comparison import Believed, Comparison, Patience, compare, is_for
from incidentd.store.alerts import Known
from incidentd.store.sightings import Sighting

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LOOK = timedelta(seconds=30)
PATIENCE = Patience(gone=2 * LOOK, untold=4 * LOOK, settled=5 * LOOK)
FINGERPRINTS = ("a" * 16, "b" * 16)
NAMES = ("am-0", "am-1")

listing = st.sampled_from(["absent", "active", "others", "silenced", "inhibited", "unprocessed", "later"])
look = st.fixed_dictionaries(
    {
        name: st.none()
        | st.fixed_dictionaries(
            {
                "lists": st.tuples(*(listing for _ in FINGERPRINTS)),
                "restarted": st.integers(0, 9).map(lambda chance: chance == 0),
                "whole": st.integers(0, 9).map(bool),
                "ahead": st.sampled_from([0, 0, 0, 0, 90]),
            }
        )
        for name in NAMES
    }
)


def listed(fingerprint: str, how: str) -> Listed:
    starts_at = NOW + timedelta(minutes=how == "later")
    alert = Alert(fingerprint, {"alertname": "x"}, {}, starts_at, None, firing=True)
    receivers = frozenset({"mail" if how == "others" else "incidentd"})
    state = {"silenced": "suppressed", "inhibited": "suppressed", "unprocessed": "unprocessed"}.get(how, "active")
    silenced, inhibited = (("s",) if how == each else () for each in ("silenced", "inhibited"))
    return Listed(fingerprint, starts_at, state, receivers, silenced, inhibited, alert)


def known(fingerprint: str, *, firing: bool) -> Known:
    return Known(fingerprint, NOW, NOW, "i", firing, None, 1, firing, "[]")


class World:
    """Looks one after the other, and what each Alertmanager was ever seen to list in the life it has."""

    def __init__(self, told: Mapping[str, bool]) -> None:
        self.told = told
        self.now = NOW
        self.started = dict.fromkeys(NAMES, NOW - timedelta(days=1))
        self.sightings: Mapping[tuple[str, str], Sighting] = {}
        self.had: set[str] = set()
        self.absent: dict[str, int] = dict.fromkeys(FINGERPRINTS, 0)
        self.untold: dict[str, datetime] = {}
        self.views: list[View] = []

    def look(self, said: Mapping[str, Mapping[str, object] | None]) -> Comparison:
        self.now += LOOK
        self.views = [self._view(name, each) for name, each in said.items() if each is not None]
        believed = [Believed(each, NOW, "i") for each, firing in self.told.items() if firing]
        heard = {each: known(each, firing=firing) for each, firing in self.told.items()}
        ours = {each.fingerprint for view in self.views for each in view.listed.values() if is_for(each, ["incidentd"])}
        found = compare(self.views, believed, heard, ours, self.sightings, self.now, PATIENCE)
        self.sightings = found.seen
        for each in FINGERPRINTS:
            there = any(each in view.listed for view in self.views)
            self.absent[each] = 0 if there else self.absent[each] + bool(self.views)
            if there:
                self.had.add(each)
        return found

    def _view(self, name: str, said: Mapping[str, object]) -> View:
        if said["restarted"]:
            self.started[name] = self.now
        how = zip(FINGERPRINTS, said["lists"], strict=True)  # type: ignore[call-overload]
        there = {each: listed(each, what) for each, what in how if what != "absent"}
        up_for, ahead = self.now - self.started[name], timedelta(seconds=int(str(said["ahead"])))
        return View(name, "0.28", self.started[name], up_for, ahead, there, bool(said["whole"]), {})


@given(st.lists(look, max_size=25), st.dictionaries(st.sampled_from(FINGERPRINTS), st.booleans()))
def test_nothing_is_over_or_taken_in_on_doubtful_words(looks: list[Mapping[str, None]], told: dict[str, bool]) -> None:
    world = World(told)
    for said in looks:
        found = world.look(said)
        for over in found.over:
            name = over.fingerprint
            assert world.views, "nobody answered"
            assert name in world.had, "nobody ever had it"
            assert not any(name in view.listed for view in world.views), "somebody has it"
            assert world.absent[name] >= 2, "it was looked for only once"
            assert all(view.is_whole and not view.ahead for view in world.views)
            for view in world.views:
                mark = found.seen.get((name, view.name))
                had_it = mark is not None and mark.started_at == view.started_at
                assert had_it or view.up_for >= PATIENCE.settled, "one is too young to know"
        active = {
            each.fingerprint
            for view in world.views
            for each in view.listed.values()
            if each.state == "active" and "incidentd" in each.receivers
        }
        for each, _ in found.untold:
            assert each.fingerprint in active
            assert not any((other := v.listed.get(each.fingerprint)) and other.is_quiet for v in world.views)
            assert not (world.told.get(each.fingerprint) and each.starts_at == NOW), "it was told"
        assert {name for name, _ in found.seen} <= set(FINGERPRINTS)


@given(st.lists(look, max_size=10))
def test_what_is_listed_and_told_changes_nothing_ever(looks: list[Mapping[str, None]]) -> None:
    world = World(dict.fromkeys(FINGERPRINTS, True))
    for _ in looks:
        said = {"lists": ("active", "active"), "restarted": False, "whole": True, "ahead": 0}
        found = world.look({NAMES[0]: said, NAMES[1]: None})
        assert (dict(found.over), found.untold, found.quiet) == ({}, [], dict.fromkeys(FINGERPRINTS, ""))


def test_an_alert_seen_and_then_gone_for_long_enough_is_over_once_each_agrees() -> None:
    world = World({FINGERPRINTS[0]: True})
    has, none = (
        {"lists": (each, "absent"), "restarted": False, "whole": True, "ahead": 0} for each in ("active", "absent")
    )
    for both in [(has, has), (has, none), (none, none), (none, none)]:
        assert not world.look(dict(zip(NAMES, both, strict=True))).over
    (over,) = world.look(dict.fromkeys(NAMES, none)).over
    assert over == Believed(FINGERPRINTS[0], NOW, "i")
