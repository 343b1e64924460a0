"""Reading a request's body within a limit, as it arrives."""

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from incidentd.errors import IncidentdError

_MOST_DRAINED = 64 * 1024 * 1024


class TooLargeError(IncidentdError):
    """The body is larger than the limit. ``beginning`` is what was kept of it."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__("the body is too large")
        self.beginning = beginning


class Body:
    """The body of one request."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._declared = _declared(scope)
        self._complete = False

    async def read(self, most: int, kept: int = 0) -> bytes:
        """All of it, never holding much more than ``most`` bytes. What is too large keeps its first ``kept``.

        Raises:
            TooLargeError: as soon as that is certain; the rest is not read.
            starlette.requests.ClientDisconnect: the sender went away before the end.
        """
        body = bytearray()
        while not self._complete:
            body += await self._next()
            if len(body) > most or (self._declared > most and len(body) >= min(kept, self._declared)):
                raise TooLargeError(bytes(body[:kept]))
        return bytes(body)

    async def answer(self, response: Response, scope: Scope, send: Send) -> None:
        """Answer at once; what the sender still has to say runs into the void.

        Closing while it comes would reset the connection and destroy the answer on its way.
        """

        async def open_ended(message: Message) -> None:
            await send({**message, "more_body": not self._complete} if "body" in message else message)

        await response(scope, self._receive, open_ended)
        if not self._complete:
            await self._drain()
            await send({"type": "http.response.body", "body": b""})

    async def _drain(self) -> None:
        drained = 0
        try:
            while not self._complete and drained <= _MOST_DRAINED:
                drained += len(await self._next())
        except ClientDisconnect:
            return

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def _declared(scope: Scope) -> int:
    """What Content-Length says; 0 where there is none (the parser has refused what is no number)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
