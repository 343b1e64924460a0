"""Rules that can be trusted before they wake anyone: observe only, a shadow table, and a destination's test."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from incidentd.sandbox.app import Sandbox
from tests.e2e.notification import notification
from tests.e2e.up import Up, command
from tests.servers import wait_until

DIFFERENCE = re.compile(r'incidentd_shadow_alerts_total\{outcome="(\w+)"\} ([0-9.]+)')


@pytest.fixture
def shadow(rules: Path, tmp_path: Path) -> Path:
    """avalo is observed by the rules in force; its outage is a P1, and is told, by the shadow's."""
    folder = tmp_path / "shadow"
    shutil.copytree(rules, folder)
    replace_in(folder / "avalo.yaml", 'sli="outage"]\n    tier: P0', 'sli="outage"]\n    tier: P1')
    text = (folder / "avalo.yaml").read_text()
    (folder / "avalo.yaml").write_text(re.sub(r"(\{row: core-api-outage, tier: )P0", r"\1P1", text))
    replace_in(rules / "avalo.yaml", "system: avalo\n", "system: avalo\nobserve: true\n")
    return folder


@pytest.mark.timeout(900)
def test_what_is_observed_is_shown_and_told_to_nobody_and_what_a_shadow_would_do_is_counted_and_listed(
    make_up: Callable[..., Up], shadow: Path
) -> None:
    up = make_up(INCIDENTD_SHADOW_RULES=str(shadow)).start()
    person = requests.Session()
    person.get(up.printed(r"pages +(\S+)"), timeout=10).raise_for_status()
    wait_until(lambda: "is tried beside the one in force" in read(person, up, "/rules"), "the shadow table")

    assert up.post(notification("core-api")).status_code == 200
    assert up.post(notification("availability", system="agentmesh", sli="outage")).status_code == 200
    # What is told of agentmesh, which came later, shows that silence about avalo is no slowness.
    wait_until(lambda: pages(up.received()) and cards(up.received()), "the page and the card of agentmesh")

    observed = up.incident("core-api")
    assert observed is not None
    assert (observed["observed"], observed["tier"], observed["state"]) == (True, "P0", "triggered")
    assert "nobody is told of it" in read(person, up, f"/incidents/{observed['id']}")
    assert 'title="Recorded, and nobody is told"' in read(person, up, "/")
    assert [each["kind"] for each in up.timeline("core-api")] == ["opened"]
    box = up.received()
    told = json.dumps([pages(box), cards(box), [mail.subject for mail in box.mailbox.mails]])
    told += json.dumps([hook.body for hook in box.hooks.hooks])
    assert "core-api" not in told
    assert "availability" in told

    wait_until(lambda: differences(person, up).get("less_urgent") == 1, "the difference in /metrics")
    assert differences(person, up)["same"] == 1
    wait_until(lambda: "2 new alerts since" in said(up), "both alerts in the list")
    assert "1 differs." in said(up)
    assert "P0 avalo/core-api-outage → P1 avalo/core-api-outage: less urgent" in said(up)
    page = read(person, up, "/rules")
    assert "of 2 new alerts since" in page
    assert "less urgent" in page
    assert up.interrupt() == 0


@pytest.mark.timeout(900)
def test_a_destinations_test_finds_the_sandbox_of_an_up_that_runs_and_only_then(make_up: Callable[..., Up]) -> None:
    up = make_up().start()
    rules = up.settings["INCIDENTD_RULES"]
    for name in ("page-oncall", "management-mail", "ticket-queue"):
        tested = command("destination", "test", name, "--rules", rules, cwd=up.folder)
        assert tested.returncode == 0, tested.stderr
        assert f"{name} is the sandbox's: no real one is set up" in tested.stdout
        assert "nothing of an open incident had been given up there" in tested.stdout
    box = up.received()
    assert "test of incidentd" in json.dumps(pages(box))
    assert len(box.mailbox.mails) == 1
    assert {hook.name.partition("/")[0] for hook in box.hooks.hooks} == {"ticket-queue"}
    real = {
        "INCIDENTD_SLACK_BOT_TOKEN": "xoxb-a-real-token-of-the-test",
        "INCIDENTD_SLACK_API_URL": "http://127.0.0.1:9",
    }
    assert command("destination", "test", "incidents", "--rules", rules, cwd=up.folder, **real).returncode == 1
    assert up.interrupt() == 0
    after = command("destination", "test", "incidents", "--rules", rules, cwd=up.folder)
    assert (after.returncode, "incidents (slack) is not set up" in after.stderr) == (2, True)


def replace_in(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), "utf-8")


def read(person: requests.Session, up: Up, path: str) -> str:
    answer = person.get(f"{up.url}{path}", timeout=10)
    answer.raise_for_status()
    return answer.text


def differences(person: requests.Session, up: Up) -> dict[str, float]:
    """How many alerts the shadow judged how."""
    return {verdict: float(count) for verdict, count in DIFFERENCE.findall(read(person, up, "/metrics"))}


def said(up: Up) -> str:
    listed = command("rules", "shadow", "--state", str(up.state), cwd=up.folder)
    assert listed.returncode == 0, listed.stderr
    return listed.stdout


def pages(box: Sandbox) -> list[Any]:
    return [dict(alert.latest.payload) for alert in box.pagerduty.alerts]


def cards(box: Sandbox) -> list[Any]:
    return [card.blocks for name in ("#incidents", "#alerts", "#devops") for card in box.slack.cards(name)]
