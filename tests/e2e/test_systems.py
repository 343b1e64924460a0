"""A breach of each of the five systems, from its counters to the people: real Prometheus, Alertmanager, incidentd."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentd.clock import SystemClock
from incidentd.sandbox.pagerduty import PagerDutyAlert
from incidentd.sandbox.server import SandboxServer
from tests.e2e.backfill import alertmanager, fill, openmetrics, prometheus
from tests.e2e.rulebook import SHIPPED
from tests.e2e.up import Up
from tests.servers import wait_until

ROUTING_KEY = "INCIDENTD_PAGERDUTY_ROUTING_KEY"
KEYS = {"": "a" * 32, "_MANAGER": "b" * 32, "_CTO": "c" * 32, "_CHAT_BACKEND": "d" * 32}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPAN = timedelta(minutes=45)
SECONDS = 180.0

# Counters, by how much they rise each minute.
RATES = {
    # 4 failures a minute in each of two regions: more than 20 in 15 minutes, yet hardly any of the budget.
    **{f'product_chat_failed_count_total{{region="{each}"}}': 4 for each in ("eu", "us")},
    **{f'product_chat_message_count_total{{region="{each}"}}': 40_000 for each in ("eu", "us")},
    # p95 is 325 ms.
    'delivery_latency_ms_bucket{event="send",le="250"}': 80,
    'delivery_latency_ms_bucket{event="send",le="350"}': 100,
    'delivery_latency_ms_bucket{event="send",le="+Inf"}': 100,
    'delivery_latency_ms_count{event="send"}': 100,
    # 0.2 % fail, which is twice the budget, in production and in preview.
    **{f'agentmesh_http_requests_total{{code="200",environment="{e}"}}': 998 for e in ("production", "preview")},
    **{f'agentmesh_http_requests_total{{code="500",environment="{e}"}}': 2 for e in ("production", "preview")},
    # 90 % pass.
    'astudio_ci_runs_total{result="passed"}': 9,
    'astudio_ci_runs_total{result="failed"}': 1,
    # 10 % fail: a burn rate of 100.
    "success_count": 90,
    "total_requests": 100,
}
INCIDENTS = {
    "avalo/chat-delivery": ("P0", "avalo/chat-failures-15m"),
    "chat-backend/message-send-latency": ("P1", "chat-backend/send-over-300"),
    "agentmesh/api-success/environment=production": ("P0", "agentmesh/budget-from-100"),
    "agentmesh/api-success/environment=preview": ("P3", "agentmesh/preview"),
    "astudio/ci-pass-rate": ("P1", "astudio/ci-below-95"),
    "user-metadata/availability": ("P1", "user-metadata/fast-burn"),
}
PAGED = {
    "avalo/chat-delivery": KEYS[""],
    "chat-backend/message-send-latency": KEYS["_CHAT_BACKEND"],
    "agentmesh/api-success/environment=production": KEYS[""],
    "user-metadata/availability": KEYS[""],
}
CHANNELS = {
    "avalo/chat-delivery": {"#incidents", "#management"},
    "chat-backend/message-send-latency": {"#incidents"},
    "agentmesh/api-success/environment=production": {"#alerts", "#devops"},
    "agentmesh/api-success/environment=preview": {"#alerts", "#tickets"},
    "astudio/ci-pass-rate": {"#incidents"},
    "user-metadata/availability": {"#incidents"},
}


@pytest.fixture
def opens() -> datetime:
    """When astudio's business hours begin: three days from now, at nine."""
    return (SystemClock().now() + timedelta(days=3)).replace(hour=9, minute=0, second=0, microsecond=0)


