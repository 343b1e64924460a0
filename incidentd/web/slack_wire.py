"""One open connection of Slack's Socket Mode: each envelope is handled side by side, and acknowledged once it is done.

https://docs.slack.dev/apis/events-api/using-socket-mode#acknowledge
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from incidentd.errors import IncidentdError
from incidentd.lifecycle.socket_standing import SocketStanding
from incidentd.meter import Meter
from incidentd.meter.meter import ACKNOWLEDGED, FAILED, NOT_UNDERSTOOD
from incidentd.web.envelope import Envelope, Farewell, Hello, Unreadable, parse
from incidentd.web.guard import LARGEST_BODY

AT_ONCE = 32
"""Envelopes that are handled side by side; the others wait in the connection."""

GREETING_SECONDS = 5.0
"""Slack greets at once; whoever doesn't is something else on the way there."""
FINISH_SECONDS = 5.0
"""Longer than anything that is handled may take."""

Handle = Callable[[Envelope], Awaitable[Mapping[str, Any] | None]]
"""Does what an envelope asks for. What it returns goes back with the acknowledgement."""

log = structlog.get_logger("incidentd.slack_socket")


class Wire:
    """Reads from its making on. ``leaving`` is set as soon as another connection should take over."""

    def __init__(self, connection: ClientConnection, handle: Handle, standing: SocketStanding, meter: Meter) -> None:
        self.leaving = asyncio.Event()
        self.reason = "closed"
        self._connection = connection
        self._handle = handle
        self._standing = standing
        self._meter = meter
        self._greeted = False
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader = asyncio.create_task(self._read())
        asyncio.get_running_loop().call_later(GREETING_SECONDS, self._expect_greeting)

    async def closed(self) -> None:
        """Done when nothing more will come."""
        await asyncio.wait({self._reader})

    async def end(self) -> None:
        """Take nothing more, finish and acknowledge what is being handled, and close."""
        self._reader.cancel()
        await asyncio.wait({self._reader, *self._tasks}, timeout=FINISH_SECONDS)
        await self._connection.close()

    async def _read(self) -> None:
        try:
            async for message in self._connection:
                await self._take(message)
        except ConnectionClosed as error:
            if error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
                self.reason = "too_large"
        except Exception:
            log.exception("slack_socket_failed")
        finally:
            if self._greeted:
                self._standing.closed()
            self.leaving.set()

    async def _take(self, message: str | bytes) -> None:
        said = Unreadable("too large") if len(message) > LARGEST_BODY else parse(message)
        match said:
            case Hello():
                self._greet()
            case Farewell(reason=reason):
                self.reason = reason
                self.leaving.set()
            case Envelope():
                await self._room.acquire()
                task = asyncio.create_task(self._do(said))
                self._tasks.add(task)
                task.add_done_callback(self._done)
            case Unreadable(why=why):
                self._meter.socket_envelopes.add(NOT_UNDERSTOOD)
                log.warning("slack_envelope_not_understood", cause=why)

    def _greet(self) -> None:
        if not self._greeted:
            self._greeted = True
            self._standing.opened()
            log.info("slack_socket_open")

    def _expect_greeting(self) -> None:
        if not self._greeted:
            self.reason = "no_hello"
            self.leaving.set()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _do(self, envelope: Envelope) -> None:
        """Not acknowledged where it is not done: Slack tells its user, or sends it again."""
        cause = ""
        try:
            answer = await self._handle(envelope)
            more = {"payload": dict(answer)} if answer is not None and envelope.answerable else {}
            await self._connection.send(json.dumps({"envelope_id": envelope.id, **more}))
        except (IncidentdError, ConnectionClosed) as error:
            cause = type(error).__name__
        except Exception as error:
            cause = type(error).__name__
            log.exception("slack_socket_failed", request_id=envelope.id)
        self._meter.socket_envelopes.add(FAILED if cause else ACKNOWLEDGED)
        if cause:
            log.warning("slack_envelope_unacknowledged", cause=cause, request_id=envelope.id)
