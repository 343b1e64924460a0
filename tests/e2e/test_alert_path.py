"""From a series that Prometheus scrapes to the people, and back: everything real but PagerDuty and Slack."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentd.sandbox.message import Message
from incidentd.sandbox.pagerduty import AlertState, PagerDutyAlert
from incidentd.sandbox.server import SandboxServer
from tests.e2e.rulebook import HOLD_DOWN, in_seconds
from tests.e2e.up import Up
from tests.e2e.upstream import Exporter, alertmanager, prometheus
from tests.servers import wait_until

KEYS = {1: "a" * 32, 2: "b" * 32, 3: "c" * 32}
BOT_TOKEN = "xoxb-of-the-test-4711"
ROUTING_KEY = "INCIDENTD_PAGERDUTY_ROUTING_KEY"
AVAILABILITY = 'core_api_availability{region="eu"}'
LATENCY = "money_flow_latency_p95"
PATIENT_LEVELS = (20, 2, 60)


def alert_rule(name: str, expression: str, **labels: str) -> dict[str, Any]:
    """One alert rule with what people need to know."""
    annotations = {
        "summary": f"{name} {{{{ $value }}}}",
        "value": "{{ $value }}",
        "objective": "as agreed",
        "runbook_url": f"https://runbooks.example.com/{name}",
        "dashboard_url": f"https://grafana.example.com/{name}",
    }
    every = {"system": "avalo", "severity": "critical", **labels}
    return {"alert": name, "expr": expression, "labels": every, "annotations": annotations}


RULES = {
    "groups": [
        {
            "name": "avalo",
            "rules": [
                alert_rule("CoreApiBelow995", "core_api_availability < 99.5", slo="core-api", sli="availability"),
                alert_rule(
                    "MoneyFlowOver2000", f"{LATENCY} > 2000", slo="money-flow-latency", sli="latency_p95", window="10m"
                ),
            ],
        }
    ]
}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Level 1 has time for a page to arrive and for somebody to answer, however busy the machine."""
    return in_seconds(tmp_path / "rules", PATIENT_LEVELS)


@pytest.fixture
def up(sandbox: SandboxServer, make_up: Callable[..., Up]) -> Up:
    made = make_up(
        INCIDENTD_PAGERDUTY_EVENTS_URL=sandbox.pagerduty_url,
        INCIDENTD_SLACK_API_URL=sandbox.slack_url,
        INCIDENTD_SLACK_BOT_TOKEN=BOT_TOKEN,
        INCIDENTD_SLACK_SIGNING_SECRET=sandbox.signing_secret,
        **{ROUTING_KEY: KEYS[1], f"{ROUTING_KEY}_MANAGER": KEYS[2], f"{ROUTING_KEY}_CTO": KEYS[3]},
    ).start()
    sandbox.product_url = made.url
    return made


@pytest.fixture
def exporter(up: Up, tmp_path: Path) -> Iterator[Exporter]:
    """Healthy series, scraped by Prometheus, whose alerts go by way of Alertmanager to incidentd."""
    healthy = Exporter(**{AVAILABILITY: 99.95, LATENCY: 250.0})
    webhook, token = up.printed(r"Alertmanager  POST (\S+)"), up.printed(r"bearer token (\S+)")
    with ExitStack() as stack:
        stack.enter_context(healthy.serving())
        address = stack.enter_context(alertmanager(tmp_path / "alertmanager", webhook, token))
        stack.enter_context(prometheus(tmp_path / "prometheus", RULES, healthy.address, address))
        yield healthy


def test_an_alert_becomes_a_page_and_silence_climbs_the_levels(
    exporter: Exporter, up: Up, sandbox: SandboxServer
) -> None:
    exporter.gauges[AVAILABILITY] = 99.2
    page = paged(sandbox, "core-api", level=1)
    acknowledge_in_slack(up, sandbox)
    says_what_is_wrong(page, up)

    exporter.gauges[LATENCY] = 2500.0
    climbs(up, sandbox)
    assert [alert.routing_key for alert in pages(sandbox, "core-api")] == [KEYS[1]]

    exporter.gauges |= {AVAILABILITY: 99.99, LATENCY: 240.0}
    ends(up, sandbox, "core-api")
    ends(up, sandbox, "money-flow-latency")
    assert up.interrupt() == 0
    assert up.errors == []
    assert not [secret for secret in (*KEYS.values(), BOT_TOKEN, sandbox.signing_secret) if secret in up.log]


