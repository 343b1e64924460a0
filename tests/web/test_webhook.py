"""Every row of "Bad input to the webhook", at the edge: token, type, size, storing, answering."""

import asyncio
import gc
import gzip
import json
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from incidentd.admission import Admission
from incidentd.errors import ConflictError, NotFoundError, RulesError, StoreUnavailableError
from incidentd.intake import parse
from incidentd.settings import load_settings
from incidentd.web import webhook
from incidentd.web.app import create_app
from tests.web.client import Client
from tests.web.fake import API_TOKEN, WEBHOOK_TOKEN, FakeRuntime

PATH = "/api/v1/alertmanager"
PAYLOADS = Path(__file__).parents[1] / "payloads"
SOUND = (PAYLOADS / "am025_firing.json").read_bytes()
BEARER = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
JSON = {"Content-Type": "application/json"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def sender(client: Client) -> Client:
    client.headers.update({**BEARER, **JSON})
    return client


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.headers.json")), ids=lambda path: path.name.split(".")[0])
def test_what_alertmanager_sends_is_stored(sender: Client, runtime: FakeRuntime, path: Path) -> None:
    raw = path.with_name(path.name.replace(".headers.json", ".json")).read_bytes()
    answer = sender.post(PATH, content=raw)
    assert answer.status_code == 200
    assert len(runtime.webhooks[0].alerts) == len(json.loads(raw)["alerts"])


@pytest.mark.parametrize("headers", [BEARER, basic("alertmanager", WEBHOOK_TOKEN), basic("", WEBHOOK_TOKEN)], ids=str)
def test_the_token_comes_as_bearer_or_as_basic_auths_password(client: Client, headers: dict[str, str]) -> None:
    assert client.post(PATH, content=SOUND, headers={**headers, **JSON}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": WEBHOOK_TOKEN},
        {"Authorization": f"Bearer {WEBHOOK_TOKEN}x"},
        {"Authorization": f"Bearer {WEBHOOK_TOKEN[:-1]}"},
        {"Authorization": f"Token {WEBHOOK_TOKEN}"},
        {"Authorization": f"Bearer {API_TOKEN}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + b64encode(WEBHOOK_TOKEN.encode()).decode()},
        basic(WEBHOOK_TOKEN, "wrong"),
    ],
    ids=str,
)
def test_without_the_token_nothing_is_read_and_no_incident_opened(
    client: Client, runtime: FakeRuntime, headers: dict[str, str]
) -> None:
    answer = client.post(PATH, content=b"not even json", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert runtime.webhooks == []


def test_a_token_that_is_not_ascii_is_401(client: Client) -> None:
    assert client.post(PATH, content=SOUND, headers={"Authorization": "Bearer t\u00f6ken".encode()}).status_code == 401


@pytest.mark.parametrize("query", [f"?token={WEBHOOK_TOKEN}", f"?access_token={WEBHOOK_TOKEN}", f"?{WEBHOOK_TOKEN}"])
def test_a_token_in_the_url_is_401(client: Client, query: str) -> None:
    assert client.post(PATH + query, content=SOUND, headers=JSON).status_code == 401


def test_two_authorization_headers_are_401(client: Client) -> None:
    twice = [("Authorization", "Bearer x"), *BEARER.items()]
    assert client.post(PATH, content=SOUND, headers=twice).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_405_and_says_which_one_to_use(sender: Client, runtime: FakeRuntime, method: str) -> None:
    answer = sender.request(method, PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert runtime.webhooks == []


@pytest.mark.parametrize("path", [PATH + "/", "//api/v1/alertmanager", "/api/v1/alertmanager/x"])
def test_a_wrong_path_is_never_redirected(sender: Client, path: str) -> None:
    assert sender.post("http://testserver" + path, content=SOUND).status_code in (401, 404)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "json", "application/json; charset=latin-1", ";;;="]
)
def test_a_wrong_content_type_is_415_and_an_internal_incident(sender: Client, runtime: FakeRuntime, kind: str) -> None:
    assert sender.post(PATH, content=SOUND, headers={"Content-Type": kind}).status_code == 415
    assert [c.reason for c in runtime.webhooks[0].complaints] == ["content_type"]


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_may_say_that_it_is_utf_8(sender: Client, kind: str) -> None:
    assert sender.post(PATH, content=SOUND, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "GZIP"])
def test_a_compressed_body_is_415_and_never_inflated(sender: Client, runtime: FakeRuntime, encoding: str) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = sender.post(PATH, content=bomb, headers={"Content-Encoding": encoding})
    assert answer.status_code == 415
    complaint = runtime.webhooks[0].complaints[0]
    assert (complaint.reason, complaint.body) == ("content_encoding", bomb[: 64 * 1024])


