"""The kinds of value that a setting has: what is refused, and in which words."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from incidentd.secret import SHORTEST_SECRET, several, weakness
from incidentd.source import parse_sources

_LARGEST_PORT = 65_535
MOST_ALERTMANAGERS = 8
"""Each is a label of a metric."""

MOST_ALERTMANAGERS = 8
"""Each is a label of a metric."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting's value may be, in words: stands beside the validator that asks for it."""

    words: str


def _strong(secret: SecretStr) -> SecretStr:
    fault = weakness(secret.get_secret_value())
    if fault:
        raise ValueError(fault)
    return secret


def _strong_each(secret: SecretStr) -> SecretStr:
    several(secret.get_secret_value())
    return secret


def _sources(secret: SecretStr) -> SecretStr:
    parse_sources(secret.get_secret_value())
    return secret


def _alertmanagers(secret: SecretStr) -> SecretStr:
    addresses = parse_addresses(secret.get_secret_value())
    if not 1 <= len(addresses) <= MOST_ALERTMANAGERS:
        raise ValueError(f"is not 1 to {MOST_ALERTMANAGERS} addresses")
    for address in addresses:
        parts = urlsplit(_web_address(address))
        if not address.isprintable() or (parts.username is None) != (parts.password is None):
            raise ValueError("is not http:// or https:// addresses, each without or with both user and password")
        if not _has_sound_port(parts):
            raise ValueError("has an address whose port is no number: a / in a password is written %2F")
    return secret


def _has_sound_port(parts: SplitResult) -> bool:
    """What the library says of an unsound one shows it, and it may be a piece of a password."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def parse_addresses(text: str) -> tuple[str, ...]:
    """Addresses apart by commas or white space, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _receiver_names(text: str) -> str:
    if not parse_receivers(text):
        raise ValueError("names no receiver")
    return text


def parse_receivers(text: str) -> tuple[str, ...]:
    """Names apart by commas: they may have spaces."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _named(folder: str) -> str:
    if not folder:
        raise ValueError("is empty; unset it, or name a folder")
    return folder


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is not an http:// or https:// address")
    return url.rstrip("/")


def _ping_address(secret: SecretStr) -> SecretStr:
    """Whoever can read or change a ping on its way can keep the outsider quiet: in plain text on this machine alone."""
    parts = urlsplit(secret.get_secret_value())
    if not parts.hostname or parts.username is not None or parts.fragment or not parts.geturl().isprintable():
        raise ValueError("is not an https:// address")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("is not an https:// address")
    return secret


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _redis_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return url
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("is not a redis://, rediss:// or unix:// address")
    return url


def _database_address(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme in ("postgres", "postgresql"):
        return "postgresql+psycopg" + url[len(scheme) :]
    if scheme not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("is not a sqlite:/// or postgresql:// address")
    return url


def _socket_address(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise ValueError("is not host:port")
    return listen


def socket_address_or_none(listen: str) -> str:
    """Empty is an answer too."""
    return listen and _socket_address(listen)


Secret = Annotated[
    SecretStr,
    AfterValidator(_strong),
    Allowed(f"{SHORTEST_SECRET} characters or more: ASCII, no spaces, no placeholder"),
]
Secrets = Annotated[
    SecretStr,
    AfterValidator(_strong_each),
    Allowed(f"{SHORTEST_SECRET} characters or more: ASCII, no placeholder; several apart by white space"),
]
SourceTokens = Annotated[SecretStr, AfterValidator(_sources), Allowed("lines of `name: token`")]
AlertmanagerAddresses = Annotated[
    SecretStr,
    AfterValidator(_alertmanagers),
    Allowed(f"http:// or https:// addresses, up to {MOST_ALERTMANAGERS}, apart by commas or white space"),
]
ReceiverNames = Annotated[str, AfterValidator(_receiver_names), Allowed("names, apart by commas")]
WebAddress = Annotated[str, AfterValidator(_web_address), Allowed("an http:// or https:// address")]
DatabaseAddress = Annotated[
    str, AfterValidator(_database_address), Allowed("a sqlite:/// or postgresql:// address (postgres:// too)")
]
RedisAddress = Annotated[str, AfterValidator(_redis_address), Allowed("a redis://, rediss:// or unix:// address")]
Folder = Annotated[Path, BeforeValidator(_named), Allowed("a folder")]
SecretAddress = Annotated[
    SecretStr, AfterValidator(_ping_address), Allowed("an https:// address (http:// on this machine alone)")
]
SocketAddress = Annotated[str, AfterValidator(_socket_address), Allowed("host:port")]
