"""The address of a mail server, user and password included, as a variable or the rules give it."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from incidentd.errors import PermanentError

FORM = "smtp://user:password@mail.example.com:587, smtps:// for TLS from the start, smtp+plain:// for none"


class Security(StrEnum):
    """How TLS begins."""

    STARTTLS = "smtp"
    IMPLICIT = "smtps"
    NONE = "smtp+plain"


_PATHS = ("", "/", "/sandbox")
"""The last one marks the stand-in of `incidentd up`."""

_PORTS = {Security.STARTTLS: 587, Security.IMPLICIT: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, and as whom. ``user`` is empty where nobody signs in."""

    security: Security
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def mail_server(address: str) -> MailServer:
    """The parts of ``smtp://user:password@host:port``; user and password are percent-encoded where they have to be.

    Raises:
        PermanentError: that is no such address, or a password would travel without TLS.
    """
    try:
        parts = urlsplit(address)
        security, port = Security(parts.scheme), parts.port
    except ValueError:
        raise PermanentError(f"the mail server's address is not of the form {FORM}") from None
    if not parts.hostname or parts.query or parts.fragment or parts.path not in _PATHS:
        raise PermanentError(f"the mail server's address is not of the form {FORM}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) is not bool(password):
        raise PermanentError("the mail server's address has a user or a password, and not both")
    if not f"{user}{password}".isascii():
        raise PermanentError("user or password of the mail server's address holds other characters than ASCII's")
    if user and security is Security.NONE and not _is_own(parts.hostname):
        raise PermanentError("a password would travel without TLS: use smtp:// or smtps://")
    return MailServer(security, parts.hostname, port or _PORTS[security], user, password)


def _is_own(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
