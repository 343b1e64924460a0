"""The dead-man's switch through real processes, both ways."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import requests

from incidentd.sandbox.app import Sandbox
from tests.channels.receiver import Receiver, answer
from tests.e2e.notification import notification
from tests.e2e.up import Up
from tests.servers import wait_until

TOKEN = "a-token-of-jobs-0123456789"
HEARTBEATS = """\
watchdog: {match: [alertname="Watchdog"], every: 5s, tier: P0}
backup: {every: 1s, tier: P0}
"""


def watchdog() -> dict[str, object]:
    return notification("none", alertname="Watchdog", severity="none")


def paged(received: Sandbox, name: str) -> bool:
    return any(event.action == "trigger" and f"Heartbeat {name}" in str(event) for event in received.pagerduty.events)


def test_a_job_that_falls_silent_is_paged_and_over_when_it_reports(make_up: Callable[..., Up], rules: Path) -> None:
    (rules / "heartbeats.yaml").write_text(HEARTBEATS)
    up = make_up(INCIDENTD_HEARTBEAT_TOKEN=TOKEN).start()
    wait_until(lambda: paged(up.received(), "backup"), "the page about the job")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    (missing,) = [each for each in up.get("/api/v1/incidents")["incidents"] if each["key"].endswith("/backup")]
    assert missing["key"] == "incidentd/heartbeat/backup"
    recovering = f"/api/v1/incidents/{missing['id']}"

    def heard() -> bool:
        assert requests.post(f"{up.url}/api/v1/heartbeats/backup", headers=headers, timeout=10).status_code == 200
        return bool(up.get(recovering)["state"] == "resolved")

    wait_until(heard, "the end of the silence")
    assert requests.post(f"{up.url}/api/v1/heartbeats/restore", headers=headers, timeout=10).status_code == 404
    assert requests.get(f"{up.url}/api/v1/incidents", headers=headers, timeout=10).status_code == 401


def test_a_watchdog_is_no_incident_and_its_silence_is_one(make_up: Callable[..., Up], rules: Path) -> None:
    (rules / "heartbeats.yaml").write_text(HEARTBEATS.splitlines()[0] + "\n")
    up = make_up().start()
    assert up.post(watchdog()).status_code == 200
    wait_until(lambda: paged(up.received(), "watchdog"), "the page about the watchdog")
    keys = [each["key"] for each in up.get("/api/v1/incidents")["incidents"]]
    assert keys == ["incidentd/heartbeat/watchdog"]
    assert 'incidentd_heartbeat_missing{heartbeat="watchdog"} 1.0' in requests.get(f"{up.url}/metrics", timeout=10).text


def test_an_outsider_is_pinged_until_nobody_keeps_time(make_up: Callable[..., Up], tmp_path: Path) -> None:
    with Receiver(answer(200, "OK")) as outsider:
        address = tmp_path / "heartbeat-url"
        address.write_text(f"{outsider.url}/canary-of-the-address\n")
        up = make_up(INCIDENTD_HEARTBEAT_URL_FILE=str(address), INCIDENTD_HEARTBEAT_SECONDS="1").start()
        wait_until(lambda: len(outsider.requests) >= 3, "some pings")
        assert {request.target for request in outsider.requests} == {"/canary-of-the-address"}
        timekeeper = up.part("timekeeper")
        assert timekeeper is not None
        os.kill(timekeeper, signal.SIGSTOP)
        try:
            wait_until(lambda: requests.get(f"{up.url}/-/delivering", timeout=10).status_code == 503, "no delivery")
            before = len(outsider.requests)
            assert requests.get(f"{up.url}/-/delivering", timeout=10).status_code == 503
            assert len(outsider.requests) == before
        finally:
            os.kill(timekeeper, signal.SIGCONT)
        wait_until(lambda: len(outsider.requests) > before, "pings again")
        assert up.interrupt() == 0
    assert "canary-of-the-address" not in up.log
