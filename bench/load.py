"""The load: requests over a few kept connections, each sent when the one before it is answered."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import uvloop

_ANSWER_SECONDS = 60.0


@dataclass(slots=True)
class Outcome:
    """What became of the requests: how long all of them took, and each one's own seconds."""

    seconds: float = 0.0
    each: list[float] = field(default_factory=list)
    answers: Counter[bytes] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return len(self.each) / self.seconds


def send(port: int, requests: Iterable[bytes], concurrency: int = 8) -> Outcome:
    """Send all of them to loopback and wait for the answers.

    Raises:
        RuntimeError: one was not answered with 200.
    """
    outcome = uvloop.run(_send(port, iter(list(requests)), concurrency))
    if set(outcome.answers) - {b"200"}:
        raise RuntimeError(f"not all were accepted: {dict(outcome.answers)}")
    return outcome


async def _send(port: int, requests: Iterator[bytes], concurrency: int) -> Outcome:
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    clients = [_Client(requests, outcome, loop.create_future()) for _ in range(concurrency)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    begun = time.perf_counter()
    for client in clients:
        client.next()
    async with asyncio.timeout(_ANSWER_SECONDS * 10):
        await asyncio.gather(*(client.done for client in clients))
    outcome.seconds = time.perf_counter() - begun
    return outcome


class _Client(asyncio.Protocol):
    """One connection. It understands answers with a Content-Length, as both servers give."""

    def __init__(self, requests: Iterator[bytes], outcome: Outcome, done: "asyncio.Future[None]") -> None:
        self._requests = requests
        self._outcome = outcome
        self.done = done
        self._buffer = b""
        self._begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait to be told to begin."""
        # uvloop's transports only look like asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def next(self) -> None:
        """Send the next request, or be done."""
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self.done.set_result(None)
            return
        self._begun = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self._buffer = b""
        self._outcome.each.append(time.perf_counter() - self._begun)
        self._outcome.answers[head[9:12]] += 1
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        """The server must not hang up before all is sent."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


def _content_length(head: bytes) -> int:
    name, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if rest or name != head.lower() else 0


class Line:
    """One kept connection of a sender that waits for each answer, as Alertmanager does for each of its groups."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> None:
        """Send, and wait for the answer.

        Raises:
            RuntimeError: it was not accepted.
        """
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        while len(body) < _content_length(head):
            body += self._socket.recv(65536)
        if head[9:12] != b"200":
            raise RuntimeError(f"not accepted: {head[:40]!r}")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
