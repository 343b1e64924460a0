"""Connections as a stranger may make them: raw sockets against the real server, with short limits."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from incidentd.clock import SystemClock
from incidentd.meter.exposition import text
from incidentd.sandbox.app import create_sandbox
from incidentd.sandbox.server import site
from incidentd.web.app import create_app
from incidentd.web.connection import DEFAULT_LIMITS, Limits
from incidentd.web.server import bind, serving
from tests.machine import Stopwatch
from tests.servers import wait_until
from tests.test_meter import value
from tests.web.fake import WEBHOOK_TOKEN, FakeRuntime

PATH = "/api/v1/alertmanager"
SHORT = Limits(request_seconds=0.6, response_seconds=0.6, keep_alive_seconds=1)
FAIR = Limits(request_seconds=5, response_seconds=5, keep_alive_seconds=1)
"""Where something is to be answered before the time is over: a busy machine may not come to it sooner."""
ANSWERED_SECONDS = 2.0
ACKNOWLEDGEMENT_SECONDS = 0.04
"""So long a receiver may keep the acknowledgement of a packet back, in the hope of more."""

BODY = b'{"alerts": []}'
AUTH = f"Authorization: Bearer {WEBHOOK_TOKEN}\r\nContent-Type: application/json\r\n".encode()
HEAD = b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n" + AUTH
SOUND = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


@contextmanager
def server(runtime: FakeRuntime, limits: Limits) -> Iterator[tuple[str, int]]:
    listener = bind("127.0.0.1", 0)
    with serving(create_app(runtime), listener, limits, cut_off=runtime.meter.cut_off.add) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


@pytest.fixture
def hurried(runtime: FakeRuntime) -> Iterator[tuple[str, int]]:
    with server(runtime, SHORT) as address:
        yield address


@pytest.fixture
def fair(runtime: FakeRuntime) -> Iterator[tuple[str, int]]:
    with server(runtime, FAIR) as address:
        yield address


@pytest.fixture
def patient(runtime: FakeRuntime) -> Iterator[tuple[str, int]]:
    with server(runtime, DEFAULT_LIMITS) as address:
        yield address


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def rest(connection: socket.socket) -> bytes:
    """All until the server closes."""
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def first(connection: socket.socket) -> bytes:
    return connection.recv(65_536).split(b"\r\n", 1)[0]


def cut_off(runtime: FakeRuntime, answer: str) -> float:
    return value(text(runtime.meter.collect()), "incidentd_cut_off_requests_total", answer=answer)


def test_what_is_cut_off_is_counted_by_its_answer(runtime: FakeRuntime, fair: tuple[str, int]) -> None:
    with connect(fair) as slow, connect(fair) as long, connect(fair) as odd, connect(fair) as sound:
        slow.sendall(HEAD)
        odd.sendall(b"\x16\x03\x01 a handshake of TLS\r\n\r\n")
        long.sendall(b"GET /" + b"x" * 100_000)
        sound.sendall(SOUND)
        assert first(sound) == b"HTTP/1.1 200 OK"
        assert rest(long).startswith(b"HTTP/1.1 431 ")
        assert rest(slow).startswith(b"HTTP/1.1 408 ")
        assert rest(odd).startswith(b"HTTP/1.1 400 ")
        rest(sound)
    assert [cut_off(runtime, answer) for answer in ("400", "408", "431")] == [1, 1, 1]


def test_a_header_of_10_mb_is_431_and_not_kept(patient: tuple[str, int]) -> None:
    tracemalloc.start()
    with connect(patient) as connection:
        connection.sendall(HEAD + b"X-Long: ")
        for _ in range(160):
            connection.sendall(b"x" * 65_536)
        assert rest(connection).startswith(b"HTTP/1.1 431 ")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_ten_thousand_small_headers_are_431(patient: tuple[str, int]) -> None:
    with connect(patient) as connection:
        connection.sendall(HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)))
        assert rest(connection).startswith(b"HTTP/1.1 431 ")


def test_headers_just_under_64_kb_are_fine(patient: tuple[str, int]) -> None:
    with connect(patient) as connection:
        connection.sendall(HEAD + b"X-Long: " + b"x" * 60_000 + b"\r\nContent-Length: 14\r\n\r\n" + BODY)
        assert first(connection) == b"HTTP/1.1 200 OK"


def test_a_long_url_counts_as_header(patient: tuple[str, int]) -> None:
    with connect(patient) as connection:
        connection.sendall(b"GET /" + b"x" * 100_000)
        assert rest(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "beginning",
    [
        HEAD,
        HEAD + b"X: y",
        b"POST",
        HEAD + b"Content-Length: 100\r\n\r\n" + b"{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        SOUND + b"\r\n",
    ],
    ids=["headers", "one header", "request line", "body", "chunk", "a line after a request"],
)
def test_a_request_that_never_ends_is_closed(hurried: tuple[str, int], beginning: bytes) -> None:
    begun = time.monotonic()
    with connect(hurried) as connection:
        connection.sendall(beginning)
        rest(connection)
    assert time.monotonic() - begun < DEFAULT_LIMITS.request_seconds


def test_a_body_that_drips_is_closed_all_the_same(hurried: tuple[str, int]) -> None:
    begun = time.monotonic()
    with connect(hurried) as connection, pytest.raises((ConnectionError, TimeoutError)):
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        while time.monotonic() - begun < 8:
            connection.sendall(b"x")
            time.sleep(0.02)
    assert time.monotonic() - begun < 8


def test_a_connection_that_says_nothing_is_closed(hurried: tuple[str, int]) -> None:
    with connect(hurried) as connection:
        assert rest(connection) == b""


def test_an_idle_connection_is_closed_after_an_answer(fair: tuple[str, int]) -> None:
    with connect(fair) as connection:
        connection.sendall(SOUND)
        assert rest(connection).startswith(b"HTTP/1.1 200 OK")


def test_several_requests_share_a_connection_also_when_they_come_at_once(patient: tuple[str, int]) -> None:
    with connect(patient) as connection:
        connection.sendall(SOUND * 3 + HEAD + b"Connection: close\r\nContent-Length: 14\r\n\r\n" + BODY)
        assert rest(connection).count(b"HTTP/1.1 200 OK") == 4


def test_the_defaults_close_what_never_ends_within_20_s() -> None:
    assert DEFAULT_LIMITS.request_seconds + 4 < 20


def test_500_half_open_connections_do_not_keep_a_webhook_waiting(patient: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for number in range(500):
            half_open = stack.enter_context(connect(patient))
            half_open.sendall((b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{")[number % 3])
        watch = Stopwatch()
        with connect(patient) as connection:
            connection.sendall(SOUND)
            assert first(connection) == b"HTTP/1.1 200 OK"
        assert watch.complaint(ANSWERED_SECONDS) == ""


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"], ids=["kept alive", "closed"])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with a length"])
def test_17_mb_are_413_also_to_a_sender_that_reads_only_at_the_end(
    patient: tuple[str, int], runtime: FakeRuntime, chunked: bool, close: bytes
) -> None:
    piece = b"x" * 65_536
    with connect(patient) as connection:
        connection.sendall(HEAD + close)
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 17825792\r\n\r\n")
        for _ in range(272):
            connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        assert first(connection) == b"HTTP/1.1 413 Request Entity Too Large"
    assert runtime.webhooks[0].complaints[0].reason == "too_large"


def test_an_endless_body_is_answered_413_and_then_cut_off(patient: tuple[str, int]) -> None:
    tracemalloc.start()
    with connect(patient) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises((ConnectionError, TimeoutError)):
            for _ in range(20_000):
                connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
        b"BREW / HTTP/1.1\r\n\r\n",
    ],
    ids=["TLS", "version", "NUL", "method"],
)
def test_what_is_no_http_is_answered_and_closed(patient: tuple[str, int], junk: bytes) -> None:
    with connect(patient) as connection:
        connection.sendall(junk)
        assert rest(connection).split(b"\r\n", 1)[0] in (b"HTTP/1.1 400 Bad Request", b"")


def test_a_reader_that_does_not_read_is_cut_off() -> None:
    ended = threading.Event()

    async def generous(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        finally:
            ended.set()

    listener = bind("127.0.0.1", 0)
    with serving(generous, listener, SHORT) as url, connect(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(120)
        try:
            received = len(rest(connection))
        except ConnectionError:
            received = 0
        assert received < 20_000_000


def test_a_flood_of_pipelined_requests_is_cut_off(patient: tuple[str, int], runtime: FakeRuntime) -> None:
    with connect(patient) as connection, pytest.raises(ConnectionError):
        for _ in range(1000):
            connection.sendall(SOUND * 100)
        rest(connection)
    assert len(runtime.webhooks) < 10_000


def test_no_answer_names_the_server(patient: tuple[str, int]) -> None:
    with connect(patient) as connection:
        connection.sendall(SOUND)
        assert b"\r\nserver:" not in connection.recv(65_536).lower()


_CHILD = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from incidentd.web.app import create_app
from incidentd.web.server import bind, serve
from tests.web.fake import FakeRuntime, opened_store
listener = bind("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
serve(create_app(FakeRuntime(opened_store("sqlite:///" + sys.argv[1]))), listener)
print("ended", flush=True)
"""


