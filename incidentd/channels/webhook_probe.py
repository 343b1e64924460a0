"""Whether a webhook's host can be reached, asked without a request: that would already tell somebody."""

import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

import requests

from incidentd.channels.deadline import Call, Deadline
from incidentd.channels.failure import translate
from incidentd.channels.resolver import Resolver
from incidentd.errors import DeliveryError, PermanentError

_PORTS = {"http": 80, "https": 443}


def reach(address: str, seconds: float) -> str:
    """Look the name up, connect, and begin TLS where the address says so. Returns the host.

    Raises:
        TransientError: it can't be reached now; the text is safe to show.
        PermanentError: that is no address.
    """
    host, port, secure = _place(address)
    if _proxied(address):
        return host
    deadline = Deadline(seconds)
    failure: DeliveryError | None = None
    try:
        _connect(host, port, deadline, secure=secure)
    except (OSError, ValueError) as error:
        failure = translate(error, Call(deadline))
    if failure is not None:
        raise failure
    return host


def _connect(host: str, port: int, deadline: Deadline, *, secure: bool) -> None:
    refused: OSError = socket.gaierror("no address")
    for each in Resolver().addresses(host, port, deadline):
        try:
            with socket.create_connection((each, port), max(0.001, deadline.remaining)) as sock:
                if secure:
                    ssl.create_default_context().wrap_socket(sock, server_hostname=host).close()
                return
        except OSError as error:
            refused = error
    raise refused


def _place(address: str) -> tuple[str, int, bool]:
    with suppress(ValueError):
        parts = urlsplit(address)
        if parts.hostname and parts.scheme in _PORTS:
            return parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "https"
    raise PermanentError("its address is no http:// or https:// address")


def _proxied(address: str) -> bool:
    """Whether a proxy stands between, which looks names up and connects by itself."""
    with requests.Session() as session:
        found = session.merge_environment_settings(address, {}, None, None, None)["proxies"]
    return any(found.get(scheme) for scheme in (urlsplit(address).scheme, "all"))
