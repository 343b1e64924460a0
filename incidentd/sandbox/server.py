"""A sandbox that listens on loopback, in a thread of its own: for tests, and for trying out a set-up.

with SandboxServer() as sandbox:
    configure_my_system(pagerduty=sandbox.pagerduty_url, slack=sandbox.slack_url)
    assert sandbox.pagerduty.wait(lambda pagerduty: pagerduty.alerts)
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from incidentd.clock import SystemClock
from incidentd.sandbox.app import Sandbox, create_sandbox
from incidentd.sandbox.fault import FaultBoard, FaultKind, InjectedFault, Service
from incidentd.sandbox.interaction import Address, Press
from incidentd.sandbox.message import Message, User
from incidentd.sandbox.pagerduty import PagerDuty, PagerDutyAlert
from incidentd.sandbox.slack import Slack

SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105 - the sandbox's own, for a server on loopback
WEBHOOK_SECRET = "sandbox-pagerduty-webhook-secret"  # noqa: S105 - as above
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


def site(sandbox: Sandbox, path: str = "/sandbox") -> Starlette:
    """An application that is nothing but the sandbox, under the path that it has in ``incidentd up``."""

    async def forward(_request: Request) -> Response:
        return RedirectResponse(path.removeprefix("/") + "/", 307)

    application = Starlette(routes=[Route("/", forward)])
    sandbox.mount(application, path)
    return application


class SandboxServer:
    """Runs a sandbox on a free port of 127.0.0.1 between ``with`` and its end.

    ``product_url`` is where incidentd listens (settable later too, as ``.product_url``). Several can run side by side.
    With a ``journal`` the next one finds everything as this one left it. ``port`` 0 takes any free one.
    """

    def __init__(
        self,
        *,
        product_url: Address = "",
        slack_signing_secret: str = SIGNING_SECRET,
        slack_token: str | None = None,
        slack_app_token: str | None = None,
        pagerduty_webhook_secret: str = "",
        journal: Path | None = None,
        clock: Callable[[], datetime] | None = None,
        path: str = "/sandbox",
        port: int = 0,
        keep: int | None = None,
    ) -> None:
        self.signing_secret = slack_signing_secret
        self.sandbox = create_sandbox(
            clock=clock or SystemClock().now,
            slack_signing_secret=slack_signing_secret,
            product_url=product_url,
            sandbox_url=lambda: self.url,
            slack_token=slack_token,
            slack_app_token=slack_app_token,
            pagerduty_webhook_secret=pagerduty_webhook_secret,
            journal=journal,
            keep=keep,
        )
        self._path = path
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The sandbox's base address, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}{self._path}"

    @property
    def pagerduty_url(self) -> str:
        """What takes the place of ``https://events.pagerduty.com``."""
        return f"{self.url}/pagerduty"

    @property
    def pagerduty_api_url(self) -> str:
        """What takes the place of ``https://api.pagerduty.com``."""
        return f"{self.url}/pagerduty/api"

    @property
    def slack_url(self) -> str:
        """What takes the place of ``https://slack.com/api/``, with the slash that slack_sdk wants."""
        return f"{self.url}/slack/api/"

    @property
    def product_url(self) -> Address:
        """Where presses and webhooks go."""
        return self.sandbox.presser.product_url

    @product_url.setter
    def product_url(self, url: Address) -> None:
        self.sandbox.presser.product_url = url
        self.sandbox.herald.product_url = url

    @property
    def pagerduty(self) -> PagerDuty:
        """What PagerDuty has received."""
        return self.sandbox.pagerduty

    @property
    def slack(self) -> Slack:
        """What Slack has received."""
        return self.sandbox.slack

    @property
    def faults(self) -> FaultBoard:
        """The failures still to come."""
        return self.sandbox.faults

    def fail(
        self,
        service: Service,
        kind: FaultKind,
        *,
        times: int | None = 1,
        method: str | None = None,
        target: str | None = None,
        status: int = 500,
        retry_after: str | None = None,
        error: str = "internal_error",
        seconds: float = 1.0,
        accept: bool = False,
    ) -> None:
        """Orders a failure; what the arguments mean stands at ``InjectedFault``."""
        self.faults.inject(
            InjectedFault(
                service,
                kind,
                times=times,
                method=method,
                target=target,
                status=status,
                retry_after=retry_after,
                error=error,
                seconds=seconds,
                accept=accept,
            )
        )

    def handle(self, alert: PagerDutyAlert | int, action: str, user: User | str = "") -> None:
        """Does to an alert what people do at PagerDuty; see ``Handler.handle``."""
        self.sandbox.handler.handle(alert, action, user)

    def press(
        self, message: Message | str, action_id: str, user: User | str = "", *, value: str | None = None
    ) -> Press:
        """Presses a button as a person would on the page; see ``Presser.press``."""
        return self.sandbox.press(message, action_id, user, value=value)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listens, after ``stop`` on the same port again; requests are answered when this returns.

        Raises:
            OSError: the port is taken.
            TimeoutError: the server did not start within 10 s.
        """
        self.sandbox.exchange.ended = False
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self._port = self._socket.getsockname()[1]
        started = threading.Event()
        server = _Server(site(self.sandbox, self._path), started)
        thread = threading.Thread(target=server.run, args=([self._socket],), name="incidentd-sandbox", daemon=True)
        thread.start()
        self._server, self._thread = server, thread
        if not started.wait(_START_SECONDS):
            self.stop()
            raise TimeoutError("the sandbox did not start")

    def stop(self) -> None:
        """Ends, hanging answers too; nothing to do if it isn't running."""
        self.sandbox.close()
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join(_STOP_SECONDS)
            self._server = self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Server(uvicorn.Server):
    """Says when it listens, rather than be asked, and ends at once, rather than at its next look."""

    def __init__(self, application: Starlette, started: threading.Event) -> None:
        config = uvicorn.Config(
            application,
            lifespan="off",
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._started_event = started
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, and tells the thread that waits."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._started_event.set()

    async def main_loop(self) -> None:
        """Ticks ten times a second, as uvicorn's own does, until the end."""
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._ending.wait()

    def end(self) -> None:
        """Ends; for another thread to call."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
