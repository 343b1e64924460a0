"""What people do to pages here is told to the app, as PagerDuty tells it."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from incidentd.clock import ManualClock
from incidentd.sandbox import herald
from incidentd.sandbox.app import create_sandbox
from incidentd.sandbox.pagerduty import AlertState, HandlingError
from incidentd.sandbox.server import SandboxServer
from tests.sandbox.product import Product
from tests.servers import wait_until

SECRET = "a-webhook-secret-of-the-tests"
KEY = "incidentd:" + "a" * 64


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.jsonl"


@pytest.fixture
def sandbox(clock: ManualClock, journal: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    monkeypatch.setattr(herald, "PAUSES", (0.01,))
    with SandboxServer(clock=clock.now, pagerduty_webhook_secret=SECRET, journal=journal) as server:
        yield server


@pytest.fixture
def product(sandbox: SandboxServer) -> Iterator[Product]:
    with Product() as product:
        product.answer = lambda: 202
        sandbox.product_url = product.url
        yield product


@pytest.fixture
def page(product: Product, events_session: Callable[..., Any]) -> None:
    """One open alert, of which the app has been told."""
    events_session().trigger("P0 core-api", "avalo", dedup_key=KEY)
    wait_until(lambda: product.received, "the first webhook")


def told(product: Product) -> list[Any]:
    return [json.loads(body)["event"] for _, body in product.received]


def settled(sandbox: SandboxServer) -> None:
    wait_until(lambda: all(each.over for each in sandbox.sandbox.herald.tellings), "webhooks to be answered")


@pytest.mark.usefixtures("page")
def test_a_press_is_signed_and_says_who_did_what_to_which_page(sandbox: SandboxServer, product: Product) -> None:
    sandbox.handle(1, "acknowledge", "Ben Okoro")
    settled(sandbox)
    headers, body = product.received[-1]
    assert headers["path"] == "/pagerduty/webhooks"
    assert headers["x-pagerduty-signature"] == "v1=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    event = told(product)[-1]
    assert event["event_type"] == "incident.acknowledged"
    assert (event["agent"]["type"], event["agent"]["summary"]) == ("user_reference", "Ben Okoro")
    assert (event["data"]["incident_key"], event["data"]["status"]) == (KEY, "acknowledged")
    assert sandbox.pagerduty.alerts[0].state is AlertState.ACKNOWLEDGED


@pytest.mark.usefixtures("page")
def test_what_the_app_itself_sends_comes_back_by_nobody(
    sandbox: SandboxServer, product: Product, events_session: Callable[..., Any]
) -> None:
    session = events_session()
    session.acknowledge(KEY)
    session.acknowledge(KEY)
    session.resolve(KEY)
    wait_until(lambda: len(product.received) == 3, "one webhook for each change")
    settled(sandbox)
    kinds = [(event["event_type"], event["agent"]) for event in told(product)]
    assert kinds == [("incident.triggered", None), ("incident.acknowledged", None), ("incident.resolved", None)]


@pytest.mark.usefixtures("page")
def test_it_is_told_again_after_a_503_in_order_and_with_the_same_id(sandbox: SandboxServer, product: Product) -> None:
    answers = iter([503, 429, 500])
    product.answer = lambda: next(answers, 202)
    sandbox.handle(1, "acknowledge")
    sandbox.handle(1, "resolve")
    settled(sandbox)
    events = told(product)[1:]
    assert [event["event_type"] for event in events] == ["incident.acknowledged"] * 4 + ["incident.resolved"]
    assert len({event["id"] for event in events}) == 2


@pytest.mark.usefixtures("page")
def test_after_another_4xx_it_is_not_told_again(sandbox: SandboxServer, product: Product) -> None:
    product.answer = lambda: 401
    sandbox.handle(1, "acknowledge")
    settled(sandbox)
    assert [(each.tries, each.status) for each in sandbox.sandbox.herald.tellings[1:]] == [(1, 401)]


@pytest.mark.usefixtures("page")
def test_an_acknowledgement_can_time_out_by_nobodys_hand(sandbox: SandboxServer, product: Product) -> None:
    sandbox.handle(1, "acknowledge")
    sandbox.handle(1, "unacknowledge")
    settled(sandbox)
    assert (told(product)[-1]["event_type"], told(product)[-1]["agent"]) == ("incident.unacknowledged", None)
    assert sandbox.pagerduty.alerts[0].state is AlertState.TRIGGERED


@pytest.mark.usefixtures("page")
def test_only_what_is_possible_can_be_done(sandbox: SandboxServer) -> None:
    for arguments in ((1, "unacknowledge"), (2, "acknowledge"), (1, "explode"), (1, "acknowledge", "U0NOBODY")):
        with pytest.raises(HandlingError):
            sandbox.handle(*arguments)
    sandbox.handle(1, "resolve")
    with pytest.raises(HandlingError):
        sandbox.handle(1, "acknowledge")


@pytest.mark.usefixtures("page")
def test_a_restart_finds_what_was_done(sandbox: SandboxServer, journal: Path, clock: ManualClock) -> None:
    sandbox.handle(1, "acknowledge", "Ben Okoro")
    settled(sandbox)
    again = create_sandbox(clock=clock.now, slack_signing_secret="unused", journal=journal)
    assert again.pagerduty.alerts == sandbox.pagerduty.alerts
    assert again.pagerduty.alerts[0].events[-1].by == "U0BENOKORO"


@pytest.mark.usefixtures("page")
def test_the_page_has_a_button_for_each_and_takes_only_its_own_forms(sandbox: SandboxServer, product: Product) -> None:
    def buttons() -> list[str]:
        return re.findall(r'name="handle" value="([^"]+)"', requests.get(f"{sandbox.url}/", timeout=5).text)

    assert buttons() == ["1 acknowledge", "1 resolve"]
    form = {"handle": "1 acknowledge", "user": "U0CHITANAKA"}
    foreign = {"Origin": "https://evil.example"}
    assert requests.post(f"{sandbox.url}/handle", data=form, headers=foreign, timeout=5).status_code == 403
    own = {"Origin": sandbox.url.removesuffix("/sandbox")}
    assert requests.post(f"{sandbox.url}/handle", data=form, headers=own, timeout=5).ok
    assert requests.post(f"{sandbox.url}/handle", data=form, headers=own, timeout=5).status_code == 404
    assert buttons() == ["1 resolve", "1 unacknowledge"]
    assert "acknowledge by Chi Tanaka" in requests.get(f"{sandbox.url}/", timeout=5).text


def test_without_a_secret_there_are_no_buttons_and_nothing_is_told(events_session: Callable[..., Any]) -> None:
    with SandboxServer() as plain, Product() as product:
        plain.product_url = product.url
        body = {"routing_key": "R" * 32, "event_action": "trigger", "dedup_key": KEY}
        body |= {"payload": {"summary": "s", "source": "s", "severity": "info"}}  # type: ignore[dict-item]
        assert requests.post(f"{plain.pagerduty_url}/v2/enqueue", json=body, timeout=5).status_code == 202
        assert 'name="handle"' not in requests.get(f"{plain.url}/", timeout=5).text
        assert plain.sandbox.herald.tellings == ()


@pytest.mark.usefixtures("page")
def test_questions_are_answered_to_who_has_a_token(sandbox: SandboxServer) -> None:
    token = {"Authorization": "Token token=any"}

    def ask(path: str, **headers: str) -> requests.Response:
        return requests.get(f"{sandbox.pagerduty_api_url}{path}", headers=headers, timeout=5)

    assert ask("/users/P0ANNABERG", **token).json()["user"]["email"] == "anna.berg@sandbox.example"
    alerts = ask("/incidents/Q0000000000001/alerts", **token).json()["alerts"]
    assert [each["alert_key"] for each in alerts] == [KEY]
    assert ask("/users/PNOBODY", **token).status_code == 404
    assert ask("/users/P0ANNABERG").status_code == 401
