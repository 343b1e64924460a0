"""A client that calls the application directly: no server, no thread."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

import httpx
from starlette.types import ASGIApp

from tests import canary


async def _streamed(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class Client:
    """httpx's client without the await. Redirects are not followed; cookies are kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._runner = asyncio.Runner()
        # As people reach it: the session's cookie and the Origin check go by this.
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    @property
    def headers(self) -> httpx.Headers:
        return self._client.headers

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def request(self, method: str, url: str, *, content: Any = None, **more: Any) -> httpx.Response:
        body = content if content is None or isinstance(content, bytes | str) else _streamed(content)
        answer = self._runner.run(self._client.request(method, url, content=body, **more))
        assert not canary.leaks(f"{answer.headers}\n{answer.text}"), "a secret is in the answer"
        return answer

    def get(self, url: str, **more: Any) -> httpx.Response:
        return self.request("GET", url, **more)

    def post(self, url: str, **more: Any) -> httpx.Response:
        return self.request("POST", url, **more)
