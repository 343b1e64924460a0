import json
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from incidentd.clock import ManualClock
from incidentd.sandbox.fault import FaultBoard, FaultKind, InjectedFault
from incidentd.sandbox.server import SandboxServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pdpyras import PDClientError, PDHTTPError

KEY = "R" * 32
EVENT = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "k",
    "payload": {"summary": "s", "source": "s", "severity": "info"},
}


def raw(url: str, body: bytes, seconds: float = 5.0) -> bytes:
    """All bytes that come back until the other side closes."""
    parts = urlsplit(url)
    assert parts.port is not None
    with socket.create_connection(("127.0.0.1", parts.port), timeout=seconds) as connection:
        head = f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer t\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def trigger(sandbox: SandboxServer, seconds: float = 5.0) -> bytes:
    return raw(f"{sandbox.pagerduty_url}/v2/enqueue", json.dumps(EVENT).encode(), seconds)


@pytest.mark.parametrize("retry_after", ["1", "3600", "-1", "abc", "Wed, 21 Oct 2026 07:28:00 GMT", None])
def test_429_carries_the_retry_after_that_was_ordered(sandbox: SandboxServer, retry_after: str | None) -> None:
    sandbox.fail("pagerduty", FaultKind.RATE_LIMIT, retry_after=retry_after)
    answer = requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=EVENT, timeout=5)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, retry_after)
    assert answer.json()["status"] == "throttle exceeded"
    assert requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=EVENT, timeout=5).status_code == 202


def test_slack_sdk_reads_429_and_its_retry_after(sandbox: SandboxServer, web: WebClient) -> None:
    sandbox.fail("slack", FaultKind.RATE_LIMIT, retry_after="30")
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="#c", text="x")
    response = raised.value.response
    assert (response.status_code, response["error"]) == (429, "ratelimited")
    assert response.headers["Retry-After"] == "30"
    assert sandbox.slack.messages() == []


@pytest.mark.parametrize("status", [400, 403, 500, 502, 503])
def test_pdpyras_meets_the_status_that_was_ordered(
    sandbox: SandboxServer, events_session: Callable[..., Any], status: int
) -> None:
    sandbox.fail("pagerduty", FaultKind.STATUS, status=status)
    with pytest.raises(PDHTTPError) as raised:
        events_session().trigger("s", "s")
    assert raised.value.response.status_code == status
    assert sandbox.pagerduty.events == ()


@pytest.mark.parametrize("error", ["ratelimited", "channel_not_found", "invalid_auth", "fatal_error"])
def test_slack_answers_ok_false_with_the_error_that_was_ordered(
    sandbox: SandboxServer, web: WebClient, error: str
) -> None:
    sandbox.fail("slack", FaultKind.ERROR, error=error)
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="#c", text="x")
    assert (raised.value.response.status_code, raised.value.response["error"]) == (200, error)


@pytest.mark.parametrize(("kind", "accepted"), [(FaultKind.DROP, 0), (FaultKind.DROP_REPLY, 1)])
def test_a_dropped_connection_closes_without_a_byte(sandbox: SandboxServer, kind: FaultKind, accepted: int) -> None:
    sandbox.fail("pagerduty", kind)
    assert trigger(sandbox) == b""
    assert len(sandbox.pagerduty.events) == accepted
    (request,) = sandbox.pagerduty.requests
    assert (request.status, request.accepted, request.fault) == (None, bool(accepted), kind.value)


def test_pdpyras_and_slack_sdk_see_a_dropped_reply_as_a_lost_connection(
    sandbox: SandboxServer, web: WebClient, events_session: Callable[..., Any]
) -> None:
    sandbox.fail("pagerduty", FaultKind.DROP_REPLY)
    sandbox.fail("slack", FaultKind.DROP_REPLY)
    with pytest.raises(PDClientError) as raised:
        events_session().trigger("s", "s", dedup_key="k")
    assert raised.value.response is None
    with pytest.raises(ConnectionError):
        web.chat_postMessage(channel="#c", text="x")
    assert [alert.dedup_key for alert in sandbox.pagerduty.alerts] == ["k"]
    assert [message.text for message in sandbox.slack.messages()] == ["x"]


def test_a_dripped_answer_comes_byte_by_byte_from_its_first_line_on(sandbox: SandboxServer) -> None:
    sandbox.fail("pagerduty", FaultKind.DRIP, seconds=0.002)
    began = time.monotonic()
    answer = trigger(sandbox)
    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["dedup_key"] == "k"
    assert time.monotonic() - began > len(answer) * 0.002


def test_dripping_outlasts_a_clients_read_timeout_until_the_client_leaves(sandbox: SandboxServer) -> None:
    sandbox.fail("pagerduty", FaultKind.DRIP, seconds=0.05)
    parts = urlsplit(sandbox.pagerduty_url)
    assert parts.port is not None
    with socket.create_connection(("127.0.0.1", parts.port), timeout=5) as connection:
        body = json.dumps(EVENT).encode()
        connection.sendall(
            b"POST %s/v2/enqueue HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
            % (parts.path.encode(), len(body), body)
        )
        assert [connection.recv(100) for _ in range(4)] == [b"H", b"T", b"T", b"P"]


def test_a_hanging_receiver_answers_late_and_accepts_only_then(sandbox: SandboxServer) -> None:
    sandbox.fail("pagerduty", FaultKind.HANG, seconds=0.2)
    began = time.monotonic()
    answer = requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=EVENT, timeout=5)
    assert answer.status_code == 202
    assert time.monotonic() - began >= 0.2
    assert len(sandbox.pagerduty.events) == 1


