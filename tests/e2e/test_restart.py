"""The web part by itself: on a database without a schema, and over a table that has become unsound."""

import signal
from pathlib import Path

import requests

from tests.e2e.notification import notification
from tests.e2e.part import is_ready, part
from tests.e2e.up import command
from tests.servers import free_port, wait_until

TOKEN = "a-webhook-token-of-the-test"
API_TOKEN = "an-api-token-of-the-test"


def test_a_database_that_nobody_migrated_is_refused_with_what_to_run(rules: Path, tmp_path: Path) -> None:
    tokens = {"INCIDENTD_WEBHOOK_TOKEN": TOKEN, "INCIDENTD_API_TOKEN": API_TOKEN}
    ended = command("serve", cwd=tmp_path, INCIDENTD_RULES=str(rules), **tokens)
    assert (ended.returncode, "run `incidentd migrate` first" in ended.stderr) == (2, True)


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


def post(listen: str, slo: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://{listen}/api/v1/alertmanager"
    assert requests.post(url, json=notification(slo), headers=headers, timeout=10).status_code == 200


def keys(listen: str) -> set[str]:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = requests.get(f"http://{listen}/api/v1/incidents", headers=headers, timeout=10)
    return {incident["key"] for incident in answer.json()["incidents"]}
