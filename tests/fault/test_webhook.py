"""Every bad input to the webhook, against all of incidentd, on each database: answered well, told of, and in no way.

How each piece of it is understood is shown closer by: ``tests/test_intake.py``, ``tests/web/test_webhook.py``.
"""

import gzip
import json
from typing import Any

import requests

from incidentd.incident.slot import PAGE
from incidentd.store.tables import ALERTS
from incidentd.tier import Tier
from tests.machine import Stopwatch
from tests.story.story import Story

CANARY = "c4n4ry"
"""Stands in whatever is sent; no answer may say it."""
LONGEST_ANSWER = 500
LARGE = 10_000
TAKEN_SECONDS = 2.0

JSON = {"Content-Type": "application/json"}


def _alert(place: str, **changes: Any) -> dict[str, Any]:
    labels = {"alertname": f"Disk {CANARY}", "system": "other", "slo": place, "severity": "critical"}
    labels |= changes.pop("labels", {})
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": CANARY},
        "startsAt": "2026-01-05T12:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    } | changes


def _body(*alerts: Any, **changes: Any) -> bytes:
    return json.dumps({"version": "4", "alerts": list(alerts)} | changes).encode()


REFUSED: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "empty": (b"", {}, 400, "not_json"),
    "not JSON": (f"{CANARY}: 1".encode(), {}, 400, "not_json"),
    "cut off": (_body(_alert("cut"))[:-20], {}, 400, "not_json"),
    "null": (b"null", {}, 400, "not_an_object"),
    "a list": (b"[]", {}, 400, "not_an_object"),
    "a string": (b'"c4n4ry"', {}, 400, "not_an_object"),
    "NaN": (b'{"alerts": [NaN]}', {}, 400, "not_json"),
    "1e999": (b'{"alerts": [1e999]}', {}, 400, "not_json"),
    "100,000 deep": (b'{"alerts":' + b"[" * 100_000, {}, 400, "too_deep"),
    "no alerts key": (b'{"version": "4"}', {}, 400, "no_alerts"),
    "alerts null": (b'{"alerts": null}', {}, 400, "no_alerts"),
    "over 16 MB": (b'{"alerts": [], "x": "' + b"x" * (17 << 20) + b'"}', {}, 413, "too_large"),
    "gzip": (gzip.compress(_body(_alert("zip"))), {"Content-Encoding": "gzip"}, 415, "content_encoding"),
    "deflate": (b"x", {"Content-Encoding": "deflate"}, 415, "content_encoding"),
    "br": (b"x", {"Content-Encoding": "br"}, 415, "content_encoding"),
    "a bomb": (gzip.compress(b"0" * (20 << 20)), {"Content-Encoding": "gzip"}, 415, "content_encoding"),
    "wrong type": (_body(_alert("type")), {"Content-Type": "text/plain"}, 415, "content_type"),
}

TAKEN: dict[str, tuple[bytes, str | None]] = {
    "no alert": (_body(), None),
    "a label that is no string": (_body(_alert("sound-1"), _alert("x", labels={"slo": 7})), "labels"),
    "labels that are a list": (_body(_alert("sound-2"), _alert("x") | {"labels": [CANARY]}), "labels"),
    "an impossible date": (_body(_alert("sound-3"), _alert("x", startsAt="2026-02-31T00:00:00Z")), "starts_at"),
    "an unknown status": (_body(_alert("sound-4", status=CANARY)), None),
    "NUL": (_body(_alert("sound-5", labels={"pod": f"a\0{CANARY}"})), None),
    "a lone surrogate": (_body(_alert("sound-6", labels={"pod": f"a\ud800{CANARY}"})), None),
    "control characters": (_body(_alert("sound-7", labels={"pod": "a\x1b[31m\r\n\u202e"})), None),
    "a huge fingerprint": (_body(_alert("sound-8", fingerprint="f" * 10_000)), None),
    "a fingerprint that is no hex": (_body(_alert("sound-9", fingerprint=CANARY)), None),
    "the year 1": (_body(_alert("sound-10", startsAt="0001-01-01T00:00:00Z")), None),
    "the year 10000": (_body(_alert("sound-11", startsAt="10000-01-01T00:00:00Z")), None),
    "another version": (_body(_alert("sound-12"), version="99", unknown={"x": [1]}), None),
    "alerts cut off upstream": (_body(_alert("sound-13"), truncatedAlerts=3), "truncated"),
    "1 MB": (_body(_alert("sound-14", annotations={"summary": CANARY * 170_000})), None),
    "10,000 alerts": (_body(*(_alert("sound-15", labels={"pod": str(n)}) for n in range(LARGE))), None),
}
SOUND = {f"sound-{number}" for number in range(1, 16)}


