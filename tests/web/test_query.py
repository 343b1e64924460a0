"""Reads on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from incidentd.incident.state import State
from incidentd.store import query
from incidentd.store.deliveries import Delivery, Outcome, insert
from incidentd.store.engine import Store
from incidentd.store.query import Filter, Listed, Position
from incidentd.tier import Tier
from tests.incident.build import Story
from tests.web.fake import NOW, keep, keep_alert, opened_store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/q.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = opened_store(url)
    yield opened
    opened.close()


def fired(tier: Tier = Tier.P1, *, region: str | None = None) -> Story:
    story = Story()
    story.fire(tier=tier, region=region)
    return story


def resolved() -> Story:
    story = fired()
    story.resolve()
    return story


def numbers(found: list[Listed]) -> list[int]:
    return [each.number for each in found]


def seeded(store: Store) -> None:
    """Numbers 1 to 7 in this order: P2, P0, resolved, P1, P0 acknowledged, resolved, P2."""
    acknowledged = fired(Tier.P0)
    acknowledged.acknowledge()
    for story in (fired(Tier.P2), fired(Tier.P0), resolved(), fired(), acknowledged, resolved(), fired(Tier.P2)):
        keep(store, story)


def test_open_ones_come_by_tier_then_age_and_resolved_ones_after_them_newest_first(store: Store) -> None:
    seeded(store)
    assert numbers(store.read(lambda tx: query.by_urgency(tx, Filter(), 50))) == [2, 5, 4, 1, 7, 6, 3]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_pages_of_every_size_add_up_to_the_whole(store: Store, size: int) -> None:
    seeded(store)
    seen: list[int] = []
    after: Position | None = None
    while page := store.read(partial(query.by_urgency, wanted=Filter(), limit=size, after=after)):
        assert len(page) <= size
        seen += numbers(page)
        after = page[-1].position
    assert seen == [2, 5, 4, 1, 7, 6, 3]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(states=frozenset({State.RESOLVED})), [6, 3]),
        (Filter(states=frozenset({State.ACKNOWLEDGED})), [5]),
        (Filter(states=frozenset({State.TRIGGERED, State.RESOLVED})), [2, 4, 1, 7, 6, 3]),
        (Filter(tiers=frozenset({Tier.P0, Tier.P2})), [2, 5, 1, 7]),
        (Filter(system="avalo"), [2, 5, 4, 1, 7, 6, 3]),
        (Filter(system="Avalo"), []),
        (Filter(text="#4"), [4]),
        (Filter(text="999999999999999999"), []),
        (Filter(since=NOW), [2, 5, 4, 1, 7, 6, 3]),
        (Filter(since=NOW + timedelta(microseconds=1)), []),
        (Filter(until=NOW), []),
        (Filter(until=NOW + timedelta(microseconds=1)), [2, 5, 4, 1, 7, 6, 3]),
    ],
    ids=[
        "resolved", "acknowledged", "two states", "two tiers", "system", "system in other case", "number",
        "number too large", "since", "since later", "until", "until later",
    ],
)  # fmt: skip
def test_filters(store: Store, wanted: Filter, expected: list[int]) -> None:
    seeded(store)
    assert numbers(store.read(lambda tx: query.by_urgency(tx, wanted, 50))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100% of", [1]),
        ("100%", [1]),
        ("%", [1]),
        ("_", [2]),
        ("a_b", [2]),
        ("axb", [3]),
        ("AXB", [3]),
        ("back\\slash", [4]),
        ("'; DROP TABLE incidents; --", []),
    ],
)
def test_what_is_searched_for_is_taken_literally_in_any_case(store: Store, text: str, expected: list[int]) -> None:
    for title in ("100% of all", "a_b", "axb", "back\\slash"):
        keep(store, fired(), title=title, key=title, system="s", slo="o")
    assert numbers(store.read(lambda tx: query.by_urgency(tx, Filter(text=text), 50))) == expected


def test_one_is_found_by_id_and_by_number(store: Store) -> None:
    incident_id = keep(store, fired())
    for reference in (incident_id, incident_id.upper(), "1", "#1"):
        found = store.read(partial(query.find, reference=reference))
        assert found is not None
        assert (found.incident.id, found.number) == (incident_id, 1)


@pytest.mark.parametrize("reference", ["", "2", "x", "1 OR 1=1", "\x00", "9" * 30, "0" * 36, "-1", "1.0", "{1}"])
def test_no_junk_finds_one(store: Store, reference: str) -> None:
    keep(store, fired())
    assert store.read(lambda tx: query.find(tx, reference)) is None


def test_open_ones_are_counted_by_tier(store: Store) -> None:
    seeded(store)
    assert store.read(query.open_by_tier) == {Tier.P0: 2, Tier.P1: 1, Tier.P2: 2}


def test_alerts_come_firing_and_urgent_first_and_not_too_many(store: Store) -> None:
    one, other = keep(store, fired()), keep(store, fired())
    keep_alert(store, one, {"alertname": "over"}, firing=False, tier=Tier.P0)
    keep_alert(store, one, {"alertname": "mild"}, tier=Tier.P2)
    keep_alert(store, one, {"alertname": "bad"}, tier=Tier.P0, annotations={"value": "99.4"})
    keep_alert(store, other, {"alertname": "else"})
    found = store.read(lambda tx: query.alerts(tx, [one, other], 2))
    assert [alert.labels["alertname"] for alert in found[one]] == ["bad", "mild"]
    assert [alert.labels["alertname"] for alert in found[other]] == ["else"]
    assert found[one][0].annotations == {"value": "99.4"}
    assert store.read(lambda tx: query.alerts(tx, [], 2)) == {}


def test_the_last_deliveries_come_oldest_first(store: Store) -> None:
    tried = [
        Delivery("i", "pd", "e1.r1.l1", 1, n, NOW, NOW + timedelta(milliseconds=9), Outcome.FAILED, "503")
        for n in range(1, 6)
    ]
    store.write(lambda tx: insert(tx, tried))
    assert [each.attempt for each in store.read(lambda tx: query.deliveries(tx, "i", 3))] == [3, 4, 5]
