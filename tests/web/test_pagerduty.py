"""PagerDuty's webhooks, signed as PagerDuty signs them."""

import threading
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from incidentd.errors import StoreUnavailableError
from incidentd.meter.exposition import text
from incidentd.reaction import Did
from incidentd.web import pagerduty
from tests.pagerduty import body, event, signature
from tests.test_meter import value
from tests.web.client import Client
from tests.web.fake import PAGERDUTY_SECRET, FakeRuntime

PATH = "/pagerduty/webhooks"


def send(client: Client, raw: bytes, header: str | None = None) -> httpx.Response:
    signed = {"X-PagerDuty-Signature": signature(raw) if header is None else header}
    return client.post(PATH, content=raw, headers=signed)


def counted(runtime: FakeRuntime, answer: str) -> float:
    return value(text(runtime.meter.collect()), "incidentd_pagerduty_webhooks_total", answer=answer)


def test_what_was_done_is_kept_and_answered_with_202(client: Client, runtime: FakeRuntime) -> None:
    answer = send(client, body(event()))
    assert (answer.status_code, answer.content) == (202, b"")
    assert [(told.did, told.name) for told in runtime.reactions] == [(Did.ACKNOWLEDGED, "Ann Mason")]
    assert counted(runtime, "202") == 1


@pytest.mark.parametrize(
    "header",
    ["", "v1=", "v1=" + "0" * 64, "v1=ü", "v2=x", signature(body(event()), "another-secret-0123"), "," * 1000],
)
def test_anything_off_with_the_signature_is_401_and_not_read(
    client: Client, runtime: FakeRuntime, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagerduty, "parse", lambda *_: pytest.fail("it was read"))
    answer = client.post(PATH, content=body(event()), headers={"X-PagerDuty-Signature": header.encode()})
    assert (answer.status_code, answer.json()["reason"]) == (401, "signature")
    assert client.post(PATH, content=body(event())).status_code == 401
    assert runtime.reactions == []
    assert counted(runtime, "401") == 2


def test_without_a_secret_nothing_is_believed(client: Client, runtime: FakeRuntime) -> None:
    runtime.settings = runtime.settings.model_copy(update={"pagerduty_webhook_secret": None})
    assert send(client, body(event())).status_code == 401
    assert send(client, body(event()), signature(body(event()), "")).status_code == 401


def test_while_the_secret_is_replaced_both_are_believed(client: Client, runtime: FakeRuntime) -> None:
    new = "the-new-webhook-secret-0123456789"
    both = SecretStr(f"{PAGERDUTY_SECRET} {new}")
    runtime.settings = runtime.settings.model_copy(update={"pagerduty_webhook_secret": both})
    raw = body(event())
    assert [send(client, raw, signature(raw, secret)).status_code for secret in (PAGERDUTY_SECRET, new)] == [202, 202]
    assert send(client, raw, signature(raw, f"{PAGERDUTY_SECRET} {new}")).status_code == 401


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"{", b"\xff", b"[" * 100_000, body(event("pagey.ping")), body(event("incident.new"))]
)
def test_what_is_signed_and_none_of_our_business_is_202(client: Client, runtime: FakeRuntime, raw: bytes) -> None:
    """After three 4xx in a row PagerDuty would send nothing for a day."""
    assert send(client, raw).status_code == 202
    assert runtime.reactions == []


def test_503_when_it_may_be_lost_so_that_it_comes_again(client: Client, runtime: FakeRuntime) -> None:
    runtime.failure = StoreUnavailableError("away")
    assert send(client, body(event())).status_code == 503
    assert counted(runtime, "503") == 1


def test_pagerduty_is_answered_in_time_whatever_is_slow(
    client: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pagerduty.STORE_SECONDS < 5
    monkeypatch.setattr(pagerduty, "STORE_SECONDS", 0.1)
    runtime.stuck = True
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(send(client, body(event())).status_code))
    thread.start()
    thread.join(120)
    assert answers == [503]


def test_a_body_over_1_mb_is_413(client: Client, runtime: FakeRuntime) -> None:
    assert send(client, b"x" * 1_100_000).status_code == 413
    assert counted(runtime, "413") == 1


def test_a_get_is_405(client: Client) -> None:
    assert client.get(PATH).status_code == 405
