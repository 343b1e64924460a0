"""The way to Slack's Socket Mode: by TLS alone, through the environment's proxy, and no ticket is ever shown."""

import asyncio
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from incidentd.channels.slack_socket import SocketDoor
from incidentd.errors import DeliveryError, TransientError
from tests import canary
from tests.channels.receiver import Receiver, answer

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECONDS = 60.0
TOKEN = canary.of("INCIDENTD_SLACK_APP_TOKEN")
TICKET = canary.of("a ticket of Slack's")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def far_end(tls: ssl.SSLContext) -> Iterator[Server]:
    def greet(connection: ServerConnection) -> None:
        connection.send("hello")
        connection.recv(SECONDS)

    with serve(greet, "127.0.0.1", 0, ssl=tls) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(SECONDS)


def address(server: Server) -> str:
    return f"wss://127.0.0.1:{server.socket.getsockname()[1]}/link/?ticket={TICKET}"


def heard(door: SocketDoor) -> str | bytes:
    """The first message."""

    async def hear() -> str | bytes:
        connection = await door.connect(SECONDS)
        said = await connection.recv()
        await connection.send("thanks")
        await connection.close()
        return said

    return asyncio.run(hear())


def api(tls: ssl.SSLContext | None, url: object) -> Receiver:
    return Receiver(answer(200, {"ok": True, "url": url}), context=tls)


def test_whom_the_environment_vouches_for_is_believed_and_the_token_goes_in_the_header_alone(
    far_end: Server, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_suffix(".crt")))
    with api(tls, address(far_end)) as slack, closing(SocketDoor(TOKEN, slack.url, lambda: NOW)) as door:
        assert heard(door) == "hello"
    [request] = slack.requests
    assert (request.path, request.headers["authorization"]) == ("/apps.connections.open", f"Bearer {TOKEN}")
    assert TOKEN.encode() not in request.body


def test_a_far_end_that_nobody_vouches_for_is_refused_and_no_ticket_is_shown(
    far_end: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SocketDoor(TOKEN, None, lambda: NOW)) as door:
        monkeypatch.setattr(door, "address", lambda _seconds: address(far_end))
        with pytest.raises(TransientError, match=r"^the connection to Slack can't be opened$") as caught:
            heard(door)
    assert not canary.leaks("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize("url", [None, 7, "", "ws://127.0.0.1/?ticket=x", "https://127.0.0.1", "file:///etc/passwd"])
def test_what_is_no_safe_address_is_not_gone_to(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch, url: object
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_suffix(".crt")))
    with (
        api(tls, url) as slack,
        closing(SocketDoor(TOKEN, slack.url, lambda: NOW)) as door,
        pytest.raises(TransientError, match="no address that can be used"),
    ):
        door.address(SECONDS)


@pytest.mark.parametrize(
    "url",
    [
        f"ws://127.0.0.1:9/?ticket={TICKET}",
        f"ws://[/?ticket={TICKET}",
        f"ws://127.0.0.1:x/?ticket={TICKET}",
        f"ws:///?ticket={TICKET}",
        f"ws://nobody.invalid/?ticket={TICKET}",
    ],
)
def test_an_address_at_which_nobody_is_shows_no_ticket(url: str) -> None:
    with (
        api(None, url) as slack,
        closing(SocketDoor(TOKEN, slack.url, lambda: NOW)) as door,
        pytest.raises(DeliveryError) as caught,
    ):
        heard(door)
    assert not canary.leaks("".join(traceback.format_exception(caught.value)))


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, closing(SocketDoor(TOKEN, None, lambda: NOW)) as door:
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setattr(door, "address", lambda _seconds: f"wss://wss-primary.slack.example/?ticket={TICKET}")
        asked: list[bytes] = []
        thread = threading.Thread(target=_refuse, args=(proxy, asked))
        thread.start()
        with pytest.raises(TransientError):
            heard(door)
        thread.join(SECONDS)
    assert [line.split()[:2] for line in asked] == [[b"CONNECT", b"wss-primary.slack.example:443"]]


def _refuse(proxy: socket.socket, asked: list[bytes]) -> None:
    connection, _ = proxy.accept()
    with connection, connection.makefile("rb") as stream:
        asked.append(stream.readline())
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
