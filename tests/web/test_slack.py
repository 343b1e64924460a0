"""Clicks and commands, signed as Slack signs them."""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from incidentd.errors import StoreUnavailableError
from incidentd.incident.command import Acknowledge, Escalate, Note, Resolve, TakeOver
from incidentd.tier import Tier
from incidentd.web import interaction
from tests.incident.build import Story
from tests.web.client import Client
from tests.web.fake import NOW, SLACK_SECRET, FakeRuntime, keep

INTERACTIONS = "/slack/interactions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(raw: bytes, *, at: str | None = None, secret: str = SLACK_SECRET) -> dict[str, str]:
    timestamp = at if at is not None else str(int(NOW.timestamp()))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + raw, hashlib.sha256).hexdigest()
    return {**FORM, "X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def click(
    incident: str, action: str = "incidentd_acknowledge", *, user: str = "ann", episode: Any = 1, **more: Any
) -> bytes:
    payload = {
        "type": "block_actions",
        "user": {"id": "U" + user.upper(), "username": user, "name": user, "team_id": "T1"},
        "channel": {"id": "C1", "name": "incidents"},
        "response_url": "https://evil.example/steal",
        "actions": [
            {"type": "button", "action_id": action, "value": json.dumps({"incident": incident, "episode": episode})}
        ],
        **more,
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def send(client: Client, raw: bytes, path: str = INTERACTIONS) -> httpx.Response:
    return client.post(path, content=raw, headers=signed(raw))


def fired() -> Story:
    story = Story()
    story.fire(tier=Tier.P0)
    return story


@pytest.fixture
def incident(runtime: FakeRuntime) -> str:
    return keep(runtime.store, fired())


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("incidentd_acknowledge", Acknowledge("ann", "slack", episode=1)),
        ("incidentd_take_over", TakeOver("ann", "slack", episode=1)),
        ("incidentd_resolve", Resolve("ann", "slack", episode=1)),
        ("incidentd_escalate", Escalate("ann", "slack", episode=1)),
        ("incidentd_still_on", Note("ann", "Still on.")),
    ],
)
def test_a_click_becomes_the_clickers_command(
    client: Client, runtime: FakeRuntime, incident: str, action: str, command: Any
) -> None:
    answer = send(client, click(incident, action))
    assert (answer.status_code, answer.content) == (200, b"")
    assert [(done.incident_id, done.command) for done in runtime.actions] == [(incident, command)]
    assert runtime.whispers == []


def test_the_same_signed_request_twice_has_no_second_effect(
    client: Client, runtime: FakeRuntime, incident: str
) -> None:
    raw = click(incident, "incidentd_escalate")
    assert [send(client, raw).status_code for _ in range(2)] == [200, 200]
    first, second = runtime.actions
    assert first.signature == second.signature == signed(raw)["X-Slack-Signature"]


def test_a_second_clicker_is_told_who_was_first(client: Client, runtime: FakeRuntime, incident: str) -> None:
    send(client, click(incident, user="ann"))
    assert send(client, click(incident, user="ben")).status_code == 200
    [(channel, user, text)] = runtime.whispers
    assert (channel, user) == ("C1", "UBEN")
    assert text.startswith("Not done: ann has acknowledged this incident already.")


def test_an_older_episodes_button_is_refused_with_a_link(client: Client, runtime: FakeRuntime, incident: str) -> None:
    assert send(client, click(incident, episode=0)).status_code == 200
    assert f"http://testserver/incidents/{incident}" in runtime.whispers[0][2]


def test_a_button_of_a_vanished_incident_says_so(client: Client, runtime: FakeRuntime) -> None:
    assert send(client, click("0193")).status_code == 200
    assert "no such incident" in runtime.whispers[0][2]


def test_503_when_the_click_may_be_lost(client: Client, runtime: FakeRuntime, incident: str) -> None:
    runtime.failure = StoreUnavailableError("away")
    assert send(client, click(incident)).status_code == 503


def test_slack_is_answered_in_time_whatever_is_slow(client: Client, runtime: FakeRuntime, incident: str) -> None:
    assert interaction.STORE_SECONDS <= 2
    runtime.stuck = True
    begun = time.monotonic()
    assert send(client, click(incident)).status_code == 503
    assert time.monotonic() - begun < 10
    assert [future.cancelled() for future in runtime.futures] == [True], "who sees an error clicks again"


def changed(headers: dict[str, str], **more: Any) -> dict[str, Any]:
    return {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}


