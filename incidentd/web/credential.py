"""Tokens in the Authorization header, compared in constant time."""

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable

from starlette.types import Scope

from incidentd.web.problem import ProblemError

CHALLENGE = 'Bearer realm="incidentd", Basic realm="incidentd"'


def authorized(scope: Scope, tokens: Iterable[str]) -> bool:
    """Whether the request carries one of these tokens, as bearer or as basic auth's password. The URL doesn't count."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    return len(given) == 1 and matches(_credential(given[0]), tokens)


def matches(given: bytes, tokens: Iterable[str]) -> bool:
    """Whether these are the bytes of one of the tokens. Takes the same time whichever it is, and when it is none."""
    found = False
    for token in tokens:
        found |= bool(token) and hmac.compare_digest(given, token.encode())
    return found


def unauthorized() -> ProblemError:
    """The 401 that asks for a token."""
    return ProblemError(401, "unauthorized", "a valid token is required", headers={"WWW-Authenticate": CHALLENGE})


def _credential(header: bytes) -> bytes:
    scheme, _, rest = header.partition(b" ")
    rest = rest.strip()
    if scheme.lower() == b"bearer":
        return rest
    if scheme.lower() == b"basic":
        try:
            return b64decode(rest, validate=True).partition(b":")[2]
        except Base64Error:
            return b""
    return b""
