"""Routes that ask who is there before anything is read.

FastAPI parses a body before its dependencies run; a route class is asked earlier.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from incidentd.web.body import Body, TooLargeError
from incidentd.web.contract import Runtime
from incidentd.web.credential import authorized, unauthorized
from incidentd.web.problem import ProblemError
from incidentd.web.session import is_signed_in, require_same_origin

LARGEST_BODY = 1024 * 1024

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_SAFE = frozenset({"GET", "HEAD"})


def runtime_of(request: Request) -> Runtime:
    """The runtime that the application was made with."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def has_session(request: Request) -> bool:
    """Whether a signed-in person asks."""
    runtime = runtime_of(request)
    return is_signed_in(request.scope, runtime.session_secret, runtime.clock.now())


def require_api_client(request: Request) -> None:
    """Let the API token in, and people who are signed in.

    Raises:
        ProblemError: 401, or 403 where another site makes a person's browser act.
    """
    runtime = runtime_of(request)
    token = runtime.settings.api_token
    if token is not None and authorized(request.scope, (token.get_secret_value(),)):
        return
    if not has_session(request):
        raise unauthorized()
    if request.method not in _SAFE:
        require_same_origin(request.scope, runtime.settings.base_url)


class BoundedRoute(APIRoute):
    """A route whose body is read here, within a limit, after ``admit``."""

    def admit(self, request: Request) -> None:
        """Everybody may."""

    def get_route_handler(self) -> Handler:
        """The framework's handler behind ours."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            self.admit(request)
            return await inner(await _bounded(request))

        return handler


class ApiRoute(BoundedRoute):
    """A route for the API token and for people who are signed in."""

    def admit(self, request: Request) -> None:
        """As ``require_api_client``."""
        require_api_client(request)


async def _bounded(request: Request) -> Request:
    if request.method in _SAFE:
        return request
    try:
        raw = await Body(request.scope, request.receive).read(LARGEST_BODY)
    except TooLargeError:
        raise ProblemError(413, "too_large", "the body is over 1 MB") from None

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    return Request(request.scope, receive)
