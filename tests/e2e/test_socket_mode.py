"""`incidentd up` with an app-level token: the sandbox's buttons reach it over a socket, and it ends cleanly."""

import json
from collections.abc import Callable

import requests

from incidentd.channels.slack_card import ACKNOWLEDGE
from incidentd.clock import SystemClock
from incidentd.sandbox.app import create_sandbox
from tests import canary
from tests.e2e.up import EXAMPLE, Up
from tests.servers import wait_until

ACKNOWLEDGED = 'incidentd_slack_socket_envelopes_total{outcome="acknowledged"} '


def metric(up: Up, name: str) -> float:
    return float(requests.get(f"{up.url}/metrics", timeout=10).text.split(f"\n{name}")[1].split("\n")[0])


def card(up: Up) -> str:
    """The button of the card, as the sandbox's page names it; empty without."""
    kept = create_sandbox(clock=SystemClock().now, slack_signing_secret="unused", journal=up.state / "sandbox.jsonl")
    for message in kept.slack.cards("#incidents"):
        for block in message.blocks:
            for element in block.get("elements", ()):
                if element.get("action_id") == ACKNOWLEDGE:
                    return json.dumps([message.channel, message.ts, ACKNOWLEDGE, element["value"]])
    return ""


def test_a_press_in_the_sandbox_comes_over_the_socket_that_up_has_opened(make_up: Callable[..., Up]) -> None:
    up = make_up(INCIDENTD_SLACK_APP_TOKEN=canary.of("INCIDENTD_SLACK_APP_TOKEN")).start()
    wait_until(lambda: metric(up, "incidentd_slack_socket_open ") == 1, "a connection")
    assert up.post(json.loads(EXAMPLE.read_text())).ok
    wait_until(lambda: card(up), "the card")
    before = metric(up, ACKNOWLEDGED)
    pressed = requests.post(
        f"{up.url}/sandbox/press", data={"button": card(up)}, headers={"Origin": up.url}, timeout=30
    )
    assert pressed.ok
    wait_until(lambda: metric(up, ACKNOWLEDGED) > before, "the press to be counted")
    [incident] = up.get("/api/v1/incidents")["incidents"]
    assert incident["state"] == "acknowledged"
    assert up.interrupt() == 0
    assert "slack_socket_left" in up.log
    assert "slack_socket_failed" not in up.log
