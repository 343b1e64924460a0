"""A token that is wrong is refused after the same work wherever it is wrong, and before anything else is looked at."""

import asyncio
import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from starlette.types import Message

from incidentd.admission import Admission
from incidentd.settings import load_settings
from incidentd.web import webhook
from incidentd.web.credential import matches
from tests.web.client import Client
from tests.web.fake import API_TOKEN, WEBHOOK_TOKEN, FakeRuntime

TOKENS = ("the-first-token-0123456", "the-second-token-012345", "the-third-token-0123456")
ALIKE = [
    "x" + TOKENS[1][1:],
    TOKENS[1][:-1] + "x",
    TOKENS[1][:-1],
    TOKENS[1] + "x",
    TOKENS[0][:8] + TOKENS[2][8:],
    "x",
    "x" * 5_000,
]
"""Wrong at the first byte, at the last, too short, too long, of two tokens, short, long."""

Compared = list[tuple[bytes, bytes]]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    """What is compared from now on, in order."""
    compare: Callable[[Any, Any], bool] = hmac.compare_digest
    found: Compared = []

    def noted(one: bytes, other: bytes) -> bool:
        found.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    return found


def several() -> Admission:
    environ = {"INCIDENTD_WEBHOOK_TOKENS": f"one: {TOKENS[0]} {TOKENS[1]}\ntwo: {TOKENS[2]}"}
    return Admission(load_settings(environ), environ)


def digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


@pytest.mark.parametrize("given", [*TOKENS, *ALIKE])
@pytest.mark.parametrize("user", [b"", b"one", b"two", b"neither"])
def test_every_token_of_a_source_is_compared_as_a_whole_whichever_it_is_and_wherever_it_differs(
    given: str, user: bytes, compared: Compared
) -> None:
    several().source_of(given.encode(), user)
    names = (b"one", b"one", b"two")
    both = [((digest(given), digest(token)), (user, name)) for token, name in zip(TOKENS, names, strict=True)]
    assert compared == [pair for pairs in both for pair in pairs]


@pytest.mark.parametrize("given", [*TOKENS, *ALIKE])
def test_so_is_every_token_of_the_api(given: str, compared: Compared) -> None:
    assert matches(given.encode(), TOKENS) is (given in TOKENS)
    assert compared == [(digest(given), digest(token)) for token in TOKENS]


@pytest.mark.parametrize("same", [True, False])
def test_nothing_but_that_comparison_says_whether_a_token_is_right(same: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: same)
    for given in (*TOKENS, *ALIKE):
        assert (several().source_of(given.encode()) is not None) is same
        assert matches(given.encode(), TOKENS) is same


HEADERS = [None, b"Bearer wrong", f"Bearer {WEBHOOK_TOKEN[:-1]}x".encode(), "Bearer t\u00f6ken".encode(), b"Basic !!!"]


@pytest.mark.parametrize("header", HEADERS)
def test_of_who_has_no_token_no_byte_is_read_before_the_401_and_none_parsed_after_it(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch, header: bytes | None
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(webhook, "parse", lambda *_: happened.append("parsed"))

    async def receive() -> Message:
        happened.append("read")
        return {"type": "http.request", "body": b'{"alerts": []}', "more_body": False}

    async def send(message: Message) -> None:
        happened.append(str(message.get("status", "said")))

    headers = [(b"content-type", b"application/json")] + ([(b"authorization", header)] if header else [])
    scope = {"type": "http", "method": "POST", "path": webhook.PATH, "query_string": b"", "headers": headers}
    asyncio.run(webhook.WebhookEndpoint(runtime)(scope, receive, send))
    assert happened[:2] == ["401", "said"]
    assert "parsed" not in happened
    assert runtime.webhooks == []


@pytest.mark.parametrize("path", ["acknowledge", "notes", "tier", "resolve"])
def test_nor_does_the_api_parse_what_comes_without_its_token(client: Client, path: str) -> None:
    address = f"/api/v1/incidents/00000000-0000-7000-8000-000000000000/{path}"
    for given in ({}, {"Authorization": f"Bearer {API_TOKEN[:-1]}x"}):
        headers = {"Content-Type": "application/json", **given}
        assert client.post(address, content=b"[" * 100_000, headers=headers).status_code == 401
