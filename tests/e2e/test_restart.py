"""The web part by itself: on a database without a schema, and over a table that has become unsound."""

import signal
import sys
from pathlib import Path

import requests

from tests.e2e.notification import notification
from tests.e2e.part import answers, is_ready, part
from tests.e2e.up import command
from tests.servers import free_port, wait_until

TOKEN = "a-webhook-token-of-the-test"
API_TOKEN = "an-api-token-of-the-test"


HOLD_UP_AN_IMPORT = """
import pathlib, sys, time

class HoldUp:
    def find_spec(self, name, path, target=None):
        if name == "sqlalchemy":
            pathlib.Path("importing").touch()
            while not pathlib.Path("go on").exists():
                time.sleep(0.01)

sys.meta_path.insert(0, HoldUp())
"""


def test_sighup_while_it_is_still_imported_ends_nothing_and_waits(rules: Path, tmp_path: Path) -> None:
    """A service that was just started may be told to reload: systemd calls it active from its first instruction on."""
    (tmp_path / "sitecustomize.py").write_text(HOLD_UP_AN_IMPORT)
    settings = on_sqlite(rules, tmp_path)
    assert command("migrate", cwd=tmp_path, **settings).returncode == 0
    held_up = settings | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    with part("-m", held_up, tmp_path, "incidentd.cli", "serve", program=Path(sys.executable)) as process:
        wait_until((tmp_path / "importing").exists, "an import")
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go on").touch()
        wait_until(lambda: is_ready(settings["INCIDENTD_LISTEN"]), "the web part")
        log = tmp_path / "-m.log"
        wait_until(lambda: log.read_text().count("rules_in_force") == 2, "the table of the start, and of the reload")


def test_a_command_that_reloads_nothing_ends_at_sighup(tmp_path: Path) -> None:
    port = free_port()
    listen = ("incidentd.cli", "sandbox", "--listen", f"127.0.0.1:{port}")
    settings = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with part("-m", settings, tmp_path, *listen, program=Path(sys.executable)) as process:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/sandbox/"), "the sandbox")
        process.send_signal(signal.SIGHUP)
        assert process.wait(120) == -signal.SIGHUP


def test_a_database_that_nobody_migrated_is_refused_with_what_to_run(rules: Path, tmp_path: Path) -> None:
    tokens = {"INCIDENTD_WEBHOOK_TOKEN": TOKEN, "INCIDENTD_API_TOKEN": API_TOKEN}
    ended = command("serve", cwd=tmp_path, INCIDENTD_RULES=str(rules), **tokens)
    assert (ended.returncode, "run `incidentd migrate` first" in ended.stderr) == (2, True)


def test_a_restart_over_an_unsound_table_goes_on_with_the_one_in_force(rules: Path, tmp_path: Path) -> None:
    settings = on_sqlite(rules, tmp_path)
    listen = settings["INCIDENTD_LISTEN"]
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


def on_sqlite(rules: Path, folder: Path) -> dict[str, str]:
    """What the web part by itself needs."""
    return {
        "INCIDENTD_DATABASE_URL": f"sqlite:///{folder / 'incidentd.db'}",
        "INCIDENTD_RULES": str(rules),
        "INCIDENTD_LISTEN": f"127.0.0.1:{free_port()}",
        "INCIDENTD_WEBHOOK_TOKEN": TOKEN,
        "INCIDENTD_API_TOKEN": API_TOKEN,
    }


def post(listen: str, slo: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://{listen}/api/v1/alertmanager"
    assert requests.post(url, json=notification(slo), headers=headers, timeout=10).status_code == 200


def keys(listen: str) -> set[str]:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = requests.get(f"http://{listen}/api/v1/incidents", headers=headers, timeout=10)
    return {incident["key"] for incident in answer.json()["incidents"]}