def test_an_identity_encoding_is_fine(sender: Client) -> None:
    assert sender.post(PATH, content=SOUND, headers={"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b"NaN", "not_json"),
        (b'{"alerts": 1e999}', "not_json"),
        (b"[" * 100_000, "too_deep"),
        (b"{}", "no_alerts"),
        (b'{"alerts": null}', "no_alerts"),
        (b"\xff", "not_utf8"),
        (b'{"alerts": [<script>', "not_json"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_no_webhook_is_400_and_an_internal_incident_with_its_beginning(
    sender: Client, runtime: FakeRuntime, raw: bytes, reason: str
) -> None:
    answer = sender.post(PATH, content=raw)
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    stored = runtime.webhooks[0]
    assert stored.alerts == ()
    assert [(c.reason, c.body) for c in stored.complaints] == [(reason, raw[: 64 * 1024])]


def test_an_empty_list_of_alerts_is_200(sender: Client, runtime: FakeRuntime) -> None:
    assert sender.post(PATH, content=b'{"alerts": []}').status_code == 200
    assert runtime.webhooks[0].complaints == ()


def test_one_malformed_alert_is_set_aside_with_the_body_and_the_others_are_stored(
    sender: Client, runtime: FakeRuntime
) -> None:
    body = json.loads(SOUND)
    body["alerts"].append({"labels": ["nonsense"]})
    raw = json.dumps(body).encode()
    answer = sender.post(PATH, content=raw)
    assert (answer.status_code, answer.json()["set_aside"]) == (200, 1)
    stored = runtime.webhooks[0]
    assert len(stored.alerts) == len(body["alerts"]) - 1
    assert [(c.reason, c.body) for c in stored.complaints] == [("labels", raw)]


def test_truncated_alerts_are_200_and_an_internal_incident(sender: Client, runtime: FakeRuntime) -> None:
    answer = sender.post(PATH, content=(PAYLOADS / "am025_truncated_firing.json").read_bytes())
    assert answer.status_code == 200
    assert [c.reason for c in runtime.webhooks[0].complaints] == ["truncated"]


def test_10_000_alerts_are_stored_as_one_webhook(sender: Client, runtime: FakeRuntime) -> None:
    one = json.loads(SOUND)["alerts"][0]
    alerts = [{**one, "fingerprint": "", "labels": {**one["labels"], "instance": str(n)}} for n in range(10_000)]
    assert sender.post(PATH, content=json.dumps({"alerts": alerts}).encode()).status_code == 200
    assert [len(w.alerts) for w in runtime.webhooks] == [10_000]


def pieces(size: int, seen: list[int]) -> Iterator[bytes]:
    yield b'{"alerts": [], "x": "'
    while size > 0:
        seen.append(size)
        yield b"x" * 65_536
        size -= 65_536
    yield b'"}'


@pytest.mark.parametrize("declared", [True, False], ids=["with a length", "chunked"])
def test_over_16_mb_is_413_and_an_internal_incident(sender: Client, runtime: FakeRuntime, declared: bool) -> None:
    size = 17 * 1024 * 1024
    body: Any = b"".join(pieces(size, [])) if declared else pieces(size, [])
    answer = sender.post(PATH, content=body)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    complaint = runtime.webhooks[0].complaints[0]
    assert (complaint.reason, len(complaint.body)) == ("too_large", 64 * 1024)


def test_just_under_16_mb_is_read(sender: Client) -> None:
    text = "x" * (webhook.LARGEST_BODY - 24)
    assert sender.post(PATH, content=b'{"alerts":[],"x":"' + text.encode() + b'"}').status_code == 200


@pytest.mark.parametrize("raw", [SOUND, b"junk"], ids=["sound", "junk"])
def test_503_when_nothing_can_be_stored(sender: Client, runtime: FakeRuntime, raw: bytes) -> None:
    runtime.failure = StoreUnavailableError("the database is away")
    answer = sender.post(PATH, content=raw)
    assert (answer.status_code, answer.json()["reason"]) == (503, "store_unavailable")
    assert "database is away" not in answer.text


def test_503_when_storing_takes_too_long(sender: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "STORE_SECONDS", 0.05)
    runtime.stuck = True
    assert sender.post(PATH, content=SOUND).status_code == 503
    assert [future.cancelled() for future in runtime.futures] == [False], "better late than only with the next copy"


@pytest.mark.parametrize(
    "failure", [RulesError([]), ConflictError("x"), NotFoundError("x"), KeyError("canary")], ids=repr
)
@pytest.mark.parametrize("raw", [SOUND, b"junk"], ids=["sound", "junk"])
def test_whatever_goes_wrong_while_storing_is_503_and_logged_with_the_request(
    sender: Client, runtime: FakeRuntime, raw: bytes, failure: Exception
) -> None:
    runtime.failure = failure
    with capture_logs() as logged:
        answer = sender.post(PATH, content=raw)
    assert (answer.status_code, answer.json()["reason"]) == (503, "store_unavailable")
    assert "canary" not in answer.text
    events = {line["event"]: line for line in logged}
    assert events["webhook_failed"]["error"] == type(failure).__name__
    assert {line["request_id"] for line in logged} == {answer.headers["x-request-id"]}
    assert (events["webhook"]["status"], events["webhook"]["reason"]) == (503, "failed")


@pytest.mark.parametrize("raw", [b"<script>alert(1)</script>", b'{"alerts":"<script>"}', b'{"<script>":1}'])
def test_answers_are_short_carry_a_request_id_and_never_echo(sender: Client, raw: bytes) -> None:
    answer = sender.post(PATH, content=raw, headers={"X-Request-Id": "<script>"})
    assert "<script" not in answer.text + str(answer.headers)
    assert len(answer.content) < 500
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_the_webhook_stands_in_the_openapi_document(client: Client) -> None:
    assert "post" in client.get("/openapi.json").json()["paths"][PATH]


def test_large_bodies_that_are_refused_leave_no_memory_behind(sender: Client) -> None:
    size = 4 << 20
    body = b'{"alerts": [], "cut off": "' + size * b"x"
    sender.post(PATH, content=body)
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(4):
            sender.post(PATH, content=body)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    # Of each there are the bytes and the text; the thread that parsed may not have let go of the last ones yet.
    assert left < 3 * size


def test_large_bodies_are_parsed_one_at_a_time(runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    parsing: list[int] = []
    seen: list[int] = []

    def watched(raw: bytes, now: datetime) -> Any:
        parsing.append(1)
        seen.append(len(parsing))
        try:
            return parse(raw, now)
        finally:
            parsing.pop()

    async def post_side_by_side(body: bytes) -> list[int]:
        transport = httpx.ASGITransport(create_app(runtime))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", headers=BEARER | JSON
        ) as sender:
            answers = await asyncio.gather(*(sender.post(PATH, content=body) for _ in range(4)))
        return [answer.status_code for answer in answers]

    monkeypatch.setattr(webhook, "parse", watched)
    alert = SOUND[SOUND.index(b"[") + 1 : SOUND.rindex(b"]")]
    assert asyncio.run(post_side_by_side(b'{"alerts": [' + b",".join([alert] * 500) + b"]}")) == [200] * 4
    assert seen == [1] * 4


def several(runtime: FakeRuntime) -> None:
    environ = {"INCIDENTD_WEBHOOK_TOKENS": "primary: primarys-token-012345\nbackup: backups-token-0123456"}
    runtime.admission = Admission(load_settings(environ), environ)
    runtime.meter.know_sources(runtime.admission.names)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer backups-token-0123456"},
        basic("backup", "backups-token-0123456"),
        basic("", "backups-token-0123456"),
    ],
    ids=str,
)
def test_a_notification_is_of_the_source_whose_token_it_bears(
    client: Client, runtime: FakeRuntime, headers: dict[str, str]
) -> None:
    several(runtime)
    with capture_logs() as logs:
        assert client.post(PATH, content=b"{}", headers={**headers, **JSON}).status_code == 400
    assert runtime.webhooks[0].source == "backup"
    (line,) = [line for line in logs if line["event"] == "webhook"]
    assert (line["source"], line["address"]) == ("backup", "127.0.0.1")
    told = client.get("/metrics").text
    assert 'incidentd_source_webhooks_total{answer="400",source="backup"} 1.0' in told
    assert 'incidentd_source_webhooks_total{answer="400",source="primary"} 0.0' in told


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "BREW"])
def test_another_method_counts_for_the_source_whose_token_it_bears(
    client: Client, runtime: FakeRuntime, method: str
) -> None:
    several(runtime)
    with capture_logs() as logs:
        assert client.request(method, PATH, headers=basic("backup", "backups-token-0123456")).status_code == 405
        assert client.request(method, PATH, headers=basic("backup", "x")).status_code == 405
    assert [line["source"] for line in logs if line["event"] == "webhook"] == ["backup", ""]
    told = client.get("/metrics").text
    assert 'incidentd_source_webhooks_total{answer="405",source="backup"} 1.0' in told
    assert 'incidentd_source_webhooks_total{answer="405",source="primary"} 0.0' in told
    assert 'incidentd_webhooks_total{answer="405"} 2.0' in told


@pytest.mark.parametrize("headers", [basic("primary", "backups-token-0123456"), BEARER, basic("backup", "x")], ids=str)
def test_a_token_under_another_sources_name_is_401_and_counts_for_nobody(
    client: Client, runtime: FakeRuntime, headers: dict[str, str]
) -> None:
    several(runtime)
    with capture_logs() as logs:
        assert client.post(PATH, content=SOUND, headers={**headers, **JSON}).status_code == 401
    assert logs[0]["source"] == ""
    named = [line for line in client.get("/metrics").text.splitlines() if "incidentd_source_webhooks_total{" in line]
    assert named
    assert all(line.endswith(" 0.0") for line in named)
