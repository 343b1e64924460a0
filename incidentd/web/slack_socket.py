"""Slack's Socket Mode: connections that incidentd opens itself, so that Slack needn't reach it.

A thread with an event loop of its own keeps one open; Slack sends each press to any one of an app's connections (ten at
most), so each web part has one. https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import random
import threading
from collections.abc import Awaitable, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any

import structlog

from incidentd.channels.backoff import next_try
from incidentd.channels.slack_socket import SocketDoor
from incidentd.errors import DeliveryError, PermanentError
from incidentd.meter.meter import FAILED, OPENED, REFUSED
from incidentd.web.contract import Runtime
from incidentd.web.envelope import COMMAND, INTERACTIVE, Envelope, signature
from incidentd.web.interaction import command, interact
from incidentd.web.slack_wire import Wire

OPEN_SECONDS = 5.0
STEADY_SECONDS = 10.0
"""A connection that ends sooner counts as a failure, so that no fault makes us open one after the other."""
DRAIN_SECONDS = 30.0
"""Slack still sends for some seconds on a connection that it is about to close."""
REFUSED_SECONDS = 60.0

_SWITCHED_OFF = "link_disabled"
_CLOSE_SECONDS = 15.0
log = structlog.get_logger("incidentd.slack_socket")


class SocketMode:
    """Keeps a connection from ``start`` to ``close``; does nothing where no app-level token is set."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        token = settings.slack_app_token
        self._runtime = runtime
        self._standing = runtime.slack_socket
        self._door = SocketDoor(token.get_secret_value(), settings.slack_api_url, runtime.clock.now) if token else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = threading.Event()
        self._asked_to_end: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._draining: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Keep a connection from now on; returns at once."""
        if self._door is not None and self._thread is None:
            self._standing.expect()
            self._thread = threading.Thread(target=self._run, args=(self._door,), name="slack-socket", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Take nothing more, finish and acknowledge what is being handled, and close."""
        self._ending.set()
        if self._loop is not None and self._asked_to_end is not None:
            # The loop has ended by itself where the thread was not needed any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._asked_to_end.set)
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self, door: SocketDoor) -> None:
        with closing(door):
            asyncio.run(self._keep(door))

    async def _keep(self, door: SocketDoor) -> None:
        self._asked_to_end, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if self._ending.is_set():
            return
        ended = self._asked_to_end
        tries = 0
        while not ended.is_set():
            began = self._loop.time()
            failure: DeliveryError | None = None
            try:
                failure = await self._serve(door, ended)
            except Exception:
                log.exception("slack_socket_failed")
            is_steady = failure is None and self._loop.time() - began >= STEADY_SECONDS
            tries = 0 if is_steady else tries + 1
            if tries:
                await _first(ended.wait(), asyncio.sleep(self._wait(tries, failure)))
        await asyncio.gather(*self._draining)

    async def _serve(self, door: SocketDoor, ended: asyncio.Event) -> DeliveryError | None:
        """Open one connection and stay with it until another one has to take over; why, where that is a failure."""
        opening = asyncio.ensure_future(door.connect(OPEN_SECONDS))
        await _first(opening, ended.wait())
        await asyncio.wait({opening})
        if opening.cancelled():
            return None
        if isinstance(error := opening.exception(), DeliveryError):
            return self._failed(error)
        connection = opening.result()
        self._runtime.meter.socket_connections.add(OPENED)
        wire = Wire(connection, self._handle, self._standing, self._runtime.meter)
        draining = asyncio.create_task(_drain(wire, ended))
        self._draining.add(draining)
        draining.add_done_callback(self._draining.discard)
        await _first(ended.wait(), wire.leaving.wait())
        log.info("slack_socket_left", reason="stopping" if ended.is_set() else wire.reason)
        if wire.reason == _SWITCHED_OFF:
            return self._failed(PermanentError("Socket Mode is switched off for the app"))
        return None

    def _failed(self, error: DeliveryError) -> DeliveryError:
        refused = isinstance(error, PermanentError)
        self._runtime.meter.socket_connections.add(REFUSED if refused else FAILED)
        if not self._standing.failed(str(error), refused=refused):
            return error
        if refused:
            log.warning("slack_socket_refused", cause=str(error))
        else:
            log.warning("slack_socket_away", cause=str(error))
        return error

    def _wait(self, tries: int, failure: DeliveryError | None) -> float:
        """Seconds until the next try."""
        now = self._runtime.clock.now()
        asked = getattr(failure, "retry_after", None)
        wait = (next_try(tries, asked, now, random.random) - now) / timedelta(seconds=1)
        return max(wait, REFUSED_SECONDS) if isinstance(failure, PermanentError) else wait

    async def _handle(self, envelope: Envelope) -> Mapping[str, Any] | None:
        """The same as by HTTP; whatever is not ours is acknowledged and left alone."""
        if envelope.kind == COMMAND:
            return await command(self._runtime)
        if envelope.kind == INTERACTIVE:
            await interact(self._runtime, envelope.payload, signature(envelope), envelope.id)
        return None


async def _drain(wire: Wire, ended: asyncio.Event) -> None:
    """Read to the end, as Slack still sends on a connection that it is about to close; then finish."""
    await _first(ended.wait(), wire.leaving.wait())
    await _first(ended.wait(), wire.closed(), asyncio.sleep(DRAIN_SECONDS))
    await wire.end()


async def _first(*waits: Awaitable[object]) -> None:
    """Return as soon as one of them is done."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for each in tasks:
        each.cancel()
