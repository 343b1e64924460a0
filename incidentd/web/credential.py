"""Tokens in the Authorization header, compared in constant time."""

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from hashlib import sha256

from starlette.types import Scope

from incidentd.web.problem import ProblemError

CHALLENGE = 'Bearer realm="incidentd", Basic realm="incidentd"'

_NOTHING = (b"", b"")


def authorized(scope: Scope, tokens: Iterable[str]) -> bool:
    """Whether the request carries one of these tokens, as bearer or as basic auth's password. The URL doesn't count."""
    return matches(given(scope)[1], tokens)


def given(scope: Scope) -> tuple[bytes, bytes]:
    """Basic auth's name, empty for a bearer token, and the token; both empty without one, and with two headers."""
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    return _credential(headers[0]) if len(headers) == 1 else _NOTHING


def matches(given: bytes, tokens: Iterable[str]) -> bool:
    """Whether these are the bytes of one of the tokens. Takes the same time whichever it is, and when it is none."""
    digest, found = sha256(given).digest(), False
    for token in tokens:
        found |= bool(token) and hmac.compare_digest(digest, sha256(token.encode()).digest())
    return found


def unauthorized() -> ProblemError:
    """The 401 that asks for a token."""
    return ProblemError(401, "unauthorized", "a valid token is required", headers={"WWW-Authenticate": CHALLENGE})


def _credential(header: bytes) -> tuple[bytes, bytes]:
    scheme, _, rest = header.partition(b" ")
    rest = rest.strip()
    if scheme.lower() == b"bearer":
        return b"", rest
    if scheme.lower() == b"basic":
        try:
            user, _, password = b64decode(rest, validate=True).partition(b":")
        except Base64Error:
            return _NOTHING
        return user, password
    return _NOTHING
