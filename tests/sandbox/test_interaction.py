from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.webhook import WebhookClient

from incidentd.clock import ManualClock
from incidentd.sandbox import interaction
from incidentd.sandbox.interaction import PressError
from incidentd.sandbox.server import SandboxServer
from tests.sandbox.product import Product

BUTTON = {
    "type": "button",
    "action_id": "acknowledge",
    "text": {"type": "plain_text", "text": "Acknowledge"},
    "value": "42.e1",
    "style": "primary",
}
BLOCKS = [{"type": "actions", "block_id": "answers", "elements": [BUTTON]}]


@pytest.fixture
def product(sandbox: SandboxServer) -> Iterator[Product]:
    with Product() as product:
        sandbox.product_url = product.url
        yield product


@pytest.fixture
def card(web: WebClient) -> Any:
    return web.chat_postMessage(channel="#incidents", text="P0", blocks=BLOCKS)


def test_a_press_is_signed_so_that_slack_sdk_accepts_it(
    sandbox: SandboxServer, product: Product, card: Any, clock: ManualClock
) -> None:
    sandbox.press(card["ts"], "acknowledge")
    ((headers, body),) = product.received

    class Standing(Clock):
        def now(self) -> float:
            return clock.now().timestamp()

    assert SignatureVerifier(sandbox.signing_secret, Standing()).is_valid_request(body, headers)
    assert not SignatureVerifier("another", Standing()).is_valid_request(body, headers)
    assert headers["path"] == "/slack/interactions"
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_press_carries_what_slack_documents(sandbox: SandboxServer, product: Product, card: Any) -> None:
    press = sandbox.press(card["ts"], "acknowledge", "U0BENOKORO")
    assert (press.status, press.problem, press.user.real_name) == (200, "", "Ben Okoro")
    (payload,) = product.payloads
    channel, ts = card["channel"], card["ts"]
    assert payload["type"] == "block_actions"
    assert payload["user"] == {
        "id": "U0BENOKORO",
        "username": "ben.okoro",
        "name": "ben.okoro",
        "team_id": payload["team"]["id"],
    }
    assert payload["channel"] == {"id": channel, "name": "incidents"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": channel,
        "is_ephemeral": False,
    }
    assert (payload["message"]["ts"], payload["message"]["blocks"]) == (ts, BLOCKS)
    (action,) = payload["actions"]
    assert action["action_ts"] and action["value"] == "42.e1"
    assert (action["action_id"], action["block_id"], action["type"]) == ("acknowledge", "answers", "button")
    assert payload["trigger_id"]
    assert payload["response_url"].startswith(sandbox.url + "/slack/respond/")


@pytest.mark.parametrize("status", [401, 302, 500])
def test_an_answer_other_than_200_is_a_problem(
    sandbox: SandboxServer, product: Product, card: Any, status: int
) -> None:
    product.answer = lambda: status
    press = sandbox.press(card["ts"], "acknowledge")
    assert (press.status, press.problem) == (status, f"answered {status}, not 200")
    assert len(product.received) == 1


def test_an_answer_after_more_than_3_seconds_is_a_problem(
    sandbox: SandboxServer, product: Product, card: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interaction, "ANSWER_SECONDS", 0.0)
    assert "Slack waits" in sandbox.press(card["ts"], "acknowledge").problem


def test_a_product_that_is_away_is_a_problem(sandbox: SandboxServer, card: Any) -> None:
    sandbox.product_url = "http://127.0.0.1:9"
    press = sandbox.press(card["ts"], "acknowledge")
    assert (press.status, press.problem) == (None, "no answer (ConnectionError)")
    assert sandbox.sandbox.presser.presses == (press,)


def test_only_what_stands_there_can_be_pressed(sandbox: SandboxServer, product: Product, card: Any) -> None:
    for arguments in (("1.000001", "acknowledge"), (card["ts"], "explode"), (card["ts"], "acknowledge", "U0NOBODY00")):
        with pytest.raises(PressError):
            sandbox.press(*arguments)
    with pytest.raises(PressError):
        sandbox.press(card["ts"], "acknowledge", value="older")
    assert product.received == []


def answer_at(sandbox: SandboxServer, product: Product, card: Any) -> WebhookClient:
    sandbox.press(card["ts"], "acknowledge")
    return WebhookClient(product.payloads[-1]["response_url"], retry_handlers=[])


def test_an_answer_at_the_response_url_is_seen_by_the_clicker_only(
    sandbox: SandboxServer, product: Product, card: Any
) -> None:
    answer = answer_at(sandbox, product, card).send(text="Ben Okoro was first")
    assert answer.status_code == 200
    (message,) = sandbox.slack.ephemeral("U0ANNABERG")
    assert (message.text, message.channel) == ("Ben Okoro was first", card["channel"])


def test_the_response_url_can_replace_the_message_or_post_in_the_channel(
    sandbox: SandboxServer, product: Product, card: Any
) -> None:
    client = answer_at(sandbox, product, card)
    client.send(text="replaced", replace_original=True)
    client.send(text="news", response_type="in_channel")
    assert [message.text for message in sandbox.slack.cards("#incidents")] == ["replaced", "news"]
    client.send(delete_original=True)
    assert [message.text for message in sandbox.slack.cards("#incidents")] == ["news"]


def test_a_response_url_works_5_times_within_30_minutes(
    sandbox: SandboxServer, product: Product, card: Any, clock: ManualClock
) -> None:
    client = answer_at(sandbox, product, card)
    assert [client.send(text="x").status_code for _ in range(6)] == [200] * 5 + [404]
    client = answer_at(sandbox, product, card)
    clock.advance(timedelta(minutes=30, seconds=1))
    assert client.send(text="x").status_code == 404
    assert requests.post(f"{sandbox.url}/slack/respond/guessed", json={"text": "x"}, timeout=5).status_code == 404
