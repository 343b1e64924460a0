"""What every request meets first and every answer last: an id, safe headers, and a net for what nobody foresaw."""

from collections.abc import Callable, Mapping

import structlog
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from incidentd.web.problem import REQUEST_ID, problem_of

_log = structlog.get_logger()

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # Not "no-referrer": browsers would then send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


class Edge:
    """ASGI middleware around the whole application. ``direct``: endpoints by path that need nothing of it.

    ``answer`` is what a request that came to an error is answered with.
    """

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[str, ASGIApp],
        answer: Callable[[Scope, Exception], Response] = problem_of,
    ) -> None:
        self._app = app
        self._direct = direct
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request its id and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = uuid7().hex
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _dress(message, scope)
            await send(message)

        try:
            await self._direct.get(scope["path"], self._app)(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - the process's edge: one bad request must not look like none
            _log.error("request_failed", request_id=scope[REQUEST_ID], error=type(error).__name__, exc_info=True)
            if not started:
                await self._answer(scope, error)(scope, receive, sending)


def _dress(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    headers["x-request-id"] = scope[REQUEST_ID]
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    # Answers are about this moment and may be somebody's own; only static files say otherwise.
    headers.setdefault("cache-control", "no-store")