def test_each_bad_input_is_answered_as_it_should_and_what_is_wrong_becomes_an_incident_that_pages(
    story: Story,
) -> None:
    answers = {name: _post(story, raw, headers) for name, (raw, headers, _, _) in REFUSED.items()}
    assert {name: (answer.status_code, answer.json()["reason"]) for name, answer in answers.items()} == {
        name: (status, reason) for name, (_, _, status, reason) in REFUSED.items()
    }
    taken = {name: _post(story, raw) for name, (raw, _) in TAKEN.items()}
    assert {name: answer.status_code for name, answer in taken.items()} == dict.fromkeys(TAKEN, 200)
    for answer in [*answers.values(), *taken.values()]:
        assert CANARY not in answer.text + str(answer.headers)
        assert len(answer.content) < LONGEST_ANSWER
        assert answer.headers["x-request-id"]

    story.forward(seconds=30)
    found = [story.bench.incident(each) for each in story.bench.incident_ids()]
    ours = {incident.key.split("/")[1].split(",")[0] for incident in found if incident.system == "incidentd"}
    reasons = {reason for _, _, _, reason in REFUSED.values()} | {reason for _, reason in TAKEN.values() if reason}
    assert ours == reasons
    assert {incident.tier for incident in found} == {Tier.P1}
    assert {incident.slo for incident in found if incident.system == "other"} == SOUND
    paged = {row.incident_id for row in story.bench.cursors(queue=PAGE) if row.accepted_at}
    assert {incident.id for incident in found} <= paged
    for _ in story.bench.sandbox.pagerduty.alerts:
        story.expect_page(level=1)


def test_10_000_alerts_are_taken_within_2_s_and_make_one_incident(story: Story) -> None:
    raw, _ = TAKEN["10,000 alerts"]
    watch = Stopwatch()
    answer = _post(story, raw)
    took = watch.complaint(TAKEN_SECONDS)
    assert (answer.status_code, answer.json()["alerts"], took) == (200, LARGE, "")
    assert story.bench.store.read(lambda tx: len(tx.execute(ALERTS.select()).all())) == LARGE
    story.bench.settle()
    story.expect_page(level=1)
    story.expect_card(f"{LARGE} alerts")


def test_who_has_no_token_or_uses_another_method_is_refused_and_raises_nothing(story: Story) -> None:
    sound = _body(_alert("sound"))
    token = story.bench.environ["INCIDENTD_WEBHOOK_TOKEN"]
    refused = {
        "missing": _post(story, sound, {"Authorization": ""}),
        "wrong": _post(story, sound, {"Authorization": f"Bearer {CANARY}"}),
        "not ASCII": _post(story, sound, {"Authorization": "Bearer t\u00f6ken"}),
        "in the URL": _post(story, sound, {"Authorization": ""}, query=f"?token={token}"),
        "a body that nobody looks at": _post(story, b"[" * 100_000, {"Authorization": ""}),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 401)
    for method in ("GET", "PUT", "DELETE"):
        assert _post(story, sound, method=method).status_code == 405
    assert story.bench.incident_ids() == []
    assert story.bench.store.read(lambda tx: tx.execute(ALERTS.select()).all()) == []


def _post(
    story: Story, raw: bytes, headers: dict[str, str] | None = None, *, method: str = "POST", query: str = ""
) -> requests.Response:
    bearer = {"Authorization": f"Bearer {story.bench.environ['INCIDENTD_WEBHOOK_TOKEN']}"}
    sent = {name: value.encode() for name, value in ({**JSON, **bearer} | (headers or {})).items() if value}
    return requests.request(method, f"{story.url}/api/v1/alertmanager{query}", data=raw, headers=sent, timeout=30)