def says_what_is_wrong(page: PagerDutyAlert, up: Up) -> None:
    incident = up.incident("core-api")
    assert incident is not None
    assert page.routing_key == KEYS[1]
    assert page.latest.payload["severity"] == "critical"
    assert page.latest.payload["summary"].startswith("P0 CoreApiBelow995 99.2")
    links = {link["text"]: link["href"] for link in page.latest.body["links"]}
    assert links["Runbook"] == "https://runbooks.example.com/CoreApiBelow995"
    assert links["Dashboard"] == "https://grafana.example.com/CoreApiBelow995"
    assert "/graph?g0.expr=core_api_availability" in links["Prometheus"]
    assert links["Incident"] == f"{up.url}/incidents/{incident['id']}"
    assert (incident["tier"], incident["scope"]) == ("P0", ["eu"])
    assert incident["rule"]["row"] == "avalo/core-api-below-99.5"


def acknowledge_in_slack(up: Up, sandbox: SandboxServer) -> None:
    wait_until(lambda: sandbox.slack.cards("#incidents"), "the card")
    card = card_of(sandbox, "core-api")
    assert "*99.2*" in str(card.blocks)
    press = sandbox.press(card, "incidentd_acknowledge", "Ben Okoro")
    assert (press.status, press.problem) == (200, "")
    incident = up.incident("core-api")
    assert incident is not None
    assert (incident["state"], incident["acknowledged_by"]) == ("acknowledged", "ben.okoro")
    assert incident["responded_in_time"] is True
    wait_until(lambda: states(sandbox, "core-api") == {AlertState.ACKNOWLEDGED}, "the acknowledgement at PagerDuty")
    wait_until(lambda: "Acknowledged* by *ben.okoro*" in str(card_of(sandbox, "core-api")), "the card to say so")


def climbs(up: Up, sandbox: SandboxServer) -> None:
    """Nobody answers: level 2 and level 3 are paged, each at its own service, and never early."""
    found = {level: paged(sandbox, "money-flow-latency", level) for level in (1, 2, 3)}
    assert {level: page.routing_key for level, page in found.items()} == KEYS
    entries = up.timeline("money-flow-latency")
    opened_at = instant(entries[0])
    reached = {entry["data"]["level"]: instant(entry) for entry in entries if entry["kind"] == "level"}
    assert reached[2] >= opened_at + timedelta(seconds=PATIENT_LEVELS[0])
    assert reached[3] >= opened_at + timedelta(seconds=sum(PATIENT_LEVELS[:2]))
    for level in (2, 3):
        assert found[level].opened_at >= reached[level]


def ends(up: Up, sandbox: SandboxServer, slo: str) -> None:
    """What fires no more is resolved everywhere, after the hold-down."""
    wait_until(lambda: up.state_of(slo) == "resolved", f"{slo} resolved")
    at = {entry["kind"]: instant(entry) for entry in up.timeline(slo)}
    assert at["resolved"] >= at["recovering"] + timedelta(seconds=HOLD_DOWN)
    wait_until(lambda: states(sandbox, slo) == {AlertState.RESOLVED}, f"{slo} resolved at PagerDuty")
    wait_until(lambda: "*Resolved*" in str(card_of(sandbox, slo).blocks), f"the card of {slo} to say so")


def card_of(sandbox: SandboxServer, slo: str) -> Message:
    """The card of this objective, as it reads now."""
    cards = [card for card in sandbox.slack.cards("#incidents") if not card.broadcast]
    (found,) = [card for card in cards if f"*{slo}*" in str(card.blocks)]
    return found


def paged(sandbox: SandboxServer, slo: str, level: int) -> PagerDutyAlert:
    """The page of this objective's level, as soon as it came."""

    def found() -> list[PagerDutyAlert]:
        return [a for a in pages(sandbox, slo) if a.latest.payload["custom_details"]["level"] == level]

    wait_until(found, f"the page of level {level}")
    (page,) = found()
    return page


def pages(sandbox: SandboxServer, slo: str) -> list[PagerDutyAlert]:
    """All pages of this objective."""
    return [alert for alert in sandbox.pagerduty.alerts if alert.latest.payload["component"] == slo]


def states(sandbox: SandboxServer, slo: str) -> set[AlertState]:
    """What this objective's pages have come to."""
    return {alert.state for alert in pages(sandbox, slo)}


def instant(entry: Any) -> datetime:
    return datetime.fromisoformat(entry["at"])
