"""Slack's Socket Mode against the sandbox's WebSockets: acknowledged once stored, connected again whatever ends."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from incidentd.channels import slack_socket as way
from incidentd.channels.backoff import next_try
from incidentd.errors import PermanentError, StoreUnavailableError, TransientError
from incidentd.incident.command import Acknowledge
from incidentd.lifecycle.degraded import Known, Mode, degraded, modes
from incidentd.lifecycle.work import ActionResult
from incidentd.sandbox import socket as stand_in
from incidentd.sandbox.answer import JsonObject
from incidentd.sandbox.server import SandboxServer
from incidentd.sandbox.socket import Sockets
from incidentd.settings import load_settings
from incidentd.store import entries
from incidentd.tier import Tier
from incidentd.web import interaction, slack_socket, slack_wire
from incidentd.web.envelope import Envelope, signature
from incidentd.web.slack_socket import SocketMode
from tests import canary
from tests.incident.build import Story
from tests.servers import wait_until
from tests.web.fake import NOW, FakeRuntime, keep

TOKEN = canary.of("INCIDENTD_SLACK_APP_TOKEN")
LONG = 60.0
"""For what a busy machine may take its time with."""


@pytest.fixture(autouse=True)
def _no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bound that a busy machine could miss, and no pause; those that a test is about are set there."""
    soon = timedelta(milliseconds=10)
    monkeypatch.setattr(slack_socket, "next_try", lambda _tries, _asked, now, _random: now + soon)
    monkeypatch.setattr(slack_socket, "OPEN_SECONDS", LONG)
    monkeypatch.setattr(slack_wire, "GREETING_SECONDS", LONG)
    monkeypatch.setattr(slack_wire, "FINISH_SECONDS", LONG)
    monkeypatch.setattr(slack_socket, "_CLOSE_SECONDS", LONG)
    monkeypatch.setattr(interaction, "STORE_SECONDS", LONG)
    monkeypatch.setattr(stand_in, "ANSWER_SECONDS", LONG)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(slack_app_token=TOKEN) as server:
        yield server


@pytest.fixture
def sockets(sandbox: SandboxServer) -> Sockets:
    return sandbox.slack.sockets


def given(runtime: FakeRuntime, sandbox: SandboxServer, token: str = TOKEN) -> FakeRuntime:
    runtime.settings = load_settings({
        "INCIDENTD_PUBLIC_URL": "http://testserver",
        "INCIDENTD_SLACK_APP_TOKEN": token,
        "INCIDENTD_SLACK_API_URL": sandbox.slack_url,
    })  # fmt: skip
    return runtime


@pytest.fixture
def socket_mode(runtime: FakeRuntime, sandbox: SandboxServer, sockets: Sockets) -> Iterator[SocketMode]:
    with closing(SocketMode(given(runtime, sandbox))) as mode:
        mode.start()
        wait_until(lambda: runtime.slack_socket.open_connections, "a connection")
        yield mode


@pytest.fixture
def incident(runtime: FakeRuntime) -> str:
    story = Story()
    story.fire(tier=Tier.P0)
    return keep(runtime.store, story)


def press(incident: str, user: str = "ann", at: str = "1772452800.000100", **more: Any) -> JsonObject:
    action = {"type": "button", "action_id": "incidentd_acknowledge", "action_ts": at}
    return {
        "type": "block_actions",
        "user": {"id": "U" + user.upper(), "name": user},
        "channel": {"id": "C1", "name": "incidents"},
        "actions": [{**action, "value": json.dumps({"incident": incident, "episode": 1})}],
        **more,
    }


def kinds(runtime: FakeRuntime, incident: str) -> list[str]:
    told = runtime.store.read(lambda tx: entries.load(tx, incident))
    return [entry.kind for entry in told]


def counted(runtime: FakeRuntime, name: str) -> dict[str, float]:
    families = {family.name: family for family in runtime.meter.collect()}
    return {each.labels["outcome"]: each.value for each in families[name].samples}