@pytest.mark.parametrize("path", [INTERACTIONS, "/slack/commands"])
@pytest.mark.parametrize(
    "headers",
    [
        lambda raw: FORM,
        lambda raw: signed(raw, at=str(int(NOW.timestamp()) - 301)),
        lambda raw: signed(raw, at=str(int(NOW.timestamp()) + 301)),
        lambda raw: signed(raw, at="junk"),
        lambda raw: signed(raw, at=""),
        lambda raw: signed(raw, at="1e3"),
        lambda raw: signed(raw, at="9" * 5000),
        lambda raw: signed(raw, at="9" * 400),
        lambda raw: signed(raw, secret="another secret"),
        lambda raw: signed(raw + b"x"),
        lambda raw: changed(signed(raw), X_Slack_Signature=""),
        lambda raw: changed(signed(raw), X_Slack_Signature="v0="),
        lambda raw: changed(signed(raw), X_Slack_Signature="v0=ü".encode()),
        lambda raw: {k: v for k, v in signed(raw).items() if k != "X-Slack-Signature"},
        lambda raw: {k: v for k, v in signed(raw).items() if k != "X-Slack-Request-Timestamp"},
    ],
)
def test_anything_off_with_the_signature_is_401(
    client: Client, runtime: FakeRuntime, incident: str, headers: Any, path: str
) -> None:
    raw = click(incident)
    answer = client.post(path, content=raw, headers=headers(raw))
    assert (answer.status_code, answer.json()["reason"]) == (401, "signature")
    assert runtime.actions == []


def test_300_s_off_is_still_fine(client: Client, incident: str) -> None:
    raw = click(incident)
    assert (
        client.post(INTERACTIONS, content=raw, headers=signed(raw, at=str(int(NOW.timestamp()) - 300))).status_code
        == 200
    )


def test_a_body_that_is_no_utf_8_is_401(client: Client) -> None:
    assert send(client, b"payload=\xff\xfe").status_code == 401


def test_a_body_over_1_mb_is_413(client: Client) -> None:
    assert send(client, b"payload=" + b"x" * 1_100_000).status_code == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"payload=",
        b"payload=null",
        b"payload=[]",
        b"payload=" + b"[" * 10_000,
        urlencode({"payload": json.dumps({"type": "view_submission"})}).encode(),
        urlencode({"payload": json.dumps({"type": "block_actions", "actions": [None, 7, "x", {}]})}).encode(),
        b"&" * 2000,
        click("0193", "incidentd_runbook"),
        click("0193", "somebody_elses"),
        click("0193", user=""),
        click("0193", episode="1"),
        click("0193", episode=None),
        click("../../etc"),
        click("a\x00b"),
        click("0193", user="ann", actions={}),
        click("0193", actions=[{"action_id": "incidentd_resolve", "value": "{"}]),
        click("0193", actions=[{"action_id": ["x"], "value": "{}"}]),
        click("0193", actions=[{"type": "button", "action_id": "incidentd_resolve", "url": "https://x"}]),
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_what_is_none_of_our_buttons_is_200_and_left_alone(client: Client, runtime: FakeRuntime, raw: bytes) -> None:
    answer = send(client, raw)
    assert answer.status_code == 200
    if b"user%22%3A+%7B%22id%22%3A+%22U%22" not in raw:
        assert runtime.actions == []


def test_open_incidents_are_listed_to_who_asks(client: Client, runtime: FakeRuntime) -> None:
    answered, resolved = fired(), fired()
    answered.acknowledge()
    resolved.resolve()
    keep(runtime.store, answered, title="<!channel> & co")
    keep(runtime.store, resolved, title="over")
    raw = urlencode({"command": "/incident", "text": "list", "response_url": "https://evil.example/"}).encode()
    answer = send(client, raw, "/slack/commands")
    assert answer.json()["response_type"] == "ephemeral"
    assert "&lt;!channel&gt; &amp; co (acknowledged by ann)" in answer.json()["text"]
    assert "over" not in answer.json()["text"]


def test_no_open_incident_is_said_so(client: Client) -> None:
    assert send(client, b"command=%2Fincident", "/slack/commands").json()["text"] == "No incident is open."


def test_slacks_certificate_check_is_answered(client: Client) -> None:
    assert client.post("/slack/commands", content=b"ssl_check=1&token=x", headers=FORM).status_code == 200


def test_while_the_signing_secret_is_replaced_both_are_believed(
    client: Client, runtime: FakeRuntime, incident: str
) -> None:
    new = "the-new-signing-secret-0123456789"
    runtime.settings = runtime.settings.model_copy(update={"slack_signing_secret": SecretStr(f"{SLACK_SECRET} {new}")})
    for secret, user in ((SLACK_SECRET, "ann"), (new, "ben")):
        raw = click(incident, user=user)
        assert client.post(INTERACTIONS, content=raw, headers=signed(raw, secret=secret)).status_code == 200
    both = f"{SLACK_SECRET} {new}"
    assert client.post(INTERACTIONS, content=raw, headers=signed(raw, secret=both)).status_code == 401
