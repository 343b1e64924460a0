"""What a broken exchange means: the one edge at which errors of requests and urllib3 become ours.

The texts are fixed. Foreign errors carry the URL, the headers and the body with its key, so they are neither quoted nor
chained.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

from incidentd.channels.deadline import Call
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError

FOREIGN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""All that requests and urllib3 raise, for what was asked of them or what came back."""

UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.URLRequired,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.ProxySchemeUnsupported,
)
"""Never sent, and never will be: an address or a key that no request can be made of."""

_NOT_SENT: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((urllib3.exceptions.NameResolutionError, socket.gaierror), "its name could not be resolved"),
    ((urllib3.exceptions.ProxyError, requests.exceptions.ProxyError), "the proxy gave no way through"),
    ((requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError), "no secure connection: TLS failed"),
    ((ConnectionRefusedError,), "the connection was refused"),
    ((requests.ConnectTimeout, TimeoutError), "no connection within the time allowed"),
)
_BROKEN = (ConnectionResetError, BrokenPipeError)


def translate(error: BaseException, call: Call) -> DeliveryError:
    """Our error for a foreign one: uncertain once any of the request may have left."""
    causes = tuple(_causes(error))
    if call.sent:
        timely = "no answer within the time allowed" if call.expired or _is(causes, _TIMEOUTS) else ""
        return UncertainError(timely or "the connection broke before the answer was whole")
    if call.expired:
        return TransientError("no connection within the time allowed")
    if isinstance(error, UNUSABLE):
        return PermanentError("its address can't be used")
    return TransientError(next((text for kinds, text in _NOT_SENT if _is(causes, kinds)), "no connection"))


def is_stale(error: BaseException, call: Call) -> bool:
    """Whether a kept-alive connection had been closed by the other side before this request met it."""
    unread = call.sent and not call.answered and not call.expired
    return unread and call.reused and _is(tuple(_causes(error)), _BROKEN)


_TIMEOUTS = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)


def _is(causes: tuple[BaseException, ...], kinds: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all it wraps: both libraries put causes into arguments as often as into ``__cause__``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
