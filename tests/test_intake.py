"""Every row of "Bad input to the webhook" that concerns the body, and what Alertmanager really sends."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.alert import Alert
from incidentd.errors import IntakeError
from incidentd.intake import CUT, LONGEST_VALUE, MOST_OPENED, START_AS_SENT, SetAside, fingerprint, parse

NOW = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
PAYLOADS = Path(__file__).parent / "payloads"
LABELS = {"alertname": "A", "severity": "critical"}
SOUND = {"status": "firing", "labels": LABELS, "startsAt": "2026-11-21T00:30:00Z", "endsAt": "0001-01-01T00:00:00Z"}
CAPTURED = sorted(PAYLOADS.glob("*_*.json"))
BODIES = [path for path in CAPTURED if not path.name.endswith(".headers.json")]


def body(*alerts: Any, **more: Any) -> bytes:
    return json.dumps({"version": "4", "alerts": list(alerts), **more}).encode()


def only(raw: bytes) -> Alert:
    alerts, aside = parse(raw, NOW)
    assert aside == ()
    assert len(alerts) == 1
    return alerts[0]


def reasons(raw: bytes) -> list[str]:
    return [each.reason for each in parse(raw, NOW)[1]]


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_what_alertmanager_sends_is_understood_whole(path: Path) -> None:
    sent = json.loads(path.read_text("utf-8"))
    alerts, aside = parse(path.read_bytes(), NOW)
    assert len(alerts) == len(sent["alerts"])
    assert [a.firing for a in alerts] == [a["status"] == "firing" for a in sent["alerts"]]
    assert [dict(a.labels) for a in alerts] == [a["labels"] for a in sent["alerts"]]
    assert ["truncated"] * (sent["truncatedAlerts"] > 0) == [each.reason for each in aside]


@pytest.mark.parametrize("path", [p for p in BODIES if "NOT_CAPTURED" not in p.name], ids=lambda path: path.stem)
def test_fingerprints_are_those_that_alertmanager_computes(path: Path) -> None:
    for alert in json.loads(path.read_text("utf-8"))["alerts"]:
        assert fingerprint(alert["labels"]) == alert["fingerprint"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"alerts": [{"labels"', "not_json"),
        (b"hello", "not_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"alerts"', "not_an_object"),
        (b"NaN", "not_json"),
        (b'{"alerts": [], "x": NaN}', "not_json"),
        (b'{"alerts": [], "x": -Infinity}', "not_json"),
        (b"1e999", "not_json"),
        (b'{"alerts": [], "x": -1e999}', "not_json"),
        (b'{"alerts": [], "x": ' + b"9" * 5000 + b"}", "not_json"),
        (b"[" * 100_000, "too_deep"),
        (b'{"alerts":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
        (b"\xff\xfe", "not_utf8"),
        (b'{"alerts": [], "x": "\xed\xa0\x80"}', "not_utf8"),
        (b"{}", "no_alerts"),
        (b'{"alerts": null}', "no_alerts"),
        (b'{"alerts": {}}', "alerts_not_a_list"),
        (b'{"alerts": "firing"}', "alerts_not_a_list"),
        (b'{"alerts": 0}', "alerts_not_a_list"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_webhook_is_refused_with_400_and_a_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(IntakeError) as caught:
        parse(raw, NOW)
    assert (caught.value.status, caught.value.reason) == (400, reason)


@pytest.mark.parametrize("empty", [b"{}", b"[]"])
def test_a_flood_of_empty_objects_is_refused_before_it_takes_room(empty: bytes) -> None:
    most = b'{"alerts":[' + b",".join([empty] * (MOST_OPENED - 2)) + b"]}"
    assert parse(most, NOW)[0] == ()
    with pytest.raises(IntakeError) as caught:
        parse(most.replace(b"[", b"[" + empty + b",", 1), NOW)
    assert (caught.value.status, caught.value.reason) == (413, "too_many")


def test_an_empty_list_of_alerts_is_fine() -> None:
    assert parse(body(), NOW) == ((), ())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("firing", "alert_not_an_object"),
        (None, "alert_not_an_object"),
        ([], "alert_not_an_object"),
        ({**SOUND, "labels": ["alertname", "A"]}, "labels"),
        ({**SOUND, "labels": {"alertname": 1}}, "labels"),
        ({**SOUND, "labels": {"alertname": None}}, "labels"),
        ({**SOUND, "labels": {}}, "labels"),
        ({**SOUND, "labels": {f"l{i}": "" for i in range(257)}}, "labels"),
        ({"status": "firing"}, "labels"),
        ({**SOUND, "startsAt": "2026-02-30T00:00:00Z"}, "starts_at"),
        ({**SOUND, "startsAt": "2026-11-21T24:61:00Z"}, "starts_at"),
        ({**SOUND, "startsAt": "yesterday"}, "starts_at"),
        ({**SOUND, "startsAt": "2026-11-21T00:00:00"}, "starts_at"),
        ({**SOUND, "startsAt": 1763683200}, "starts_at"),
        ({**SOUND, "startsAt": ["2026-11-21T00:00:00Z"]}, "starts_at"),
        ({**SOUND, "endsAt": "2026-13-01T00:00:00Z"}, "ends_at"),
        ({**SOUND, "endsAt": {}}, "ends_at"),
        ({**SOUND, "labels": {"größe": 3}}, "labels"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_one_malformed_alert_is_set_aside_and_the_others_go_their_way(bad: Any, reason: str) -> None:
    alerts, aside = parse(body(SOUND, bad, {**SOUND, "labels": {"alertname": "B"}}), NOW)
    assert [alert.labels["alertname"] for alert in alerts] == ["A", "B"]
    assert [each.reason for each in aside] == [reason]


def test_many_faults_of_one_kind_are_set_aside_once() -> None:
    alerts, aside = parse(body(*[{}] * 1000, 1, SOUND), NOW)
    assert len(alerts) == 1
    assert [each.reason for each in aside] == ["labels", "alert_not_an_object"]


@pytest.mark.parametrize(
    "annotations", [["a"], {"summary": 3}, {"größe": None}, "text", {f"a{i}": "" for i in range(257)}], ids=str
)
def test_broken_annotations_are_reported_and_the_alert_still_goes_its_way(annotations: Any) -> None:
    alerts, aside = parse(body({**SOUND, "annotations": annotations}), NOW)
    assert [dict(alert.annotations) for alert in alerts] == [{}]
    assert [each.reason for each in aside] == ["annotations"]


@pytest.mark.parametrize("status", ["pending", "RESOLVED", "", None, 7, [], {}], ids=str)
def test_an_unknown_status_counts_as_firing(status: Any) -> None:
    assert only(body({**SOUND, "status": status})).firing


def test_a_missing_status_counts_as_firing() -> None:
    assert only(body({name: value for name, value in SOUND.items() if name != "status"})).firing


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\x00b", "a�b"),
        ("a\ud800b", "a�b"),
        ("a\x1b[31mb", "a�[31mb"),
        ("a\x7f\x85b", "a��b"),
        ("a\r\n\tb", "a b"),
        ("a\u2028b", "a b"),
        ("zahlung-ü 💥", "zahlung-ü 💥"),
        ("\u202eRTL", "\u202eRTL"),
    ],
    ids=ascii,
)
def test_labels_are_cleaned_once_at_the_border(dirty: str, clean: str) -> None:
    alert = only(body({**SOUND, "labels": {**LABELS, "x" + dirty: dirty}}))
    assert alert.labels["x" + clean] == clean


def test_annotations_keep_their_lines_and_lose_what_a_database_refuses() -> None:
    alert = only(body({**SOUND, "annotations": {"d": "one\r\ntwo\tthree\x00\udfff\x1b"}}))
    assert alert.annotations["d"] == "one\ntwo\tthree���"


@pytest.mark.parametrize("letter", ["x", "ü", "💥", "\x00", "\ud800"], ids=ascii)
def test_a_value_of_1_mb_is_cut_to_4_kb_and_marked(letter: str) -> None:
    long = letter * 1_000_000
    alert = only(body({**SOUND, "labels": {**LABELS, "l": long}, "annotations": {"a": long}, "generatorURL": long}))
    for value in (alert.labels["l"], alert.annotations["a"], alert.generator_url):
        assert LONGEST_VALUE - 8 <= len(value.encode()) <= LONGEST_VALUE
        assert value.endswith(CUT)


def test_a_value_of_exactly_4_kb_is_left_whole() -> None:
    assert only(body({**SOUND, "annotations": {"a": "x" * LONGEST_VALUE}})).annotations["a"] == "x" * LONGEST_VALUE


@pytest.mark.parametrize(
    "sent", [None, "", "xyz", "g" * 16, "a" * 15, "a" * 10_000, 7, [], {"a": 1}], ids=lambda v: str(v)[:12]
)
def test_a_fingerprint_that_is_none_is_computed_from_the_labels(sent: Any) -> None:
    assert only(body({**SOUND, "fingerprint": sent})).fingerprint == fingerprint(LABELS)


def test_a_sent_fingerprint_is_kept() -> None:
    assert only(body({**SOUND, "fingerprint": "CE9CA9C89AE76278"})).fingerprint == "ce9ca9c89ae76278"


@pytest.mark.parametrize(
    "sent",
    [
        "0001-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2026-11-22T01:00:01Z",
        "2025-10-17T00:59:59Z",
    ],
)
def test_an_unbelievable_start_is_replaced_by_the_receipt_and_shown(sent: str) -> None:
    alert = only(body({**SOUND, "startsAt": sent}))
    assert alert.starts_at == NOW
    assert alert.annotations[START_AS_SENT] == sent


def test_a_missing_start_is_the_receipt() -> None:
    alert = only(body({"status": "firing", "labels": LABELS}))
    assert (alert.starts_at, alert.annotations[START_AS_SENT]) == (NOW, "(none)")


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2026-11-21T00:01:31.463113325Z", datetime(2026, 11, 21, 0, 1, 31, 463113, UTC)),
        ("2026-11-21T00:01:21.11Z", datetime(2026, 11, 21, 0, 1, 21, 110000, UTC)),
        ("2026-11-21T05:31:00+05:30", datetime(2026, 11, 21, 0, 1, tzinfo=UTC)),
        ("2026-11-21t00:01:00z", datetime(2026, 11, 21, 0, 1, tzinfo=UTC)),
    ],
)
def test_instants_of_every_precision_and_zone_become_utc(sent: str, instant: datetime) -> None:
    alert = only(body({**SOUND, "startsAt": sent}))
    assert alert.starts_at == instant
    assert START_AS_SENT not in alert.annotations


@pytest.mark.parametrize("sent", [None, "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z"])
def test_while_firing_an_end_of_year_1_is_none(sent: str | None) -> None:
    assert only(body({**SOUND, "endsAt": sent})).ends_at is None


def test_a_resolved_alert_always_has_an_end() -> None:
    resolved = {**SOUND, "status": "resolved"}
    assert only(body({**resolved, "endsAt": "2026-11-21T00:45:00Z"})).ends_at == NOW - timedelta(minutes=15)
    assert only(body({**resolved, "endsAt": "0001-01-01T00:00:00Z"})).ends_at == NOW
    assert only(body({**resolved, "endsAt": "2999-01-01T00:00:00Z"})).ends_at == NOW


@pytest.mark.parametrize(
    ("sent", "expected"), [(1, ["truncated"]), (7.0, ["truncated"]), (0, []), (-1, []), (True, [])]
)
def test_alerts_cut_off_upstream_are_reported(sent: Any, expected: list[str]) -> None:
    assert reasons(body(SOUND, truncatedAlerts=sent)) == expected


@pytest.mark.parametrize(
    "more", [{"version": "5"}, {"version": None}, {"new": {"deep": [1]}}, {"truncatedAlerts": "x"}]
)
def test_unknown_fields_and_other_versions_are_fine(more: dict[str, Any]) -> None:
    only(json.dumps({"alerts": [{**SOUND, "future": [1, 2]}], **more}).encode())


def test_nothing_that_is_said_of_a_fault_echoes_the_input() -> None:
    for text in ("<evil>", "secret-value"):
        _, aside = parse(body({**SOUND, "labels": {text: 1}}, {**SOUND, "startsAt": text}, text), NOW)
        assert len(aside) == 3
        assert not any(text in each.detail + each.reason for each in aside)


def test_10_000_alerts_are_parsed_well_under_a_second() -> None:
    alerts = [{**SOUND, "labels": {**LABELS, "instance": f"host-{i}", "region": "eu"}} for i in range(10_000)]
    raw = body(*alerts)
    started = time.process_time()
    assert len(parse(raw, NOW)[0]) == 10_000
    assert time.process_time() - started < 1


def sound(result: tuple[tuple[Alert, ...], tuple[SetAside, ...]]) -> None:
    for alert in result[0]:
        assert len(alert.fingerprint) == 16
        for text in (*alert.labels, *alert.labels.values(), *alert.annotations.values(), alert.generator_url):
            assert "\x00" not in text
            assert len(text.encode()) <= LONGEST_VALUE
        assert alert.starts_at.utcoffset() == timedelta(0)


@given(st.binary())
def test_any_bytes_are_a_result_or_an_intake_error(raw: bytes) -> None:
    try:
        sound(parse(raw, NOW))
    except IntakeError as error:
        assert error.status == 400


TEXT = st.text(st.characters(), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
INSTANTS = st.datetimes().map(lambda at: at.isoformat() + "Z") | TEXT | JSON
ALERTS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["firing", "resolved"]) | JSON,
        "labels": st.dictionaries(TEXT, TEXT, max_size=4) | JSON,
        "annotations": st.dictionaries(TEXT, TEXT, max_size=4) | JSON,
        "startsAt": INSTANTS,
        "endsAt": INSTANTS,
        "fingerprint": TEXT | JSON,
        "generatorURL": TEXT | JSON,
    },
)


@given(st.fixed_dictionaries({"alerts": st.lists(ALERTS | JSON, max_size=4) | JSON, "truncatedAlerts": JSON}) | JSON)
def test_any_json_is_a_result_or_an_intake_error(value: Any) -> None:
    try:
        sound(parse(json.dumps(value).encode(), NOW))
    except IntakeError as error:
        assert error.status == 400
