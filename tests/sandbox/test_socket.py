"""The sandbox's Socket Mode, seen by a plain WebSocket client."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from incidentd.sandbox import socket as stand_in
from incidentd.sandbox.server import SandboxServer
from tests.servers import wait_until

TOKEN = "xapp-1-A0SANDBOX-1-of-the-tests"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(slack_app_token=TOKEN) as server:
        yield server


def opened(sandbox: SandboxServer, token: str = TOKEN) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{sandbox.slack_url}apps.connections.open", headers=headers, timeout=30).json()


@contextmanager
def listening(sandbox: SandboxServer) -> Iterator[ClientConnection]:
    with connect(opened(sandbox)["url"], compression=None, proxy=None) as connection:
        assert json.loads(connection.recv(30))["type"] == "hello"
        yield connection


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xapp-another", "invalid_auth"), ("xoxb-a-bots", "not_allowed_token_type")],
)
def test_only_the_apps_own_token_opens_a_connection(sandbox: SandboxServer, token: str, error: str) -> None:
    assert opened(sandbox, token) == {"ok": False, "error": error}


def test_an_address_is_good_for_one_connection(sandbox: SandboxServer) -> None:
    url = opened(sandbox)["url"]
    with connect(url, proxy=None):
        pass
    for used in (url, url.partition("?")[0]):
        with pytest.raises(InvalidStatus):
            connect(used, proxy=None)


def test_what_is_not_acknowledged_is_sent_again_and_what_is_is_not(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "ANSWER_SECONDS", 0.0)
    sockets = sandbox.slack.sockets
    with listening(sandbox) as connection:
        sent = sockets.send("interactive", {"x": 1})
        first, second = (json.loads(connection.recv(30)) for _ in range(2))
        assert first == second
        assert (first["envelope_id"], first["payload"]) == (sent.id, {"x": 1})
        connection.send(json.dumps({"envelope_id": sent.id, "payload": {"text": "heard"}}))
        assert sockets.wait(sent, 30)
        assert sent.answer == {"text": "heard"}
    wait_until(lambda: not sockets.is_connected, "the end of the connection")
