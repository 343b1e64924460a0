"""`incidentd drill` against real processes: by the webhook, by a real Alertmanager, and where PagerDuty refuses."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.pagerduty import AlertState
from incidentd.sandbox.server import SandboxServer
from tests.channels.receiver import Receiver, answer
from tests.e2e.up import PROGRAM, Up, command, environment
from tests.e2e.upstream import alertmanager
from tests.servers import leashed, wait_until

MakeUp = Callable[..., Up]
Ended = subprocess.CompletedProcess[str]
STEPS = [
    "the alert was sent",
    "an incident was opened",
    "the page was accepted",
    "the messages were accepted",
    "it was acknowledged",
    "the alert was ended",
    "the incident was closed",
    "the page was resolved",
]
TOKEN = "a-webhook-token-of-the-test-4711"
WEEKLY = """\
weekly: {tier: P1, system: avalo, weekdays: [wed], at: "10:00", zone: Europe/Berlin, within: 30s}
"""


def settings_of(up: Up) -> dict[str, str]:
    return {"INCIDENTD_LISTEN": up.listen, "INCIDENTD_RULES": up.settings["INCIDENTD_RULES"]}


def drill(up: Up, *arguments: str) -> Ended:
    return command("drill", *arguments, "--state", str(up.state), cwd=up.folder, **settings_of(up))


def steps_of(printed: str) -> list[str]:
    return [found[1].strip() for found in re.finditer(r"^✓ (.+?)\s+[\d,]+ ms", printed, re.MULTILINE)]


def last(up: Up) -> dict[str, Any]:
    found: dict[str, Any] = up.get("/api/v1/drills")["drills"][0]
    return found


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def real_receivers(sandbox: SandboxServer) -> dict[str, str]:
    return {
        "INCIDENTD_PAGERDUTY_EVENTS_URL": sandbox.pagerduty_url,
        "INCIDENTD_SLACK_API_URL": sandbox.slack_url,
        "INCIDENTD_SLACK_BOT_TOKEN": "xoxb-of-the-test-4711",
        "INCIDENTD_SLACK_SIGNING_SECRET": sandbox.signing_secret,
        "INCIDENTD_PAGERDUTY_ROUTING_KEY": "a" * 32,
    }


def test_a_drill_goes_the_whole_way_answers_itself_and_says_how_long_each_step_took(make_up: MakeUp) -> None:
    up = make_up().start()
    ended = drill(up, "--tier", "P1", "--system", "avalo", "--acknowledge")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert steps_of(ended.stdout) == STEPS
    assert "pages page-oncall (pagerduty, the sandbox), at once" in ended.stdout
    assert "incidentd drill, a machine" in ended.stdout
    assert "The drill was accepted." in ended.stdout

    found = last(up)
    assert (found["outcome"], found["by_hand"], found["steps"][0]["note"]) == ("accepted", True, "webhook")
    incident = up.get(f"/api/v1/incidents/{found['incident']}")
    assert (incident["drill"], incident["state"], incident["tier"]) == (True, "resolved", "P1")
    (page,) = up.received().pagerduty.alerts
    assert page.state is AlertState.RESOLVED
    assert page.latest.payload["summary"].startswith("P1 DRILL: P1 of avalo, nothing is wrong")
    assert "DRILL" in str(up.received().slack.cards("#incidents")[0].blocks)
    assert up.get("/api/v1/incidents?drill=false")["incidents"] == []
    metrics = requests.get(f"{up.url}/metrics", timeout=10).text
    assert 'incidentd_drills_total{outcome="accepted"} 1.0' in metrics
    assert 'incidentd_drill_step_seconds_count{step="page"} 1.0' in metrics


def test_somebody_is_asked_to_acknowledge_and_the_drill_waits_for_it(make_up: MakeUp) -> None:
    up = make_up().start()
    argv = [str(PROGRAM), "drill", "--tier", "p0", "--wait", "300", "--json", "--state", str(up.state)]
    with subprocess.Popen(
        leashed(argv), env=environment(**settings_of(up)), cwd=up.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: up.get("/api/v1/drills")["drills"] and last(up)["waits_for"] == "answer", "the page", 300)
        assert up.call(f"/api/v1/incidents/{last(up)['incident']}/acknowledge").status_code == 200
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    found = json.loads(printed)
    assert (found["outcome"], found["tier"], found["answer"]) == ("accepted", "P0", 300)
    assert [each["step"] for each in found["steps"]][4:] == ["answer", "ended", "closed", "page closed"]


def test_a_drill_by_way_of_a_real_alertmanager(make_up: MakeUp, tmp_path: Path) -> None:
    up = make_up(INCIDENTD_WEBHOOK_TOKEN=TOKEN)
    with alertmanager(tmp_path / "alertmanager", f"{up.url}/api/v1/alertmanager", TOKEN) as address:
        up.settings["INCIDENTD_ALERTMANAGER_URL"] = f"http://127.0.0.1:9 http://{address}"
        up.start()
        ended = drill(up, "--tier", "P1", "--acknowledge")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert steps_of(ended.stdout) == STEPS
        assert last(up)["steps"][0]["note"] == "Alertmanager"
        left = requests.get(f"http://{address}/api/v2/alerts?active=true", timeout=10).json()
        assert [each for each in left if each["labels"]["alertname"] == "IncidentdDrill"] == []


def test_where_pagerduty_refuses_the_drill_fails_there_and_says_what_to_look_at(
    make_up: MakeUp, sandbox: SandboxServer
) -> None:
    up = make_up(**real_receivers(sandbox)).start()
    sandbox.fail("pagerduty", FaultKind.STATUS, status=500, times=None)
    ended = drill(up, "--tier", "P1", "--within", "15", "--yes")
    assert ended.returncode == 1
    assert re.search(r"✗ the page was accepted +failed: page-oncall: PagerDuty answered with status 500", ended.stdout)
    assert "look at: what the incident's page says" in ended.stdout
    assert "The drill failed at: the page was accepted." in ended.stdout
    found = up.get(f"/api/v1/incidents/{last(up)['incident']}")
    assert found["state"] == "resolved"


def test_a_drill_that_answers_itself_waits_until_a_page_that_failed_once_is_accepted(
    make_up: MakeUp, sandbox: SandboxServer
) -> None:
    up = make_up(**real_receivers(sandbox)).start()
    sandbox.fail("pagerduty", FaultKind.STATUS, status=500, times=1)
    ended = drill(up, "--tier", "P1", "--acknowledge", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sorted(steps_of(ended.stdout), key=STEPS.index) == STEPS
    assert "failed" not in ended.stdout


def test_no_ping_goes_out_from_a_failed_drill_of_the_rules_until_one_is_accepted(
    make_up: MakeUp, rules: Path, sandbox: SandboxServer
) -> None:
    (rules / "drills.yaml").write_text(WEEKLY)
    with Receiver(answer(200, "OK")) as outsider:
        pinging = {"INCIDENTD_HEARTBEAT_URL": f"{outsider.url}/ping", "INCIDENTD_HEARTBEAT_SECONDS": "1"}
        up = make_up(**real_receivers(sandbox), **pinging).start()
        wait_until(lambda: len(outsider.requests) >= 2, "some pings")
        sandbox.fail("pagerduty", FaultKind.STATUS, status=401, times=None)
        failed = drill(up, "--name", "weekly", "--yes")
        assert failed.returncode == 1, failed.stdout
        wait_until(lambda: '"event": "ping_withheld"' in up.log, "no ping")
        assert '"cause": "the last drill weekly failed"' in up.log
        told = [each["key"] for each in up.get("/api/v1/incidents?system=incidentd")["incidents"]]
        assert "incidentd/drill/weekly" in told
        sandbox.faults.clear()
        before = len(outsider.requests)
        accepted = drill(up, "--name", "weekly", "--yes")
        assert accepted.returncode == 0, accepted.stdout
        wait_until(lambda: len(outsider.requests) > before, "pings again")
        assert 'incidentd_last_drill_accepted{drill="weekly"} 1.0' in requests.get(f"{up.url}/metrics", timeout=10).text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --tier, such as --tier P1, or the --name of a drill in rules/drills.yaml"),
        (("--tier", "P9"), "--tier 'P9' is none of P0, P1, P2, P3"),
        (("--name", "weekly", "--system", "avalo"), "--system goes with --tier"),
    ],
)
def test_an_order_that_makes_no_sense_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "webhook-token").write_text(TOKEN)
    (tmp_path / "api-token").write_text(TOKEN)
    ended = command("drill", *arguments, "--state", str(tmp_path), cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
