"""May a browser's form change something here? Only one that this page itself showed."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import Request

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_own(request: Request, known_hosts: Collection[str]) -> bool:
    """Whether a POST comes from this site: by ``Origin``, or ``Sec-Fetch-Site`` where there is none.

    The Host must be loopback or a known one: a foreign name that resolves to this machine would be "same origin" too.
    """
    host = request.headers.get("host", "")
    if (urlsplit(f"//{host}").hostname or "") not in _LOOPBACK | set(known_hosts):
        return False
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == host
    return "sec-fetch-site" in request.headers


def is_own_or_no_browser(request: Request, known_hosts: Collection[str]) -> bool:
    """As ``is_own``; a request without any browser's header, as tests and scripts send it, passes too."""
    if "origin" not in request.headers and "sec-fetch-site" not in request.headers:
        return True
    return is_own(request, known_hosts)