@pytest.mark.parametrize(("accept", "accepted"), [(False, 0), (True, 1)])
def test_who_leaves_a_hanging_receiver_does_not_know_whether_it_accepted(
    sandbox: SandboxServer, accept: bool, accepted: int
) -> None:
    sandbox.fail("pagerduty", FaultKind.HANG, seconds=60, accept=accept)
    with pytest.raises(TimeoutError):
        trigger(sandbox, seconds=0.1)
    assert sandbox.pagerduty.wait(lambda pagerduty: len(pagerduty.requests) == 1)
    assert len(sandbox.pagerduty.events) == accepted


def test_a_hanging_receiver_does_not_hold_up_its_end_nor_others() -> None:
    with SandboxServer() as sandbox:
        sandbox.fail("pagerduty", FaultKind.HANG, seconds=3600)
        with pytest.raises(TimeoutError):
            trigger(sandbox, seconds=0.1)
        assert requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=EVENT, timeout=5).status_code == 202
        began = time.monotonic()
    assert time.monotonic() - began < 60


def test_an_order_counts_down_and_others_wait_their_turn() -> None:
    board = FaultBoard()
    board.inject(InjectedFault("slack", FaultKind.STATUS, times=2))
    board.inject(InjectedFault("slack", FaultKind.DROP, times=None))
    taken = [board.take("slack", "chat.update", frozenset()) for _ in range(5)]
    assert [fault and fault.kind for fault in taken] == ["status", "status", "drop", "drop", "drop"]
    assert board.take("pagerduty", "trigger", frozenset()) is None
    board.clear("slack")
    assert board.take("slack", "chat.update", frozenset()) is None


def test_an_order_can_aim_at_a_method_a_channel_or_a_routing_key(sandbox: SandboxServer, web: WebClient) -> None:
    sandbox.fail("slack", FaultKind.STATUS, times=None, method="chat.postMessage", target="#broken")
    sandbox.fail("pagerduty", FaultKind.STATUS, times=None, target="S" * 32)
    channel = web.chat_postMessage(channel="#sound", text="x")["channel"]
    for name in ("#broken", "broken"):
        with pytest.raises(SlackApiError):
            web.chat_postMessage(channel=name, text="x")
    assert web.conversations_history(channel=str(channel))["ok"]
    other = EVENT | {"routing_key": "S" * 32}
    assert requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=EVENT, timeout=5).status_code == 202
    assert requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=other, timeout=5).status_code == 500


def test_a_stopped_sandbox_refuses_connections_until_it_starts_again(sandbox: SandboxServer) -> None:
    url = f"{sandbox.pagerduty_url}/v2/enqueue"
    requests.post(url, json=EVENT, timeout=5)
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        requests.post(url, json=EVENT, timeout=5)
    sandbox.start()
    assert requests.post(url, json=EVENT, timeout=5).status_code == 202
    assert len(sandbox.pagerduty.alerts) == 1


def test_faults_are_ordered_listed_and_cleared_over_http(sandbox: SandboxServer) -> None:
    order = {"service": "slack", "kind": "rate_limit", "retry_after": "abc", "times": None}
    assert requests.post(f"{sandbox.url}/faults", json=order, timeout=5).status_code == 204
    (listed,) = requests.get(f"{sandbox.url}/faults", timeout=5).json()
    assert order.items() <= listed.items()
    assert requests.delete(f"{sandbox.url}/faults", timeout=5).status_code == 204
    assert sandbox.faults.active == ()


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"service": "email", "kind": "drop"},
        {"service": "slack", "kind": "explode"},
        {"service": "slack", "kind": "drop", "times": 0},
        {"service": "slack", "kind": "status", "status": 200},
        {"service": "slack", "kind": "hang", "seconds": -1},
        {"service": "pagerduty", "kind": "error"},
        {"service": "slack", "kind": "rate_limit", "retry_after": "1\r\nX: y"},
        {"service": "slack", "kind": "drop", "untill": "cleared"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(sandbox: SandboxServer, order: dict[str, Any]) -> None:
    assert requests.post(f"{sandbox.url}/faults", json=order, timeout=5).status_code == 422
    assert sandbox.faults.active == ()


class _Wrapped:
    """Middleware that wraps both ASGI channels, as that of the product may."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def wrapped_receive() -> Any:
            return await receive()

        async def wrapped_send(message: Any) -> None:
            await send(message)

        await self._app(scope, wrapped_receive, wrapped_send)


@pytest.fixture(params=["httptools", "h11"])
def mounted(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[tuple[SandboxServer, str]]:
    """A sandbox in another application, behind middleware, on each of uvicorn's protocols."""
    server = SandboxServer(clock=clock.now)
    parent = Starlette()
    server.sandbox.mount(parent, "/deep/sandbox")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_Wrapped(parent), http=request.param, lifespan="off", log_config=None)
    outer = uvicorn.Server(config)
    thread = threading.Thread(target=outer.run, args=([listener],))
    thread.start()
    yield server, f"http://127.0.0.1:{listener.getsockname()[1]}/deep/sandbox"
    outer.should_exit = True
    thread.join(120)
    listener.close()


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_REPLY])
def test_a_mounted_sandbox_really_closes_the_connection_and_logs_no_error(
    mounted: tuple[SandboxServer, str], kind: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    server, url = mounted
    server.fail("pagerduty", kind)
    assert raw(f"{url}/pagerduty/v2/enqueue", json.dumps(EVENT).encode()) == b""
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_a_mounted_sandbox_drips(mounted: tuple[SandboxServer, str]) -> None:
    server, url = mounted
    server.fail("pagerduty", FaultKind.DRIP, seconds=0.0001)
    assert raw(f"{url}/pagerduty/v2/enqueue", json.dumps(EVENT).encode()).startswith(b"HTTP/1.1 202 Accepted\r\n")
