"""The way to Slack's Socket Mode: an address that an app-level token opens for one connection, and that connection.

https://docs.slack.dev/apis/events-api/using-socket-mode and
https://docs.slack.dev/reference/methods/apps.connections.open
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from incidentd.channels.deadline import Deadline, Watchman
from incidentd.channels.resolver import Resolver
from incidentd.channels.slack_api import API_URL, SlackApi
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import TransientError

LARGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes. What is larger ends the connection."""

_PING_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
"""Slack leaves the connection open after it has said goodbye: nobody waits for that."""
_SILENT = logging.Logger("websockets, unheard", level=logging.CRITICAL + 1)
"""The library logs each frame and the address, whose ticket is a secret as long as it is fresh."""


class SocketDoor:
    """Opens connections for one app-level token, one after the other."""

    def __init__(self, token: str, url: str | None, now: Callable[[], datetime]) -> None:
        self._token = token
        self._url = (url or API_URL).rstrip("/") + "/"
        self._now = now
        self._session = furnish(requests.Session(), DeadlineAdapter(Watchman(), Resolver()), self._url)

    def address(self, seconds: float) -> str:
        """Where one connection can be opened within the next half minute. It holds a ticket: never to be shown.

        Raises:
            TransientError: no address can be had now.
            UncertainError: the same; nothing was done that matters.
            SlackRefusedError: Slack doesn't take the token.
        """
        api = SlackApi(self._token, self._url, self._session, Deadline(seconds), self._now)
        address = str(api.call("apps.connections.open", {}).get("url") or "")
        # Plain text only where the API itself is called so: a stand-in on this machine.
        scheme = "wss" if urlsplit(self._url).scheme == "https" else "ws"
        if not address.startswith(f"{scheme}://"):
            raise TransientError("Slack named no address that can be used")
        return address

    async def connect(self, seconds: float) -> ClientConnection:
        """An open connection; proxies and certificates are the environment's.

        Raises:
            DeliveryError: as ``address``.
            TransientError: nobody is there who speaks the protocol.
        """
        address = await asyncio.to_thread(self.address, seconds)
        trust = await asyncio.to_thread(self._trust) if address.startswith("wss://") else None
        connection = None
        # What the library raises may show the address; so ours is raised outside.
        with suppress(OSError, ValueError, ImportError, WebSocketException):
            connection = await connect(
                address,
                ssl=trust,
                compression=None,
                open_timeout=seconds,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                max_size=LARGEST_MESSAGE,
                logger=_SILENT,
            )
        if connection is None:
            raise TransientError("the connection to Slack can't be opened")
        return connection

    def close(self) -> None:
        """Open no more; connections that are open stay so."""
        self._session.close()

    def _trust(self) -> ssl.SSLContext:
        """The authorities that all other requests trust."""
        verify = self._session.verify
        place = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        is_folder = Path(place).is_dir()
        return ssl.create_default_context(cafile=None if is_folder else place, capath=place if is_folder else None)
