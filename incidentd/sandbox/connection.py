"""Answers that go wrong on the wire: never given, given a byte at a time, given late.

ASGI has no message for closing a connection, so the server's own transport is looked for behind ``receive``: uvicorn
keeps it on the object whose method that is. Where there is none (in-process clients) the caller gets
``ConnectionResetError`` instead, which is what a client of a dropped connection sees.
"""

import asyncio
import http
import inspect
import time
from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_LOOK_SECONDS = 0.1


def transport_of(channel: object, depth: int = 8) -> asyncio.Transport | None:
    """The transport behind an ASGI ``receive`` or ``send``, through closures of middleware; None if there is none."""
    transport = getattr(getattr(channel, "__self__", None), "transport", None)
    if transport is not None:
        return cast(asyncio.Transport, transport)
    if depth == 0 or not inspect.isfunction(channel):
        return None
    for value in inspect.getclosurevars(channel).nonlocals.values():
        found = transport_of(value, depth - 1) if callable(value) else None
        if found is not None:
            return found
    return None


async def gone(receive: Receive, seconds: float) -> bool:
    """Waits up to ``seconds``; True as soon as the client has hung up. The request's body must have been read."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


async def silence(receive: Receive, seconds: float, ended: Callable[[], bool]) -> bool:
    """Says nothing for ``seconds``; True if the client hung up or the sandbox ended meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if ended() or await gone(receive, min(left, _LOOK_SECONDS)):
            return True
    return False


class DroppedResponse(Response):
    """Closes the connection without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Closes, and returns once the server has noticed: it would answer 500 before that."""
        transport = transport_of(receive) or transport_of(send)
        if transport is None:
            raise ConnectionResetError("the sandbox dropped this connection")
        transport.close()
        while not await gone(receive, _LOOK_SECONDS):
            pass


class DrippingResponse(Response):
    """Gives another response byte by byte, its head too, and then closes."""

    def __init__(self, response: Response, seconds: float, ended: Callable[[], bool]) -> None:
        super().__init__()
        self._response = response
        self._seconds = seconds
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One byte each ``seconds`` until all is said or nobody listens."""
        transport = transport_of(receive) or transport_of(send)
        if transport is None:
            raise ConnectionResetError("only a server's connection can drip")
        for byte in _on_the_wire(self._response):
            if transport.is_closing():
                break
            transport.write(bytes((byte,)))
            if await silence(receive, self._seconds, self._ended):
                break
        await DroppedResponse()(scope, receive, send)


def _on_the_wire(response: Response) -> bytes:
    status = http.HTTPStatus(response.status_code)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in _headers(response))
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() + head + b"\r\n" + bytes(response.body)


def _headers(response: Response) -> list[tuple[bytes, Any]]:
    return [*response.raw_headers, (b"connection", b"close")]