@pytest.fixture
def rules(tmp_path: Path, opens: datetime) -> Path:
    """The shipped rules, with business hours on one weekday that is neither today nor tomorrow."""
    folder = tmp_path / "rules"
    shutil.copytree(SHIPPED, folder)
    file = folder / "calendars.yaml"
    before, weekdays, after = file.read_text("utf-8").rpartition("[mon, tue, wed, thu, fri]")
    assert "business-hours:" in before and weekdays
    file.write_text(f"{before}[{WEEKDAYS[opens.weekday()]}]{after}", "utf-8")
    return folder


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def up(sandbox: SandboxServer, make_up: Callable[..., Up]) -> Up:
    return make_up(
        INCIDENTD_PAGERDUTY_EVENTS_URL=sandbox.pagerduty_url,
        INCIDENTD_SLACK_API_URL=sandbox.slack_url,
        INCIDENTD_SLACK_BOT_TOKEN="xoxb-of-the-test-4712",
        INCIDENTD_SLACK_SIGNING_SECRET=sandbox.signing_secret,
        **{f"{ROUTING_KEY}{level}": key for level, key in KEYS.items()},
    ).start()


@pytest.mark.timeout(400)
def test_a_breach_of_each_system_has_its_tier_and_reaches_its_people(
    up: Up, sandbox: SandboxServer, tmp_path: Path, opens: datetime
) -> None:
    webhook, token = up.printed(r"Alertmanager  POST (\S+)"), up.printed(r"bearer token (\S+)")
    now = SystemClock().now()
    fill(tmp_path, openmetrics(RATES, now - SPAN, now))
    with alertmanager(tmp_path, webhook, token) as address, prometheus(tmp_path, address):
        wait_until(lambda: tiers(up) == {key: tier for key, (tier, _) in INCIDENTS.items()}, "six incidents", SECONDS)
        wait_until(lambda: PAGED.items() <= pages(sandbox).items(), "the first pages", SECONDS)
        wait_until(lambda: cards(sandbox, up) == CHANNELS, "the cards", SECONDS)
    assert pages(sandbox) == PAGED
    found = incidents(up)
    assert {key: each["rule"]["row"] for key, each in found.items()} == {
        key: row for key, (_, row) in INCIDENTS.items()
    }
    assert found["avalo/chat-delivery"]["scope"] == ["eu", "us"]
    respond_by = datetime.fromisoformat(found["astudio/ci-pass-rate"]["respond_by"])
    assert respond_by == opens + timedelta(minutes=15)
    says_what_is_wrong(sandbox)


def incidents(up: Up) -> dict[str, Mapping[str, Any]]:
    return {each["key"]: each for each in up.get("/api/v1/incidents")["incidents"]}


def tiers(up: Up) -> dict[str, str]:
    return {key: each["tier"] for key, each in incidents(up).items()}


def key_of(page: PagerDutyAlert) -> str:
    payload = page.latest.payload
    key = f"{payload['source']}/{payload['component']}"
    return f"{key}/environment=production" if key.startswith("agentmesh") else key


def pages(sandbox: SandboxServer) -> dict[str, str]:
    """The routing key of each incident's page of level 1."""
    first = [each for each in sandbox.pagerduty.alerts if each.latest.payload["custom_details"]["level"] == 1]
    return {key_of(each): each.routing_key for each in first}


def cards(sandbox: SandboxServer, up: Up) -> dict[str, set[str]]:
    """The channels in which each incident has a card."""
    found: dict[str, set[str]] = {}
    there = incidents(up)
    for channel in {name for told in CHANNELS.values() for name in told}:
        for card in sandbox.slack.cards(channel):
            for key, each in there.items():
                if each["id"] in str(card.blocks):
                    found.setdefault(key, set()).add(channel)
    return found


def says_what_is_wrong(sandbox: SandboxServer) -> None:
    (page,) = [each for each in sandbox.pagerduty.alerts if key_of(each).startswith("chat-backend")]
    assert page.latest.payload["summary"].startswith("P1 Sending a message: p95 325 ms, a hard fail")
    links = {link["text"]: link["href"] for link in page.latest.body["links"]}
    assert links["Runbook"] == "https://runbooks.example.com/chat-backend/message-send-latency"
    assert links["Dashboard"] == "https://grafana.example.com/d/chat-phase-0?var-slo=message-send-latency"
