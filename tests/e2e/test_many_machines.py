"""`migrate`, `serve` and `worker`, each a process of its own, on PostgreSQL and one Redis."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from incidentd.sandbox.server import SandboxServer
from tests.e2e.notification import notification
from tests.e2e.up import PROGRAM, STOP_SECONDS, command, environment
from tests.servers import RedisServer, free_port, leashed, wait_until

TOKEN = "a-webhook-token-of-the-test"
API_TOKEN = "an-api-token-of-the-test"


@contextmanager
def part(name: str, settings: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One command that runs until SIGTERM, and then ends with status 0."""
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(leashed([str(PROGRAM), name]), env=environment(**settings), stderr=log)
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def test_one_worker_group_takes_over_from_another(
    postgres_url: str, redis_server: RedisServer, rules: Path, tmp_path: Path
) -> None:
    with SandboxServer() as sandbox:
        listen = f"127.0.0.1:{free_port()}"
        settings = {
            "INCIDENTD_DATABASE_URL": postgres_url,
            "INCIDENTD_REDIS_URL": redis_server.url,
            "INCIDENTD_RULES": str(rules),
            "INCIDENTD_LISTEN": listen,
            "INCIDENTD_WEBHOOK_TOKEN": TOKEN,
            "INCIDENTD_API_TOKEN": API_TOKEN,
            "INCIDENTD_PAGERDUTY_ROUTING_KEY": "a" * 32,
            "INCIDENTD_PAGERDUTY_EVENTS_URL": sandbox.pagerduty_url,
            "INCIDENTD_SLACK_BOT_TOKEN": "xoxb-of-the-test-4711",
            "INCIDENTD_SLACK_SIGNING_SECRET": "signing-secret-of-the-test",
            "INCIDENTD_SLACK_API_URL": sandbox.slack_url,
            "INCIDENTD_LEASE_SECONDS": "3",
            "INCIDENTD_HTTP_SECONDS": "1",
            "INCIDENTD_WORKERS_PAGE": "1",
            "INCIDENTD_WORKERS_ESCALATE": "1",
        }
        assert "older schema" in command("serve", cwd=tmp_path, **settings).stderr
        assert command("migrate", cwd=tmp_path, **settings).returncode == 0
        with part("serve", settings, tmp_path):
            wait_until(lambda: is_ready(listen), "the web part")
            with part("worker", settings, tmp_path) as first:
                post(listen, "core-api")
                assert sandbox.pagerduty.wait(lambda pagerduty: len(pagerduty.alerts) == 1, 30)
                first.kill()
                first.wait()
            post(listen, "wallet-success")
            with part("worker", settings, tmp_path):
                assert sandbox.pagerduty.wait(lambda pagerduty: len(pagerduty.alerts) >= 3, 30), "both, and level 2"


def test_a_restart_over_an_unsound_table_goes_on_with_the_one_in_force(rules: Path, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    settings = {
        "INCIDENTD_DATABASE_URL": f"sqlite:///{tmp_path / 'incidentd.db'}",
        "INCIDENTD_RULES": str(rules),
        "INCIDENTD_LISTEN": listen,
        "INCIDENTD_WEBHOOK_TOKEN": TOKEN,
        "INCIDENTD_API_TOKEN": API_TOKEN,
    }
    assert command("migrate", cwd=tmp_path, **settings).returncode == 0
    with part("serve", settings, tmp_path):
        wait_until(lambda: is_ready(listen), "the web part")
    table = rules / "avalo.yaml"
    table.write_text(table.read_text().replace("tier: P0\n", "tier: P9\n", 1))
    with part("serve", settings, tmp_path) as process:
        wait_until(lambda: is_ready(listen), "the web part, over the unsound table")
        process.send_signal(signal.SIGHUP)
        post(listen, "core-api")
        wait_until(lambda: {"avalo/core-api", "incidentd/rules/incidentd"} <= keys(listen), "both incidents")


def is_ready(listen: str) -> bool:
    try:
        return requests.get(f"http://{listen}/-/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def post(listen: str, slo: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://{listen}/api/v1/alertmanager"
    assert requests.post(url, json=notification(slo), headers=headers, timeout=10).status_code == 200


def keys(listen: str) -> set[str]:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = requests.get(f"http://{listen}/api/v1/incidents", headers=headers, timeout=10)
    return {incident["key"] for incident in answer.json()["incidents"]}
