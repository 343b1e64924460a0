"""Sessions of people: a sign-in link or the API token once, a signed cookie after that.

What is signed says until when it holds, by our clock: the library's own timestamps read another one.
"""

from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from itsdangerous import BadData, URLSafeSerializer
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from incidentd.web.problem import ProblemError

COOKIE = "incidentd_session"
LASTS = timedelta(hours=12)

_LINK = "sign-in"
_SESSION = "session"


def sign_in_link(public_url: str, session_secret: bytes, now: datetime) -> str:
    """A link that signs its reader in, for 12 hours."""
    return f"{public_url.rstrip('/')}/sign-in?token={quote(_sign(session_secret, _LINK, now + LASTS))}"


def is_sign_in_token(token: str, session_secret: bytes, now: datetime) -> bool:
    """Whether a sign-in link's token still holds; none does under an empty secret."""
    return _holds(token, session_secret, _LINK, now)


def is_signed_in(scope: Scope, session_secret: bytes, now: datetime) -> bool:
    """Whether the request carries a session that still holds; none does under an empty secret."""
    cookie = cookies(scope).get(COOKIE)
    return cookie is not None and _holds(cookie, session_secret, _SESSION, now)


def sign_in(response: Response, session_secret: bytes, now: datetime, *, secure: bool) -> None:
    """Give a session along with this answer.

    SameSite is Lax: people come from links in Slack. What changes something asks for the same origin besides.
    """
    token = _sign(session_secret, _SESSION, now + LASTS)
    seconds = int(LASTS.total_seconds())
    response.set_cookie(COOKIE, token, max_age=seconds, httponly=True, secure=secure, samesite="lax")


def cookies(scope: Scope) -> dict[str, str]:
    """The request's cookies; none where they are malformed."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def require_same_origin(scope: Scope, public_url: str) -> None:
    """Refuse what another site makes a browser send.

    Raises:
        ProblemError: 403; the Origin header is missing, foreign or null, or the browser says that it comes from afar.
    """
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or not _is_own(headers.get("origin", ""), headers.get("host", ""), public_url):
        raise ProblemError(403, "cross_site", "this has to be sent from incidentd's own pages")


def _is_own(origin: str, host: str, public_url: str) -> bool:
    """By the address that people use, or by the one that this request came to."""
    try:
        parts = urlsplit(origin)
        public = urlsplit(public_url)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return False
    return parts.netloc == host or (parts.scheme, parts.netloc) == (public.scheme, public.netloc)


def _sign(secret: bytes, purpose: str, until: datetime) -> str:
    signed = URLSafeSerializer(secret, salt=f"incidentd.{purpose}").dumps(int(until.timestamp()))
    return signed if isinstance(signed, str) else signed.decode()


def _holds(token: str, secret: bytes, purpose: str, now: datetime) -> bool:
    if not secret:
        return False
    try:
        until = URLSafeSerializer(secret, salt=f"incidentd.{purpose}").loads(token)
    except BadData:
        return False
    return isinstance(until, int) and now.timestamp() < until
