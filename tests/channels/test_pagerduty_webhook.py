"""What PagerDuty's webhooks tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentd.channels.pagerduty_webhook import MOST_SIGNATURES, is_signed, parse
from incidentd.reaction import TOLD_FOR, Did, Reaction
from tests.pagerduty import ANN, KEY, SECRET, SERVICE, body, event, note, signature

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OTHER = "another-secret-0123456789"


def read(told: Any) -> Reaction | None:
    return parse(body(told), NOW)


def test_a_person_who_acknowledges_is_known_with_the_page_and_the_instant() -> None:
    when = datetime(2026, 3, 2, 11, 59, 30, 456_000, tzinfo=UTC)
    name = "01BFRZ0BYEDGFUTCZMKLGUOFPH"
    assert read(event()) == Reaction(name, Did.ACKNOWLEDGED, when, "PGR0VU2", (KEY,), "PLH1HKV", "Ann Mason")


@pytest.mark.parametrize("agent", [None, SERVICE, {}, [], "user_reference", {**ANN, "id": None}])
def test_whoever_is_no_person_is_nobody(agent: object) -> None:
    told = read(event("incident.resolved", agent=agent))
    assert told
    assert (told.did, told.by_person, told.name) == (Did.RESOLVED, False, "")


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (note(), "it is the cache"),
        (note("a\x00b\ud800\nc"), "ab\nc"),
        (note("x" * 5000), "x" * 1999 + "…"),
        (event("incident.reassigned"), "reassigned it in PagerDuty to Ben Okoro"),
        (event("incident.escalated", data={"assignees": None}), "escalated it in PagerDuty"),
        (event("incident.delegated", data={"assignees": [7, {}, ANN]}), "delegated it in PagerDuty to Ann Mason"),
        (event("incident.reopened"), "reopened it in PagerDuty"),
        (
            event("incident.resolved", data={"resolve_reason": {"type": "merge_resolve_reason", "incident": {}}}),
            "merged it into another incident in PagerDuty",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_what_people_write_and_hand_on_is_noted(told: Any, text: str) -> None:
    found = read(told)
    assert found
    assert (found.did, found.text, found.page, found.who) == (Did.NOTED, text, "PGR0VU2", "PLH1HKV")


def test_a_note_by_nobody_or_of_nothing_is_left_out() -> None:
    assert read(note(agent=None)) is None
    assert read(note(" \x00 ")) is None
    assert read(event("incident.escalated", agent=None)) is None


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        7,
        event("pagey.ping"),
        event("incident.priority_updated"),
        event("service.updated"),
        event("incident.something_new"),
        event(7),  # type: ignore[arg-type]
        event(id="") | {},
        event(id="a b"),
        event(id="x" * 101),
        event(data={"id": None}),
        event(data={"type": "nothing", "incident": []}),
        event(occurred_at=None),
        event(occurred_at="yesterday"),
        event(occurred_at="0001-01-01T00:00:00-12:00"),
        event(occurred_at="2020-01-01T00:00:00Z"),
        event(occurred_at=(NOW - TOLD_FOR).isoformat()),
    ],
)
def test_what_does_not_concern_us_or_makes_no_sense_is_left_alone(told: Any) -> None:
    assert read(told) is None


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b'{"event":', b"\xff\xfe", b"[" * 100_000, b'{"event":' * 50_000, b"NaN", b'"\\ud800"']
)
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    assert parse(raw, NOW) is None


def test_what_lies_ahead_happened_when_it_was_told_at_the_latest() -> None:
    told = read(event(occurred_at=(NOW + timedelta(hours=1)).isoformat()))
    assert told
    assert told.at == NOW


@pytest.mark.parametrize("key", [None, "", 7, "x" * 256, "a\nb"])
def test_an_incident_may_have_no_key(key: object) -> None:
    told = read(event(data={"incident_key": key}))
    assert told
    assert told.keys == ()


def test_a_name_is_one_line_of_printable_text() -> None:
    told = read(event(agent={**ANN, "summary": " Ann\n\x00Mason\u2028 " + "x" * 200}))
    assert told
    assert told.name == ("Ann Mason " + "x" * 200)[:100]


def test_any_of_several_signatures_and_any_of_several_secrets_will_do() -> None:
    raw = body(event())
    own, other = signature(raw), signature(raw, OTHER)
    assert is_signed(raw, own, [SECRET])
    assert is_signed(raw, f"{other},{own}", [SECRET])
    assert is_signed(raw, f"{other}, {own}", [SECRET])
    assert is_signed(raw, other, [SECRET, OTHER])
    assert not is_signed(raw, other, [SECRET])
    assert not is_signed(raw + b" ", own, [SECRET])
    assert not is_signed(raw, own, [])
    assert not is_signed(raw, ",".join([other] * MOST_SIGNATURES + [own]), [SECRET]), "a header of any length"


@pytest.mark.parametrize("header", ["", "v1=", ",", "v1=ü", "v0=00", "\x00", "v1=" + "0" * 64, "," * 100_000])
def test_junk_for_a_signature_is_none(header: str) -> None:
    assert not is_signed(body(event()), header, [SECRET])
