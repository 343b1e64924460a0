"""Addresses that others name: a trap listens there, and nobody comes."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

import requests

from incidentd.incident.state import State
from tests.channels.receiver import Receiver, answer
from tests.story.story import Story


def test_nothing_that_slack_or_an_alert_names_is_ever_fetched(story: Story) -> None:
    with Receiver(answer(200, {})) as trap:
        alert = story.alert("avalo/core-api", value=99.4, region="eu", dashboard_url=trap.url)
        named = ("runbook_url", "dashboard_url", "image", "summary", "description")
        annotations = alert["annotations"] | {name: f"{trap.url}/{name}" for name in named}
        story.post([alert | {"annotations": annotations, "generatorURL": f"{trap.url}/graph"}])
        story.bench.settle()
        story.expect_page(level=1)
        for _ in range(2):
            _click(story, f"{trap.url}/response")
        story.bench.settle()
        story.expect(State.ACKNOWLEDGED)
        story.forward(minutes=40)
        story.expect_page(level=1)
        story.expect_page(level=2)
        assert trap.requests == []


def _click(story: Story, response_url: str) -> None:
    """Somebody in Slack presses the button, and Slack says where an answer may go."""
    incident = story.bench.incident()
    value = json.dumps({"incident": incident.id, "episode": incident.episode})
    payload = {
        "type": "block_actions",
        "user": {"id": "U0EVE", "username": "eve", "name": "eve"},
        "channel": {"id": "C1", "name": "incidents"},
        "response_url": response_url,
        "response_urls": [{"response_url": response_url}],
        "actions": [{"type": "button", "action_id": "incidentd_acknowledge", "value": value}],
    }
    raw = urlencode({"payload": json.dumps(payload)}).encode()
    at = str(int(story.bench.now.timestamp()))
    secret = story.bench.environ["INCIDENTD_SLACK_SIGNING_SECRET"].encode()
    digest = hmac.new(secret, b"v0:" + at.encode() + b":" + raw, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": f"v0={digest}",
    }
    assert requests.post(f"{story.url}/slack/interactions", data=raw, headers=headers, timeout=20).ok
