"""What an operator does while incidentd runs: examine, copy, prune; and after a loss, restore."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from incidentd.sandbox.server import SandboxServer
from tests.e2e.up import Up, command
from tests.lifecycle.bench import KEYS, RULES

SECRETS = {
    "INCIDENTD_PAGERDUTY_ROUTING_KEY": KEYS[1],
    "INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER": KEYS[2],
    "INCIDENTD_PAGERDUTY_ROUTING_KEY_CTO": KEYS[3],
    "INCIDENTD_SLACK_BOT_TOKEN": "xoxb-0123456789abcdef",
}


EXAMINATIONS = 5
"""A check that a busy machine gave too little time is made again; what is really wrong stays wrong."""


def _faults(said: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return [each for each in said if each["grade"] == "fault"]


def test_a_running_instance_is_examined_copied_pruned_and_restored_after_a_loss(
    make_up: Callable[..., Up], tmp_path: Path
) -> None:
    with SandboxServer() as sandbox:
        up = make_up(
            **SECRETS,
            INCIDENTD_RULES=str(RULES),
            INCIDENTD_SLACK_SIGNING_SECRET=sandbox.signing_secret,
            INCIDENTD_PAGERDUTY_EVENTS_URL=sandbox.pagerduty_url,
            INCIDENTD_SLACK_API_URL=sandbox.slack_url,
        ).start()

        def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
            return command(*arguments, "--state", str(up.state), cwd=tmp_path, **up.settings)

        fire = ("fire", "avalo/core-api", "--value", "99.4", "--region", "eu")
        assert run(*fire).returncode == 0
        assert sandbox.pagerduty.wait(lambda pagerduty: bool(pagerduty.alerts), 30)

        said: list[Mapping[str, str]] = []
        for _ in range(EXAMINATIONS):
            said = json.loads(run("doctor", "--json").stdout)["findings"]
            if not _faults(said):
                break
        assert _faults(said) == []
        assert {"/-/healthy is well", "/-/ready is well", "/-/delivering is well"} <= {each["says"] for each in said}

        copy = tmp_path / "copy.db"
        copied = run("backup", str(copy))
        assert copied.returncode == 0, copied.stderr
        assert "1 incident," in copied.stdout
        assert "removed 0 incidents" in run("prune", "--older-than", "1d").stdout
        refused = run("restore", str(copy))
        assert refused.returncode == 2
        assert "nothing was restored" in refused.stderr

        up.interrupt()
        for each in up.state.glob("incidentd.db*"):
            each.unlink()
        restored = run("restore", str(copy))
        assert restored.returncode == 0, restored.stderr
        up.start()
        assert run(*fire).returncode == 0
        assert {each.dedup_key for each in sandbox.pagerduty.alerts if each.routing_key == KEYS[1]} == {
            sandbox.pagerduty.alerts[0].dedup_key
        }
        assert up.interrupt() == 0


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    for text in ("1h", "soon", "-1d"):
        ended = command("prune", f"--older-than={text}", "--state", str(tmp_path), cwd=tmp_path)
        assert ended.returncode == 2
        assert "no time of a day or more" in ended.stderr
