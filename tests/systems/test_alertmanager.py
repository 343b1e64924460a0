"""How the alerts of the five systems get from Alertmanager to incidentd."""

import json
import subprocess

import pytest
import yaml

from slo.source import ROOT
from tests.servers import program

CONFIGURATION = ROOT / "alertmanager.yml"
ROUTE = yaml.safe_load(CONFIGURATION.read_text("utf-8"))["route"]


def amtool(*arguments: str) -> str:
    done = subprocess.run([program("amtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alertmanager_takes_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIGURATION))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=AvaloCoreApiBelow995", "system=avalo", "slo=core-api", "region=eu"], "incidentd"),
        (["alertname=AgentmeshOutage", "system=agentmesh", "slo=availability", "environment=preview"], "incidentd"),
        (["alertname=Watchdog", "severity=none"], "incidentd"),
        (["alertname=TargetDown", "job=node"], "incidentd"),
        (["alertname=IncidentdPageUndelivered", "job=incidentd"], "incidentd-itself"),
    ],
)
def test_everything_goes_to_incidentd_but_what_is_about_it(labels: list[str], receiver: str) -> None:
    said = amtool("config", "routes", "test", f"--config.file={CONFIGURATION}", *labels)
    assert said.strip() == receiver


def test_alerts_of_one_objective_travel_together_and_environments_apart() -> None:
    """The same labels as in the key of an incident: `key` in rules/tiers.yaml."""
    key = yaml.safe_load((ROOT.parent / "rules/tiers.yaml").read_text("utf-8"))["key"]
    assert ROUTE["group_by"] == [key["system"][0], key["slo"][0], *key["also"]]
    assert all("group_by" in each for each in ROUTE["routes"])


def test_a_token_is_read_from_a_file_and_redirects_are_not_followed() -> None:
    (receiver, _) = yaml.safe_load(CONFIGURATION.read_text("utf-8"))["receivers"]
    (hook,) = receiver["webhook_configs"]
    assert hook["http_config"]["authorization"] == {"credentials_file": "/run/secrets/webhook_token"}
    assert hook["http_config"]["follow_redirects"] is False
    assert hook["send_resolved"] is True
    assert "max_alerts" not in json.dumps(hook), "what is cut off is never told"


def test_the_watchdog_comes_three_times_in_the_time_that_its_heartbeat_may_be_silent() -> None:
    (watchdog,) = [each for each in ROUTE["routes"] if each["matchers"] == ['alertname="Watchdog"']]
    expected = (ROOT.parent / "rules/heartbeats.yaml").read_text("utf-8")
    assert 'match: [alertname="Watchdog"]' in expected
    assert "every: 30m" in expected
    assert int(watchdog["repeat_interval"].removesuffix("m")) * 3 <= 30
    (group,) = yaml.safe_load((ROOT / "watchdog.rules.yml").read_text("utf-8"))["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["Watchdog"]
