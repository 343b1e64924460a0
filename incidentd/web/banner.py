"""What is degraded, on every page of those who are signed in: each request brings it along to whatever is rendered."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from incidentd.lifecycle.degraded import Degraded

_MOST = 6


@dataclass(frozen=True, slots=True)
class Banner:
    """What is to be shown, the worst first; ``more`` are not. Each lasts until ``now``."""

    shown: tuple[Degraded, ...]
    more: int
    now: datetime


_current: ContextVar[Banner | None] = ContextVar("banner", default=None)


def banner() -> Banner | None:
    """What is degraded, as the present request may know; None where there is nothing, or its sender is a stranger."""
    return _current.get()


class BannerCarrier:
    """ASGI middleware. ``degraded`` says what there is for this request; it never waits."""

    def __init__(self, app: ASGIApp, degraded: Callable[[Request], tuple[tuple[Degraded, ...], datetime]]) -> None:
        self._app = app
        self._degraded = degraded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its banner."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found, now = self._degraded(Request(scope))
        token = _current.set(Banner(found[:_MOST], len(found[_MOST:]), now) if found else None)
        try:
            await self._app(scope, receive, send)
        finally:
            _current.reset(token)
