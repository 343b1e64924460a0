"""An incident is its entries: their fold, and their way through JSON."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from incidentd.incident.apply import apply, fold
from incidentd.incident.command import Note
from incidentd.incident.state import Acknowledgement, Ceiling, Incident
from incidentd.tier import Tier
from incidentd.timeline import KINDS, Data, Entry, Member, Noted, Opened, Told, Unknown
from tests.incident.build import GLOBAL, Story, member
from tests.incident.profile import effort

INSTANTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def anything(of: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a dataclass of the heart, all of its fields drawn, instants aware."""
    hints = get_type_hints(of)
    return st.builds(of, **{each.name: _value(hints[each.name]) for each in fields(of)})


def _value(hint: Any) -> st.SearchStrategy[Any]:
    known: dict[Any, st.SearchStrategy[Any]] = {
        datetime: INSTANTS,
        datetime | None: st.none() | INSTANTS,
        tuple[Member, ...]: st.lists(st.deferred(lambda: anything(Member)), max_size=3).map(tuple),
        frozenset[tuple[str, datetime]]: st.frozensets(st.tuples(st.text(), INSTANTS), max_size=3),
    }
    if hint in known:
        return known[hint]
    if hint == Acknowledgement | None:
        return st.none() | anything(Acknowledgement)
    if hint == Ceiling | None:
        return st.none() | anything(Ceiling)
    if hint == Mapping[str, str]:
        return st.dictionaries(st.text(), st.text(), max_size=2)
    if "Mapping" in str(hint):
        return st.dictionaries(st.text(), anything(Member), max_size=2)
    return st.from_type(hint)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_any_entry_of_each_kind_survives_json(kind: str) -> None:
    @given(anything(KINDS[kind]))
    @effort(30)
    def survives(data: Data) -> None:
        adapter: TypeAdapter[Data] = TypeAdapter(KINDS[kind])
        assert adapter.validate_json(adapter.dump_json(data)) == data
        assert adapter.validate_json(adapter.dump_json(data, exclude_defaults=True)) == data

    survives()


@given(anything(Incident))
@effort(60)
def test_any_incident_survives_json(incident: Incident) -> None:
    adapter = TypeAdapter(Incident)
    assert adapter.validate_json(adapter.dump_json(incident)) == incident
    assert adapter.validate_json(adapter.dump_json(incident, exclude_defaults=True)) == incident


def test_an_incident_read_back_goes_on_as_the_one_that_was_written() -> None:
    story = Story()
    story.hear(member("a", region="eu", scope=GLOBAL), member("b", firing=False))
    story.acknowledge()
    story.set_tier(Tier.P0)
    adapter = TypeAdapter(Incident)
    read = adapter.validate_json(adapter.dump_json(story.incident))
    entry = Entry(read.last + 1, story.now, "ann", Noted("looking"))
    assert apply(read, entry) == apply(story.incident, entry)


STORIES = st.lists(st.sampled_from(["hear", "acknowledge", "wait", "note"]), max_size=8)


@given(steps=STORIES, newer=st.sets(st.integers(0, 20), max_size=5))
@effort(60)
def test_what_a_newer_version_wrote_in_between_changes_nothing_else(steps: list[str], newer: set[int]) -> None:
    story = Story()
    story.hear(member("a", region="eu"))
    for step in steps:
        _take(story, step)
    timeline: list[Entry] = []
    own = list(story.entries)
    for place, entry in enumerate(own):
        timeline.append(replace(entry, number=len(timeline) + 1))
        if place in newer:
            timeline.append(Entry(len(timeline) + 1, entry.at, "ann", Unknown("handed_over", '{"to": "bob"}')))
    plain, mixed = fold(own), fold(timeline)
    assert mixed.last == len(timeline)
    assert replace(mixed, last=plain.last, news=plain.news) == plain
    assert mixed.news >= plain.news


def _take(story: Story, step: str) -> None:
    match step:
        case "hear":
            story.hear(member("b", region="us"))
        case "acknowledge":
            story.acknowledge()
        case "note":
            story.do(Note("ann", "looking"))
        case "wait":
            story.forward(minutes=6)


def test_kinds_are_named_once_and_each_says_how_it_is_told() -> None:
    assert all(type_.kind == kind and isinstance(type_.told, Told) for kind, type_ in KINDS.items())


class TestNumbers:
    def test_a_story_begins_with_entry_1_its_opening(self) -> None:
        story = Story()
        story.fire()
        with pytest.raises(ValueError, match="begins with entry 1"):
            apply(None, replace(story.entries[0], number=2))
        with pytest.raises(ValueError, match="begins with entry 1"):
            apply(None, Entry(1, story.now, "ann", Noted("too soon")))

    def test_entries_follow_one_another_without_a_gap(self) -> None:
        story = Story()
        story.fire()
        for number in (1, 3):
            with pytest.raises(ValueError, match="does not follow"):
                apply(story.incident, Entry(number, story.now, "ann", Noted("lost")))

    def test_a_story_has_at_least_its_opening(self) -> None:
        with pytest.raises(ValueError, match="at least"):
            fold([])

    def test_the_fold_of_its_entries_is_the_incident(self) -> None:
        story = Story()
        story.fire(tier=Tier.P0)
        story.forward(hours=3)
        story.acknowledge()
        assert fold(story.entries) == story.incident
        assert isinstance(story.entries[0].data, Opened)