def envelopes(runtime: FakeRuntime) -> dict[str, float]:
    return counted(runtime, "incidentd_slack_socket_envelopes")


def tries(runtime: FakeRuntime) -> dict[str, float]:
    return counted(runtime, "incidentd_slack_socket_connections")


def test_a_press_comes_over_the_socket_and_is_acknowledged(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    sent = sockets.send("interactive", press(incident))
    assert sockets.wait(sent, LONG)
    assert [(done.incident_id, done.command) for done in runtime.actions] == [
        (incident, Acknowledge("ann", "slack", episode=1))
    ]
    assert "acknowledged" in kinds(runtime, incident)
    assert [json.loads(said) for said in sockets.heard] == [{"envelope_id": sent.id}]


def test_who_is_refused_is_told_and_the_press_is_acknowledged(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    for user in ("ann", "ben"):
        assert sockets.wait(sockets.send("interactive", press(incident, user)), LONG)
    [(channel, user, text)] = runtime.whispers
    assert (channel, user) == ("C1", "UBEN")
    assert text.startswith("Not done: ann has acknowledged this incident already.")


def test_the_command_is_answered_with_its_acknowledgement(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    sent = sockets.send("slash_commands", {"command": "/incident", "user_id": "UANN"})
    assert sockets.wait(sent, LONG)
    assert sent.answer is not None
    assert (sent.answer["response_type"], f"/incidents/{incident}" in sent.answer["text"]) == ("ephemeral", True)


def test_nothing_is_acknowledged_before_it_is_stored(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    runtime.stuck = True
    slow = sockets.send("interactive", press(incident))
    wait_until(lambda: runtime.futures, "the press to arrive")
    # What comes later is done and acknowledged meanwhile: so it is not for want of time that the first is not.
    runtime.stuck = False
    assert sockets.wait(sockets.send("interactive", {}), LONG)
    assert slow.answer is None
    stored(runtime, incident, runtime.futures[0])
    assert sockets.wait(slow, LONG)


def stored(runtime: FakeRuntime, incident: str, future: "Future[Any]") -> None:
    result: ActionResult = runtime.submit_action(runtime.actions[0]).result(LONG)
    future.set_result(result)


def test_what_can_not_be_stored_is_not_acknowledged_comes_again_and_counts_once(
    runtime: FakeRuntime,
    socket_mode: SocketMode,
    sockets: Sockets,
    incident: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime.failure = StoreUnavailableError("away")
    sent = sockets.send("interactive", press(incident))
    wait_until(lambda: envelopes(runtime)["failed"], "the failure")
    assert (sent.answer, kinds(runtime, incident).count("acknowledged")) == (None, 0)
    runtime.failure = None
    monkeypatch.setattr(stand_in, "ANSWER_SECONDS", 0.0)
    assert sockets.wait(sent, LONG), "it was not sent again"
    monkeypatch.setattr(stand_in, "ANSWER_SECONDS", LONG)
    assert sockets.wait(sockets.send("interactive", press(incident)), LONG), "the same press in another envelope"
    assert kinds(runtime, incident).count("acknowledged") == 1
    assert len({action.signature for action in runtime.actions}) == 1
    assert runtime.whispers == []


def test_another_press_of_the_same_button_is_another_press(incident: str) -> None:
    def named(payload: JsonObject, envelope: str = "e1") -> str:
        return signature(Envelope(envelope, "interactive", payload))

    same = named(press(incident))
    assert named(press(incident, response_url="https://evil.example"), "e2") == same
    others = {named(press(incident, user="ben")), named(press(incident, at="1772452801.000100"))}
    assert len({same, *others}) == 3
    undated = {**press(incident), "actions": [{"action_id": "x"}]}
    assert named(undated, "e1") == named(undated, "e1") != named(undated, "e2")
    assert len(same) < 76, "the table's column, with the place of the click behind it"


def test_another_connection_takes_over_while_the_old_one_still_listens(
    runtime: FakeRuntime,
    socket_mode: SocketMode,
    sockets: Sockets,
    incident: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slack_socket, "DRAIN_SECONDS", 10 * LONG)
    for count, reason in enumerate(("refresh_requested", "warning"), 2):
        sockets.disconnect(reason)
        wait_until(lambda count=count: sockets.connections == count, "another connection")  # type: ignore[misc]
        assert runtime.slack_socket.away is None
    assert sockets.wait(sockets.send("interactive", press(incident)), LONG)


def test_what_is_on_its_way_on_an_old_connection_is_acknowledged_there(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    runtime.stuck = True
    sent = sockets.send("interactive", press(incident))
    wait_until(lambda: runtime.futures, "the press to arrive")
    sockets.disconnect("warning")
    wait_until(lambda: sockets.connections == 2, "another connection")
    runtime.stuck = False
    stored(runtime, incident, runtime.futures[0])
    assert sockets.wait(sent, LONG)
    assert sent.sendings == 1


def test_a_connection_that_breaks_is_opened_anew(
    runtime: FakeRuntime, sandbox: SandboxServer, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    sockets.close()
    wait_until(lambda: sockets.opened == 2, "another connection")
    sandbox.stop()
    wait_until(lambda: tries(runtime)["failed"], "a try in vain")
    away = runtime.slack_socket.away
    assert away is not None
    assert (away.refused, away.cause == "") == (False, False)
    sandbox.start()
    wait_until(lambda: runtime.slack_socket.open_connections, "a connection")
    assert runtime.slack_socket.away is None
    assert sockets.wait(sockets.send("interactive", press(incident)), LONG)


def test_a_token_that_slack_refuses_is_said_once_and_a_sound_one_is_taken_later(
    runtime: FakeRuntime, sandbox: SandboxServer, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_socket, "REFUSED_SECONDS", 0.01)
    monkeypatch.setattr(sockets, "_app_token", canary.of("a token that Slack knows"))
    with capture_logs() as logs, closing(SocketMode(given(runtime, sandbox))) as mode:
        mode.start()
        wait_until(lambda: tries(runtime)["refused"] >= 3, "three refusals")
        away = runtime.slack_socket.away
        assert away is not None
        assert (away.refused, away.cause) == (True, "Slack refused: invalid_auth")
        known = Known(began_at=NOW, cycle_at=NOW, socket_away=away)
        assert modes(degraded(known, NOW)) == {Mode.SLACK_SOCKET}
        assert "Mend INCIDENTD_SLACK_APP_TOKEN" in degraded(known, NOW)[0].ends
        monkeypatch.setattr(sockets, "_app_token", TOKEN)
        wait_until(lambda: runtime.slack_socket.open_connections, "a connection")
    told = [log for log in logs if log["log_level"] == "warning"]
    assert told == [{"event": "slack_socket_refused", "cause": "Slack refused: invalid_auth", "log_level": "warning"}]


def test_pauses_grow_are_not_shorter_than_slack_asks_and_longest_after_a_refusal(
    runtime: FakeRuntime, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_socket, "next_try", next_try)
    mode = SocketMode(given(runtime, sandbox))
    assert 0.5 <= mode._wait(1, None) <= 1
    assert 15 <= mode._wait(50, TransientError("away")) <= 30
    assert mode._wait(1, TransientError("later", timedelta(seconds=40))) == 40
    assert mode._wait(1, PermanentError("no")) == slack_socket.REFUSED_SECONDS


def test_socket_mode_that_is_switched_off_is_a_refusal(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets
) -> None:
    sockets.disconnect("link_disabled")
    wait_until(lambda: tries(runtime)["refused"], "the refusal")
    sockets.close()
    wait_until(lambda: runtime.slack_socket.open_connections == 0, "the end of the connection")
    assert sockets.opened == 1


STRANGE = {
    "nothing": "",
    "no JSON": "not json",
    "no object": "[1, 2]",
    "no type": "{}",
    "deep": "[" * 100_000,
    "a lone surrogate": '{"type": "interactive", "envelope_id": "\\ud800"}',
    "an id that is no text": '{"type": "interactive", "envelope_id": 7}',
    "an endless id": json.dumps({"type": "interactive", "envelope_id": "x" * 1000}),
    "too large": json.dumps({"type": "interactive", "envelope_id": "big", "payload": {"x": "y" * (2 << 20)}}),
    "a reason that is none": '{"type": "hello", "reason": null}',
}
LEFT_ALONE: dict[str, tuple[str, JsonObject]] = {
    "unknown type": ("workflow_step", {"x": 1}),
    "an event": ("events_api", {"event": {"type": "app_mention"}}),
    "no payload": ("interactive", {}),
    "a form": ("interactive", {"type": "view_submission", "user": {"id": "U1", "name": "ann"}}),
    "actions that are no list": ("interactive", {"type": "block_actions", "actions": {"a": 1}}),
    "actions that are none": ("interactive", {"type": "block_actions", "user": 1, "actions": [None, 1, {}]}),
    "a button of another app": (
        "interactive",
        {"type": "block_actions", "user": {"id": "U1", "name": "ann"}, "actions": [{"action_id": "x", "value": "{}"}]},
    ),
}


def test_strange_messages_neither_end_the_connection_nor_are_acknowledged(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    for message in STRANGE.values():
        sockets.say(message)
    for kind, payload in LEFT_ALONE.values():
        assert sockets.wait(sockets.send(kind, payload), LONG), kind
    assert runtime.actions == []
    sent = sockets.send("interactive", press(incident))
    assert sockets.wait(sent, LONG)
    assert sockets.opened == 1
    assert len(sockets.heard) == len(LEFT_ALONE) + 1
    told = {"acknowledged": len(LEFT_ALONE) + 1, "failed": 0, "not_understood": len(STRANGE) - 1}
    # An acknowledgement is counted once it is on its way.
    wait_until(lambda: envelopes(runtime) == told, "the count")


def test_a_message_beyond_all_bounds_ends_only_its_connection(
    runtime: FakeRuntime,
    sandbox: SandboxServer,
    sockets: Sockets,
    incident: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(way, "LARGEST_MESSAGE", 1 << 20)
    with closing(SocketMode(given(runtime, sandbox))) as mode:
        mode.start()
        wait_until(lambda: runtime.slack_socket.open_connections, "a connection")
        sockets.say(STRANGE["too large"])
        wait_until(lambda: sockets.opened == 2, "another connection")
        assert sockets.wait(sockets.send("interactive", press(incident)), LONG)


def test_ending_finishes_and_acknowledges_what_is_being_handled(
    runtime: FakeRuntime, socket_mode: SocketMode, sockets: Sockets, incident: str
) -> None:
    runtime.stuck = True
    sent = sockets.send("interactive", press(incident))
    wait_until(lambda: runtime.futures, "the press to arrive")
    closer = threading.Thread(target=socket_mode.close)
    closer.start()
    assert sent.answer is None
    runtime.stuck = False
    stored(runtime, incident, runtime.futures[0])
    assert sockets.wait(sent, LONG)
    closer.join(LONG)
    assert not closer.is_alive()
    wait_until(lambda: sockets.connections == 0, "the connection to be closed")
    assert (sockets.opened, runtime.slack_socket.open_connections) == (1, 0)


def test_without_a_token_nothing_is_opened_and_nothing_is_missed(runtime: FakeRuntime) -> None:
    with closing(SocketMode(runtime)) as mode:
        mode.start()
        assert (runtime.slack_socket.is_expected, runtime.slack_socket.away) == (False, None)
    assert not [each for each in threading.enumerate() if each.name == "slack-socket"]
