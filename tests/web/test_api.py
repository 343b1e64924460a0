"""The API as design.md gives it."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from incidentd.errors import Fault, RulesError, StoreUnavailableError
from incidentd.incident.command import Acknowledge, ChangeTier, Escalate, Note, Resolve, TakeOver
from incidentd.lifecycle.shadow import Loaded
from incidentd.tier import Tier
from incidentd.web import api as module
from tests.incident.build import Story
from tests.web.client import Client
from tests.web.fake import NOW, WEBHOOK_TOKEN, FakeRuntime, keep, keep_alert

LIST = "/api/v1/incidents"


def fired(tier: Tier = Tier.P1) -> Story:
    story = Story()
    story.fire(tier=tier, region="eu")
    return story


@pytest.fixture
def incident(runtime: FakeRuntime) -> str:
    found = keep(runtime.store, fired())
    keep_alert(runtime.store, found, {"alertname": "A"}, annotations={"value": "99.4"}, generator_url="http://p/g")
    return found


def is_problem(answer: httpx.Response, status: int, reason: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "reason", "request_id"} <= body.keys()
    return (answer.status_code, body["status"], body["reason"]) == (status, status, reason)


def test_an_incident_has_the_documented_members_and_no_others(api: Client, incident: str) -> None:
    body = api.get(f"{LIST}/{incident}").json()
    assert list(body) == [
        "id", "number", "key", "title", "system", "slo", "drill", "observed", "tier", "state", "level", "scope",
        "opened_at", "respond_by", "acknowledged_at", "acknowledged_by", "responded_in_time", "resolved_at", "wake_at",
        "silenced", "rule", "alerts",
    ]  # fmt: skip
    assert (body["id"], body["number"], body["tier"], body["state"], body["level"]) == (
        incident,
        1,
        "P1",
        "triggered",
        1,
    )
    assert body["scope"] == ["eu"]
    assert body["opened_at"] == "2026-03-02T12:00:00Z"
    assert body["respond_by"] == "2026-03-02T12:15:00Z"
    assert (body["acknowledged_at"], body["acknowledged_by"], body["responded_in_time"]) == (None, None, None)
    assert body["rule"] == {"row": "row", "version": "v1", "reason": "a breached"}
    assert body["alerts"][0] | {"fingerprint": ""} == {
        "fingerprint": "",
        "status": "firing",
        "tier": "P1",
        "row": "avalo/core-api-below-99.5",
        "starts_at": "2026-03-02T12:00:00Z",
        "ends_at": None,
        "labels": {"alertname": "A"},
        "annotations": {"value": "99.4"},
        "generator_url": "http://p/g",
    }


def test_an_incident_is_found_by_its_number_too(api: Client, incident: str) -> None:
    assert api.get(f"{LIST}/1").json()["id"] == incident


@pytest.mark.parametrize("reference", ["2", "nonsense", "%00", "0193..", "%ff", "1'", "a" * 5000])
def test_an_unknown_incident_is_404(api: Client, incident: str, reference: str) -> None:
    for path in (f"{LIST}/{reference}", f"{LIST}/{reference}/timeline"):
        assert is_problem(api.get(path), 404, "not_found")
    assert is_problem(api.post(f"{LIST}/{reference}/acknowledge"), 404, "not_found")


def test_the_timeline_has_every_entry_with_a_sentence(api: Client, runtime: FakeRuntime) -> None:
    story = fired()
    story.forward(minutes=15)
    found = keep(runtime.store, story)
    told = api.get(f"{LIST}/{found}/timeline").json()["entries"]
    assert [entry["number"] for entry in told] == list(range(1, len(story.entries) + 1))
    assert list(told[0]) == ["number", "at", "due_at", "kind", "actor", "data", "sentence"]
    assert [entry["kind"] for entry in told] == story.kinds
    assert all(entry["sentence"] for entry in told)
    reached = next(entry for entry in told if entry["kind"] == "level")
    assert reached["at"] == reached["due_at"] == "2026-03-02T12:15:00Z"
    assert reached["data"]["level"] == 2


def test_pages_follow_each_other_by_cursor(api: Client, runtime: FakeRuntime) -> None:
    for tier in (Tier.P3, Tier.P1, Tier.P0, Tier.P2, Tier.P0):
        keep(runtime.store, fired(tier))
    seen, cursor = [], None
    for _ in range(3):
        page = api.get(LIST, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [each["number"] for each in page["incidents"]]
        cursor = page["next"]
    assert (seen, cursor) == ([3, 5, 2, 4, 1], None)


def test_filters_may_be_given_several_times(api: Client, runtime: FakeRuntime) -> None:
    for tier in (Tier.P0, Tier.P1, Tier.P2):
        keep(runtime.store, fired(tier))
    page = api.get(LIST + "?tier=P0&tier=P2&state=triggered&system=avalo&since=2026-03-02T12:00:00Z").json()
    assert [each["number"] for each in page["incidents"]] == [1, 3]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=1e9", "query.limit"),
        ("limit=0", "query.limit"),
        ("limit=201", "query.limit"),
        ("limit=999999999999999999999999", "query.limit"),
        ("since=junk", "query.since"),
        ("since=2026-03-02T12:00:00", "query.since"),
        ("until=0001-01-01T00:00:00%2B14:00", "query.until"),
        ("tier=P4", "query.tier.0"),
        ("state=open", "query.state.0"),
        ("q=a%00b", "query.q"),
        ("system=%1b", "query.system"),
        ("q=" + "x" * 300, "query.q"),
        ("cursor=junk", "query.cursor"),
        ("cursor=" + "W" * 100, "query.cursor"),
        ("cursor=WzEsICJQMCIsIDFlMzA5XQ", "query.cursor"),
        ("cursor=%C3%BC", "query.cursor"),
        ("tear=P0", "query.tear"),
    ],
)
def test_a_bad_query_is_400_and_names_the_field_without_echoing_it(api: Client, query: str, field: str) -> None:
    answer = api.get(f"{LIST}?{query}")
    assert is_problem(answer, 400, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    said = str(answer.json() | {"request_id": ""})
    assert not any(text in said for text in ("junk", "1e9", "xxxx", "P4"))


@pytest.mark.parametrize(
    ("action", "body", "command"),
    [
        ("acknowledge", None, Acknowledge("api")),
        ("acknowledge", {"actor": " Ann "}, Acknowledge("Ann")),
        (
            "acknowledge",
            {"until": "2026-03-02T15:00:00+01:00", "actor": "Ann"},
            Acknowledge("Ann", until=NOW + timedelta(hours=2)),
        ),
        ("take-over", {"actor": "Ann"}, TakeOver("Ann")),
        ("resolve", {"actor": "Ann"}, Resolve("Ann")),
        ("escalate", {}, Escalate("api")),
        ("notes", {"text": "looking\ninto it", "actor": "Ann"}, Note("Ann", "looking\ninto it")),
        ("tier", {"tier": "P0", "reason": "all users", "actor": "Ann"}, ChangeTier("Ann", Tier.P0, "all users")),
    ],
)
def test_actions_become_commands_and_answer_with_the_incident(
    api: Client, runtime: FakeRuntime, incident: str, action: str, body: Any, command: Any
) -> None:
    answer = api.post(f"{LIST}/1/{action}", json=body) if body is not None else api.post(f"{LIST}/1/{action}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == incident
    assert [(done.incident_id, done.command) for done in runtime.actions] == [(incident, command)]


def test_an_acknowledgement_shows_at_once(api: Client, incident: str) -> None:
    body = api.post(f"{LIST}/{incident}/acknowledge", json={"actor": "Ann"}).json()
    assert (body["state"], body["acknowledged_by"], body["responded_in_time"]) == ("acknowledged", "Ann", True)
    assert datetime.fromisoformat(body["acknowledged_at"]) == NOW


def test_what_the_model_refuses_is_409_with_its_reason(api: Client, incident: str) -> None:
    api.post(f"{LIST}/{incident}/acknowledge", json={"actor": "Ann"})
    answer = api.post(f"{LIST}/{incident}/acknowledge", json={"actor": "Ben"})
    assert is_problem(answer, 409, "taken")
    assert "Ann" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("acknowledge", {"until": "tomorrow"}, "body.until"),
        ("acknowledge", {"until": "9999-12-31T23:59:59-14:00"}, "body.until"),
        ("acknowledge", {"actor": ""}, "body.actor"),
        ("acknowledge", {"actor": "a\nb"}, "body.actor"),
        ("acknowledge", {"actor": "x" * 101}, "body.actor"),
        ("acknowledge", {"actor": "Incidentd"}, "body.actor"),
        ("acknowledge", {"who": "Ann"}, "body.who"),
        ("resolve", [], "body"),
        ("resolve", "junk", "body"),
        ("notes", {}, "body.text"),
        ("notes", {"text": " "}, "body.text"),
        ("notes", {"text": "a\x00b"}, "body.text"),
        ("notes", {"text": "x" * 10_001}, "body.text"),
        ("tier", {"tier": "P0"}, "body.reason"),
        ("tier", {"tier": "PO", "reason": "x"}, "body.tier"),
    ],
)
def test_a_bad_body_is_400_and_names_the_field(api: Client, incident: str, action: str, body: Any, field: str) -> None:
    answer = api.post(f"{LIST}/{incident}/{action}", json=body)
    assert is_problem(answer, 400, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "raw",
    [b"{", b"\xff", b'{"text": "\\ud800"}', b"[" * 100_000, b'{"text": NaN}', b"null"],
    ids=["cut off", "not UTF-8", "surrogate", "deep", "NaN", "null"],
)
def test_a_body_that_is_no_json_is_400(api: Client, incident: str, raw: bytes) -> None:
    answer = api.post(f"{LIST}/{incident}/notes", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_body_over_1_mb_is_413(api: Client, incident: str) -> None:
    assert is_problem(api.post(f"{LIST}/{incident}/notes", json={"text": "x" * 1_100_000}), 413, "too_large")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [LIST, f"{LIST}/1", f"{LIST}/1/timeline", f"{LIST}/1/notes", "/-/reload"])
def test_without_the_token_all_is_401_before_anything_is_read(client: Client, method: str, path: str) -> None:
    wrong: list[Any] = [{}, {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}, {"Authorization": "Bearer \u00fc".encode()}]
    for headers in wrong:
        answer = client.request(method, path + "?limit=junk", content=b"{junk", headers=headers)
        assert answer.status_code in (401, 405)
        assert (answer.status_code == 405) == (method != expected_method(path))


def expected_method(path: str) -> str:
    return "POST" if path.endswith(("notes", "reload")) else "GET"


def test_503_when_the_store_is_away(api: Client, runtime: FakeRuntime, incident: str) -> None:
    runtime.failure = StoreUnavailableError("away")
    answer = api.post(f"{LIST}/{incident}/acknowledge")
    assert is_problem(answer, 503, "store_unavailable")
    assert answer.headers["retry-after"] == "1"


def test_503_when_storing_takes_too_long(
    api: Client, runtime: FakeRuntime, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STORE_SECONDS", 0.05)
    runtime.stuck = True
    assert is_problem(api.post(f"{LIST}/{incident}/acknowledge"), 503, "store_unavailable")


def test_what_was_answered_503_and_still_waits_never_happens(
    api: Client, runtime: FakeRuntime, incident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STORE_SECONDS", 0.05)
    runtime.stuck = True
    assert api.post(f"{LIST}/{incident}/escalate").status_code == 503
    assert [future.cancelled() for future in runtime.futures] == [True]


def test_the_same_request_with_the_same_key_has_its_effect_once(
    api: Client, runtime: FakeRuntime, incident: str
) -> None:
    for _ in range(2):
        answer = api.post(f"{LIST}/{incident}/escalate", headers={"Idempotency-Key": "k" * 200})
        assert (answer.status_code, answer.json()["level"]) == (200, 2)
    assert [len(action.signature or "") <= 80 for action in runtime.actions] == [True, True]


def test_a_key_that_another_request_had_swallows_nothing(api: Client, runtime: FakeRuntime, incident: str) -> None:
    other, key = keep(runtime.store, fired()), {"Idempotency-Key": "1"}
    for reference, text in ((incident, "a"), (incident, "b"), (other, "b")):
        assert api.post(f"{LIST}/{reference}/notes", json={"text": text}, headers=key).status_code == 200
    assert api.post(f"{LIST}/{incident}/acknowledge", headers=key).json()["state"] == "acknowledged"
    assert len({action.signature for action in runtime.actions}) == 4


def test_without_a_key_each_request_counts(api: Client, incident: str) -> None:
    levels = [api.post(f"{LIST}/{incident}/escalate").json()["level"] for _ in range(2)]
    assert levels == [2, 3]


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_a_key_that_is_none_is_400(api: Client, incident: str, key: str) -> None:
    answer = api.post(f"{LIST}/{incident}/escalate", headers={"Idempotency-Key": key})
    assert is_problem(answer, 400, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == ["header.Idempotency-Key"]


def test_reload_answers_with_the_version_and_warnings(api: Client) -> None:
    warnings = ["levels 1 and 2 share a routing key"]
    assert api.post("/-/reload").json() == {"version": "v2", "warnings": warnings, "shadow": None}


def test_reload_says_what_is_wrong_with_the_shadow_and_is_done_all_the_same(api: Client, runtime: FakeRuntime) -> None:
    runtime.shadow_load = Loaded("v1", ("avalo.yaml:7: no such tier",))
    answer = api.post("/-/reload")
    assert (answer.status_code, answer.json()["version"]) == (200, "v2")
    assert answer.json()["shadow"] == {"version": "v1", "faults": ["avalo.yaml:7: no such tier"]}


def test_unsound_rules_are_422_with_every_fault(api: Client, runtime: FakeRuntime) -> None:
    runtime.reload_failure = RulesError([Fault("avalo.yaml", 7, "row", "no such tier"), Fault("b.yaml", 1, "", "tag")])
    answer = api.post("/-/reload")
    assert is_problem(answer, 422, "rules")
    assert [(f["file"], f["line"], f["row"], f["cause"]) for f in answer.json()["errors"]] == [
        ("avalo.yaml", 7, "row", "no such tier"),
        ("b.yaml", 1, "", "tag"),
    ]


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/", f"{LIST}/", "/-/", "/static/../app.py", "/static/nothing"])
def test_an_unknown_path_is_a_404_problem_and_no_redirect(api: Client, path: str) -> None:
    assert api.get(path).status_code == 404
    assert api.get(path).headers["content-type"] == "application/problem+json"


def test_an_unforeseen_failure_is_a_500_problem_that_says_nothing(
    api: Client, runtime: FakeRuntime, incident: str
) -> None:
    runtime.failure = ZeroDivisionError("secret value")
    answer = api.post(f"{LIST}/{incident}/acknowledge")
    assert is_problem(answer, 500, "internal")
    assert "secret" not in answer.text


def test_every_answer_carries_safe_headers(api: Client) -> None:
    headers = api.get("/-/healthy").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_openapi_lists_what_programs_use(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    actions = ["acknowledge", "escalate", "notes", "resolve", "take-over", "tier"]
    assert set(paths) >= {LIST, LIST + "/{incident}", LIST + "/{incident}/timeline", "/-/reload", "/slack/commands"}
    assert set(paths) >= {f"{LIST}/{{incident}}/{action}" for action in actions}
    assert "/" not in paths
    assert json.dumps(paths)
