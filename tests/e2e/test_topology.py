"""The compose file's topology with the real servers: what is shipped carries an alert, and survives a loss."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from incidentd.clock import SystemClock
from incidentd.sandbox.app import Sandbox, create_sandbox
from incidentd.sandbox.pagerduty import PagerDutyAlert
from tests.deploy.composition import MAIN, SANDBOX, compose
from tests.deploy.conftest import make_secrets
from tests.e2e.topology import Topology
from tests.e2e.upstream import Exporter
from tests.servers import wait_until

OURS = ("web", "worker", "sandbox")
# Some twenty processes share what the machine has.
PATIENCE_SECONDS = 120.0


def alert_rule(slo: str, **labels: str) -> dict[str, Any]:
    """An alert that fires while its gauge is above 0."""
    return {
        "alert": f"{slo}-down",
        "expr": f"{slo.replace('-', '_')}_down > 0",
        "labels": {"system": "avalo", "slo": slo, "sli": "outage", "severity": "critical", **labels},
        "annotations": {"summary": f"{slo} is down"},
    }


ALERTS = {
    "groups": [
        {
            "name": "shop",
            "rules": [alert_rule("core-api"), alert_rule("wallet-success"), alert_rule("itself", job="incidentd")],
        }
    ]
}


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    healthy = Exporter(core_api_down=0, wallet_success_down=0, itself_down=0)
    with healthy.serving():
        yield healthy


@pytest.fixture
def topology(installation: Path, exporter: Exporter, rules: Path, tmp_path: Path) -> Iterator[Topology]:
    made = Topology(
        compose(MAIN, SANDBOX),
        tmp_path / "containers",
        programs=installation,
        secrets=make_secrets(tmp_path / "secrets"),
        rules=rules,
        target=exporter.address,
        alerts=ALERTS,
    )
    with made.running():
        yield made


@pytest.mark.timeout(900)
def test_an_alert_reaches_people_whichever_web_and_worker_group_dies(
    topology: Topology, exporter: Exporter, tmp_path: Path
) -> None:
    every_target_is_up(topology)
    exporter.gauges["core_api_down"] = 1
    await_told(topology, "core-api")
    both_webs_are_one(topology)
    redis_keeps_what_it_has_and_asks_for_the_password(topology)
    no_argument_and_no_log_line_is_a_secret(topology, tmp_path / "secrets")

    for name in ("web", "worker"):
        topology.containers[name][0].kill()
    exporter.gauges["wallet_success_down"] = 1
    await_told(topology, "wallet-success")
    wait_until(lambda: levels(topology, "wallet-success") >= {1, 2}, "level 2, as nobody answers", PATIENCE_SECONDS)
    its_own_alert_goes_past_it(topology, exporter)
    ended = topology.stop()
    assert {name: ended[name] for name in OURS} == dict.fromkeys(OURS, 0)
    nothing_was_written_outside_the_volumes(topology)


def every_target_is_up(topology: Topology) -> None:
    """Both webs and both worker groups, each under the name of its part."""

    def parts() -> list[str]:
        answer = requests.get(f"{topology.url('prometheus')}/api/v1/targets", timeout=10).json()
        up = [each["labels"] for each in answer["data"]["activeTargets"] if each["health"] == "up"]
        return sorted(labels["part"] for labels in up if labels["job"] == "incidentd")

    wait_until(
        lambda: parts() == ["web", "web", "worker", "worker"], "every target of incidentd to be up", PATIENCE_SECONDS
    )


def await_told(topology: Topology, slo: str) -> None:
    """Return once the on-call engineer is paged, and the card posted."""

    def told() -> bool:
        sandbox = received(topology)
        cards = [card for card in sandbox.slack.cards("#incidents") if f"*{slo}*" in str(card.blocks)]
        return bool(pages(sandbox, slo) and cards)

    wait_until(told, f"the page and the card of {slo}", PATIENCE_SECONDS)


def both_webs_are_one(topology: Topology) -> None:
    """A person who signed in at one is signed in at the other, and an action sent to both has its effect once."""
    one, other = topology.url("web", 1), topology.url("web", 2)
    with requests.Session() as browser:
        link = topology.containers["web"][0].execute("link")
        assert link.startswith(f"{one}/sign-in?")
        assert "core-api" in browser.get(link, timeout=10).text
        assert "core-api" in browser.get(f"{other}/", timeout=10).text
    incident = incident_of(topology, other, "core-api")
    headers = {"Authorization": f"Bearer {secret(topology, 'api_token')}", "Idempotency-Key": "one-and-the-same"}
    for url in (one, other):
        note = requests.post(
            f"{url}/api/v1/incidents/{incident['id']}/notes", json={"text": "looked"}, headers=headers, timeout=10
        )
        assert note.ok
    timeline = requests.get(f"{one}/api/v1/incidents/{incident['id']}/timeline", headers=headers, timeout=10).json()
    assert [entry["kind"] for entry in timeline["entries"]].count("note") == 1


def redis_keeps_what_it_has_and_asks_for_the_password(topology: Topology) -> None:
    port = topology.containers["redis"][0].port
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    url = topology.containers["worker"][0].path("/run/secrets/redis_url").read_text("utf-8")
    with redis.Redis.from_url(url) as known:
        assert known.config_get("appendonly") == {"appendonly": "yes"}
        assert known.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert known.keys("rq:worker:*")


def no_argument_and_no_log_line_is_a_secret(topology: Topology, secrets: Path) -> None:
    made = {value for file in secrets.rglob("*") if file.is_file() for value in file.read_text().split()}
    values = made - {"requirepass"}
    assert len(values) >= 10
    for container in (each for some in topology.containers.values() for each in some):
        seen = container.log + (container.arguments() if container.service.name != "migrate" else "")
        assert [value for value in values if value in seen] == []


def its_own_alert_goes_past_it(topology: Topology, exporter: Exporter) -> None:
    """From Alertmanager straight to PagerDuty."""
    exporter.gauges["itself_down"] = 1

    def paged() -> bool:
        events = [alert.latest.body for alert in received(topology).pagerduty.alerts]
        return any(event.get("client") == "Alertmanager" and "itself-down" in json.dumps(event) for event in events)

    wait_until(paged, "Alertmanager's own page", PATIENCE_SECONDS)
    url = topology.url("web", 2)
    assert [each["slo"] for each in incidents(topology, url) if each["slo"] == "itself"] == []


def nothing_was_written_outside_the_volumes(topology: Topology) -> None:
    """Their file systems are read-only."""
    for name in (*OURS, "migrate"):
        for container in topology.containers[name]:
            assert list(container.work.iterdir()) == []


def received(topology: Topology) -> Sandbox:
    """What the sandbox has received, read from its journal."""
    (container,) = topology.containers["sandbox"]
    journal = container.path("/var/lib/incidentd/sandbox.jsonl")
    return create_sandbox(clock=SystemClock().now, slack_signing_secret="unused", journal=journal)


def pages(sandbox: Sandbox, slo: str) -> list[PagerDutyAlert]:
    return [alert for alert in sandbox.pagerduty.alerts if alert.latest.payload.get("component") == slo]


def levels(topology: Topology, slo: str) -> set[int]:
    """The levels of this objective that have been paged."""
    return {page.latest.payload["custom_details"]["level"] for page in pages(received(topology), slo)}


def incidents(topology: Topology, url: str) -> list[Mapping[str, Any]]:
    headers = {"Authorization": f"Bearer {secret(topology, 'api_token')}"}
    found: list[Mapping[str, Any]] = requests.get(f"{url}/api/v1/incidents", headers=headers, timeout=10).json()[
        "incidents"
    ]
    return found


def incident_of(topology: Topology, url: str, slo: str) -> Mapping[str, Any]:
    (found,) = [each for each in incidents(topology, url) if each["slo"] == slo]
    return found


def secret(topology: Topology, name: str) -> str:
    return topology.containers["web"][0].path(f"/run/secrets/{name}").read_text("utf-8").strip()
