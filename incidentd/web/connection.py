"""One HTTP connection that no sender can hold open or fill up.

uvicorn with httptools limits neither the size of headers nor the time that a request takes to arrive (measured: 10 MB
of headers accepted, half-open requests still open after 45 s).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

_LINGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take.

    ``request_seconds`` is from the first byte of a request, or from connecting, until its body is complete;
    ``response_seconds`` how long a reader may leave an answer unread. ``request_bytes`` is everything, on the wire;
    ``pipelined`` how many requests may wait behind the one that is being answered (uvicorn keeps all that come).
    """

    header_bytes: int = 64 * 1024
    request_bytes: int = 64 * 1024 * 1024
    pipelined: int = 32
    request_seconds: float = 15
    response_seconds: float = 15
    keep_alive_seconds: int = 60


DEFAULT_LIMITS = Limits()


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol within ``limits``. Take a class of your own from ``bounded``."""

    limits = DEFAULT_LIMITS
    cut_off: Callable[[str], None] = staticmethod(lambda _status: None)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_headers = True
        self._refused = False
        self._header_bytes = 0
        self._request_bytes = 0
        self._answering: RequestResponseCycle | None = None
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock at once: a connection that says nothing is a half-open one too."""
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks; who still answers speaks to nobody."""
        self._stop_request_timer()
        self.resume_writing()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, headers in pieces that stay within the limit."""
        if self._refused:
            return
        self._expect_request()
        while data and not self.transport.is_closing():
            piece, data = self._next_piece(data)
            if not piece:
                return
            super().data_received(piece)
            if len(self.pipeline) > self.limits.pipelined:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """A pipelined request has its own time."""
        self._expect_request()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers, which nobody reads, are not kept."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What follows is body: the application bounds that."""
        self._in_headers = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request has arrived."""
        self._stop_request_timer()
        self._in_headers = True
        self._header_bytes = self._request_bytes = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The reader is slow: bear it for a while."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.response_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The reader has caught up."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on; from here on its time is another's affair."""
        self._stop_request_timer()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP reaches no application that would count it."""
        super().send_400_response(msg)
        self.cut_off("400")

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also when its peer leaves the last answer unread."""
        self._close_soon(0)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Know which request is being answered: with pipelining it is not the one that came last."""
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _next_piece(self, data: bytes) -> tuple[bytes, bytes]:
        """What may be parsed now, and the rest; nothing when a limit is reached."""
        size = len(data)
        if self._in_headers:
            size = min(size, self.limits.header_bytes - self._header_bytes)
            self._header_bytes += size
        self._request_bytes += size
        if not size:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._request_bytes > self.limits.request_bytes:
            self.transport.abort()
            size = 0
        return data[:size], data[size:]

    def _expect_request(self) -> None:
        if self._request_timer is None:
            self._request_timer = self.loop.call_later(self.limits.request_seconds, self._expire)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _expire(self) -> None:
        if self._request_bytes and not self.transport.is_closing() and self._nothing_answered():
            self._write_refusal(b"408 Request Timeout")
        self._close_soon(0)

    def _nothing_answered(self) -> bool:
        return self._in_headers or self.cycle is None or not self.cycle.response_started

    def _refuse(self, status: bytes) -> None:
        """Answer, then let what still comes run into the void: a reset would destroy the answer on its way."""
        self._refused = True
        self._stop_request_timer()
        self._write_refusal(status)
        self._close_soon(_LINGER_SECONDS)

    def _write_refusal(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.cut_off(status[:3].decode())

    def _close_soon(self, seconds: float) -> None:
        self.loop.call_later(seconds, self.transport.close)
        self.loop.call_later(seconds + _LINGER_SECONDS, self.transport.abort)


def bounded(limits: Limits, cut_off: Callable[[str], None]) -> type[BoundedConnection]:
    """The protocol class with these limits. ``cut_off`` is told the status of each answer that is given here."""
    return type("Connection", (BoundedConnection,), {"limits": limits, "cut_off": staticmethod(cut_off)})