def test_sigterm_ends_it_cleanly_with_status_0(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(root=root), str(tmp_path / "web.db")], stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert child.stdout is not None
    port = int(child.stdout.readline())
    wait_until(lambda: answers(port), "the server")
    os.kill(child.pid, signal.SIGTERM)
    output, _ = child.communicate(timeout=20)
    assert (child.returncode, output.splitlines()[-1]) == (0, b"ended")


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/healthy").status_code == 200
    except httpx.TransportError:
        return False


def test_a_taken_address_is_an_error_at_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", listener.getsockname()[1])


def test_no_answer_of_the_webhook_waits_for_the_acknowledgement_of_a_packet(patient: tuple[str, int]) -> None:
    url = f"http://127.0.0.1:{patient[1]}{PATH}"
    headers = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
    body = json.loads((Path(__file__).parents[1] / "payloads/am025_firing.json").read_text("utf-8"))

    def answered_in(client: httpx.Client) -> float:
        begun = time.monotonic()
        assert client.post(url, json=body).status_code == 200
        return time.monotonic() - begun

    with httpx.Client(headers=headers) as client:
        took = [answered_in(client) for _ in range(100)]
    # A machine may be busy at times; an answer in two packets would wait each time.
    assert min(took) < ACKNOWLEDGEMENT_SECONDS


def test_a_websocket_of_the_sandbox_outlives_the_time_that_a_request_may_take() -> None:
    sandbox = create_sandbox(
        clock=SystemClock().now, slack_signing_secret="unused", sandbox_url=lambda: f"{url}/sandbox"
    )
    with serving(site(sandbox), bind("127.0.0.1", 0), FAIR, websockets=True) as url:
        opened = httpx.post(
            f"{url}/sandbox/slack/api/apps.connections.open", headers={"Authorization": "Bearer xapp-a"}
        )
        with websocket(opened.json()["url"], proxy=None) as connection:
            assert "hello" in str(connection.recv(30))
            with pytest.raises(TimeoutError):
                connection.recv(FAIR.request_seconds + 1)
            sandbox.slack.sockets.disconnect("warning")
            assert "warning" in str(connection.recv(30))
    sandbox.close()


def test_incidentd_itself_takes_no_websockets(patient: tuple[str, int]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        websocket(f"ws://127.0.0.1:{patient[1]}/nowhere", proxy=None)
    assert refused.value.response.status_code < 500
