from pathlib import Path

import requests
from slack_sdk import WebClient

from incidentd.clock import ManualClock
from incidentd.sandbox.app import create_sandbox
from incidentd.sandbox.server import SandboxServer

KEY = "R" * 32


def send(sandbox: SandboxServer, action: str, dedup_key: str = "k") -> int:
    event = {
        "routing_key": KEY,
        "event_action": action,
        "dedup_key": dedup_key,
        "payload": {"summary": "s", "source": "s", "severity": "info"},
    }
    return requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=event, timeout=5).status_code


def web(sandbox: SandboxServer) -> WebClient:
    return WebClient(token="xoxb-secret-token", base_url=sandbox.slack_url, retry_handlers=[])


def test_a_restart_finds_messages_alerts_and_requests_as_they_were(tmp_path: Path, clock: ManualClock) -> None:
    journal = tmp_path / "new" / "sandbox.jsonl"
    with SandboxServer(clock=clock.now, journal=journal) as before:
        card = web(before).chat_postMessage(channel="#c", text="P0", metadata={"event_type": "t", "event_payload": {}})
        web(before).chat_postMessage(channel="#c", text="reply", thread_ts=card["ts"])
        web(before).chat_update(channel=card["channel"], ts=card["ts"], text="P0, acknowledged")
        web(before).chat_postEphemeral(channel="#c", user="U0ANNABERG", text="first")
        for action in ("trigger", "acknowledge"):
            send(before, action)
        send(before, "junk")
    with SandboxServer(clock=clock.now, journal=journal) as after:
        assert after.slack.messages() == before.slack.messages()
        assert after.slack.channels == before.slack.channels
        assert after.slack.replies(after.slack.cards()[0]) == before.slack.replies(before.slack.cards()[0])
        assert after.pagerduty.alerts == before.pagerduty.alerts
        assert after.pagerduty.events == before.pagerduty.events
        assert [(r.body, r.status) for r in after.pagerduty.requests] == [
            (r.body, r.status) for r in before.pagerduty.requests
        ]
        later = web(after).chat_postMessage(channel="#c", text="later")
        assert str(later["ts"]) > after.slack.messages()[-2].ts
        web(after).chat_update(channel=card["channel"], ts=card["ts"], text="resolved")
        send(after, "resolve")
        assert [alert.state for alert in after.pagerduty.alerts] == ["resolved"]


def test_a_line_that_a_kill_cut_off_is_left_out_and_written_over(tmp_path: Path, clock: ManualClock) -> None:
    journal = tmp_path / "sandbox.jsonl"
    for text in ("one", "two"):
        with SandboxServer(clock=clock.now, journal=journal) as sandbox:
            web(sandbox).chat_postMessage(channel="#c", text=text)
        with journal.open("a") as file:
            file.write('{"number": 3, "serv')
    with SandboxServer(clock=clock.now, journal=journal) as sandbox:
        assert [message.text for message in sandbox.slack.messages()] == ["one", "two"]


def test_a_line_that_a_full_disk_broke_does_not_hold_up_the_start(tmp_path: Path, clock: ManualClock) -> None:
    journal = tmp_path / "sandbox.jsonl"
    with SandboxServer(clock=clock.now, journal=journal) as sandbox:
        web(sandbox).chat_postMessage(channel="#c", text="one")
        web(sandbox).chat_postMessage(channel="#c", text="two")
    first, second = journal.read_text().splitlines()
    journal.write_text(f"{first[:50]}\n{second}\n")
    with SandboxServer(clock=clock.now, journal=journal) as sandbox:
        assert [message.text for message in sandbox.slack.messages()] == ["two"]


def test_the_journal_holds_no_token(tmp_path: Path, clock: ManualClock) -> None:
    journal = tmp_path / "sandbox.jsonl"
    with SandboxServer(clock=clock.now, journal=journal) as sandbox:
        web(sandbox).chat_postMessage(channel="#c", text="x")
        assert ("authorization", "Bearer xoxb-secret-token") in sandbox.slack.requests[0].headers
    assert "xoxb-secret-token" not in journal.read_text()


def test_what_was_accepted_is_in_the_journal_before_anybody_is_told(tmp_path: Path, clock: ManualClock) -> None:
    journal = tmp_path / "sandbox.jsonl"
    with SandboxServer(clock=clock.now, journal=journal) as sandbox:
        send(sandbox, "trigger")
        again = create_sandbox(clock=clock.now, slack_signing_secret="s", journal=journal)
        assert again.pagerduty.alerts == sandbox.pagerduty.alerts


def test_memory_keeps_the_newest_of_everything(clock: ManualClock) -> None:
    with SandboxServer(clock=clock.now, keep=3) as sandbox:
        for number in range(5):
            send(sandbox, "trigger", str(number))
        assert [alert.dedup_key for alert in sandbox.pagerduty.alerts] == ["2", "3", "4"]
        assert len(sandbox.pagerduty.requests) == len(sandbox.pagerduty.events) == 3
        for number in range(5):
            web(sandbox).chat_postMessage(channel="#c", text=str(number))
        assert [message.text for message in sandbox.slack.messages()] == ["2", "3", "4"]
        assert send(sandbox, "trigger", "0") == 202
