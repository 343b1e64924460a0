"""Slack's Socket Mode, played: the WebSockets at which apps listen, and what is sent to one of them.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from incidentd.sandbox.answer import Answer, JsonObject, read_json
from incidentd.sandbox.argument import MethodError
from incidentd.sandbox.ledger import Ledger

OPEN = "apps.connections.open"
PATH = "/slack/link"
MOST_OPEN = 10
ANSWER_SECONDS = 3.0
MOST_SENDINGS = 3
_LOOK_SECONDS = 0.2


@dataclass(eq=False, slots=True)
class _Open:
    socket: WebSocket
    loop: asyncio.AbstractEventLoop

    def say(self, message: str) -> None:
        """From any thread; in vain where it has ended."""
        with suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(self._say(message), self.loop)

    def close(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(self._close(), self.loop)

    async def _say(self, message: str) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            await self.socket.send_text(message)

    async def _close(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            await self.socket.close()


@dataclass(slots=True)
class Sent:
    """An envelope, how often it was sent, and what it was acknowledged with; None: not yet."""

    id: str
    kind: str
    payload: JsonObject
    sendings: int = 0
    sent_at: float = 0.0
    answer: JsonObject | None = field(default=None)


class Sockets:
    """All that are open. Safe for use by several threads.

    ``app_token`` is the one token that opens one; any, where None. ``url`` is the sandbox's own base address.
    """

    def __init__(self, ledger: Ledger, app_token: str | None, url: Callable[[], str]) -> None:
        self._ledger = ledger
        self._app_token = app_token
        self._url = url
        self._tickets: set[str] = set()
        self._open: list[_Open] = []
        self._sent: dict[str, Sent] = {}
        self.opened = 0
        self.heard: list[str] = []

    @property
    def is_connected(self) -> bool:
        """Whether an app listens."""
        with self._ledger.changed:
            return bool(self._open)

    @property
    def connections(self) -> int:
        """How many are open."""
        with self._ledger.changed:
            return len(self._open)

    @property
    def sent(self) -> list[Sent]:
        """All envelopes, oldest first."""
        with self._ledger.changed:
            return list(self._sent.values())

    def open(self, token: str) -> Answer:
        """An address for one connection.

        Raises:
            MethodError: the token is none of an app.
        """
        if not token:
            raise MethodError("not_authed")
        if self._app_token is not None and not hmac.compare_digest(token.encode(), self._app_token.encode()):
            raise MethodError("not_allowed_token_type" if token.startswith("xoxb-") else "invalid_auth")
        ticket = uuid.uuid4().hex
        with self._ledger.changed:
            self._tickets.add(ticket)
        address = self._url().replace("http", "ws", 1)
        return Answer(200, {"ok": True, "url": f"{address}{PATH}?ticket={ticket}&app_id=A0SANDBOX"})

    def send(self, kind: str, payload: JsonObject) -> Sent:
        """Send an envelope to one of those that listen; it is sent again where it isn't acknowledged in time."""
        sent = Sent(str(uuid.uuid4()), kind, payload)
        with self._ledger.changed:
            self._sent[sent.id] = sent
            self._send(sent)
        return sent

    def wait(self, sent: Sent, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether it is acknowledged within ``seconds``."""
        return self._ledger.wait(lambda: sent.answer is not None, seconds)

    def say(self, message: str) -> None:
        """Say just this to all that listen, sound or not."""
        with self._ledger.changed:
            for each in self._open:
                each.say(message)

    def disconnect(self, reason: str) -> None:
        """Announce to all that listen that they are about to be closed."""
        self.say(json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}))

    def close(self) -> None:
        """Close all, without a word before."""
        with self._ledger.changed:
            for each in self._open:
                each.close()

    @property
    def route(self) -> WebSocketRoute:
        """Where apps connect to."""
        return WebSocketRoute(PATH, self._serve)

    async def _serve(self, socket: WebSocket) -> None:
        ticket = socket.query_params.get("ticket", "")
        with self._ledger.changed:
            is_known = ticket in self._tickets and len(self._open) < MOST_OPEN
            self._tickets.discard(ticket)
        if not is_known:
            await socket.close()
            return
        await socket.accept()
        mine = _Open(socket, asyncio.get_running_loop())
        await socket.send_text(json.dumps(self._hello()))
        with self._ledger.changed:
            self._open.append(mine)
            self.opened += 1
            self._ledger.touch()
        again = asyncio.create_task(self._send_again())
        try:
            await self._hear(socket)
        finally:
            again.cancel()
            with self._ledger.changed:
                self._open.remove(mine)
                self._ledger.touch()

    def _hello(self) -> JsonObject:
        return {
            "type": "hello",
            "num_connections": self.connections + 1,
            "debug_info": {"host": "sandbox", "approximate_connection_time": 18060},
            "connection_info": {"app_id": "A0SANDBOX"},
        }

    async def _hear(self, socket: WebSocket) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                self._acknowledged(await socket.receive_text())

    def _acknowledged(self, message: str) -> None:
        try:
            said = read_json(message)
        except ValueError:
            said = None
        with self._ledger.changed:
            self.heard.append(message)
            sent = self._sent.get(str(said.get("envelope_id"))) if isinstance(said, dict) else None
            if sent is not None and sent.answer is None:
                sent.answer = said.get("payload") or {}
            self._ledger.touch()

    async def _send_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with self._ledger.changed:
                late = time.monotonic() - ANSWER_SECONDS
                for sent in self._sent.values():
                    if sent.answer is None and sent.sendings < MOST_SENDINGS and sent.sent_at < late:
                        self._send(sent)

    def _send(self, sent: Sent) -> None:
        """To the connection that was opened last, under the lock; the older ones may be about to end."""
        if self._open:
            sent.sendings += 1
            sent.sent_at = time.monotonic()
            envelope = {
                "envelope_id": sent.id,
                "type": sent.kind,
                "accepts_response_payload": sent.kind != "events_api",
                "payload": sent.payload,
            }
            self._open[-1].say(json.dumps(envelope))
