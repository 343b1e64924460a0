"""How Prometheus, Alertmanager, Redis and incidentd are wired to one another."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.composition import MAIN, SANDBOX, compose
from tests.deploy.dockerfile import ROOT
from tests.servers import program

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
ALERTMANAGERS = sorted((DEPLOY / "alertmanager").glob("*.yml"))

each_alertmanager = pytest.mark.parametrize("file", ALERTMANAGERS, ids=lambda file: file.name)


def test_prometheus_takes_its_configuration() -> None:
    assert "SUCCESS" in said(program("promtool"), "check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_prometheus_reads_every_rule_file() -> None:
    """Those beside its configuration, whatever they are for, and the user's."""
    named = load(PROMETHEUS / "prometheus.yml")["rule_files"]
    there = {file for file in PROMETHEUS.rglob("*.yml") if file.name != "prometheus.yml" and "test" not in file.name}
    assert {file for pattern in named for file in PROMETHEUS.glob(pattern)} == there


def test_prometheus_scrapes_every_web_and_every_worker_by_name() -> None:
    (job,) = [each for each in load(PROMETHEUS / "prometheus.yml")["scrape_configs"] if each["job_name"] == "incidentd"]
    services = compose(MAIN).services
    listening = {
        "web": services["web"].environment["INCIDENTD_LISTEN"],
        "worker": services["worker"].environment["INCIDENTD_METRICS_LISTEN"],
    }
    found = {name: f"0.0.0.0:{each['port']}" for each in job["dns_sd_configs"] for name in each["names"]}
    assert found == listening
    assert {each["type"] for each in job["dns_sd_configs"]} == {"A"}


@each_alertmanager
def test_alertmanager_takes_its_configuration(file: Path) -> None:
    assert "SUCCESS" in said(program("amtool"), "check-config", str(file))


@each_alertmanager
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=Down", "system=avalo"], "incidentd"),
        (["alertname=TargetDown", "job=prometheus"], "incidentd"),
        (["alertname=Down", "job=incidentd-shop"], "incidentd"),
        (["alertname=Down", "job=incidentd"], "incidentd-itself"),
        (["alertname=Down", "job=incidentd", "system=avalo"], "incidentd-itself"),
    ],
)
def test_alerts_about_incidentd_never_go_through_it(file: Path, labels: list[str], receiver: str) -> None:
    assert said(program("amtool"), "config", "routes", "test", f"--config.file={file}", *labels).strip() == receiver


def test_every_alert_about_incidentd_says_so_where_alertmanager_looks() -> None:
    """A sum over series has no job of its own: the rule itself has to name it."""
    groups = [group for file in PROMETHEUS.glob("*.rules.yml") for group in load(file)["groups"]]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert alerts
    assert [rule["alert"] for rule in alerts if rule.get("labels", {}).get("job") != "incidentd"] == []


@each_alertmanager
def test_no_receiver_needs_what_another_does(file: Path) -> None:
    receivers = {each["name"]: each for each in load(file)["receivers"]}
    assert set(receivers["incidentd"]) == {"name", "webhook_configs"}
    assert set(receivers["incidentd-itself"]) == {"name", "pagerduty_configs"}


def test_alertmanager_has_the_tokens_that_it_reads_as_files() -> None:
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    secrets = compose(MAIN).services["alertmanager"].secrets
    assert sorted(secrets) == ["pagerduty_routing_key", "webhook_token"]
    assert [name for name in secrets if f"/run/secrets/{name}" not in text] == []


def test_with_the_sandbox_only_pagerdutys_address_is_another() -> None:
    shipped, sandbox = (
        load(DEPLOY / "alertmanager" / name) for name in ("alertmanager.yml", "alertmanager.sandbox.yml")
    )
    assert sandbox.pop("global") == {"pagerduty_url": "http://sandbox:8090/sandbox/pagerduty/v2/enqueue"}
    assert sandbox == shipped
    (mount,) = [each for each in compose(MAIN, SANDBOX).services["alertmanager"].mounts if not each.is_volume]
    assert mount.source == "./deploy/alertmanager/alertmanager.sandbox.yml"


def test_redis_keeps_what_it_has_evicts_nothing_and_asks_for_the_password() -> None:
    lines = (DEPLOY / "redis" / "redis.conf").read_text("utf-8").splitlines()
    directives = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    assert (directives["appendonly"], directives["maxmemory-policy"]) == ("yes", "noeviction")
    assert directives["include"] == "/run/secrets/redis_auth"
    redis = compose(MAIN).services["redis"]
    assert redis.secrets == ["redis_auth"]
    assert redis.command == ["redis-server", "/etc/redis/redis.conf"]


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


def said(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
