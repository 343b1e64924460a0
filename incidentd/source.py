"""Who may send webhooks: named sources, each with tokens of its own.

A line for each source, ``name: token``; while a token is replaced, the old one and the new one stand side by side.
Tokens are kept as hashes only, and compared in constant time.
"""

import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from incidentd.secret import several

MOST_SOURCES = 32
"""Sources that may be named: each is a label of a metric."""

ONLY_SOURCE = "alertmanager"
"""The source of ``INCIDENTD_WEBHOOK_TOKEN``, which names none."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_TAKEN = frozenset({"incidentd", "other", "unknown"})


@dataclass(frozen=True, slots=True)
class Source:
    """One sender and its tokens. ``any_user`` takes basic auth under whatever name."""

    name: str
    tokens: tuple[str, ...] = field(repr=False)
    any_user: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    digest: bytes
    source: str
    user: bytes
    any_user: bool


class SourceTable:
    """All sources with the hashes of their tokens."""

    def __init__(self, sources: Iterable[Source]) -> None:
        listed = tuple(sources)
        self.names = tuple(dict.fromkeys(source.name for source in listed))
        self._tokens = tuple(
            _Token(_digest(token.encode()), source.name, source.name.encode(), source.any_user)
            for source in listed
            for token in source.tokens
        )

    def source_of(self, token: bytes, user: bytes = b"") -> str | None:
        """Whose token this is; None where it is nobody's, or where basic auth names another source.

        Takes the same time for each: every token is compared, hash with hash.
        """
        given = _digest(token)
        found: str | None = None
        for known in self._tokens:
            same = hmac.compare_digest(given, known.digest)
            named = known.any_user | (not user) | hmac.compare_digest(user, known.user)
            found = known.source if same & named & bool(token) else found
        return found


def parse_sources(text: str) -> tuple[Source, ...]:
    """The sources that these lines name; empty lines and those that begin with ``#`` say nothing.

    Raises:
        ValueError: names the line and what is wrong, and shows neither a name nor a token.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in _lines(text):
        try:
            name, tokens = _source(line)
            found[name] = several(" ".join((*found.get(name, ()), *tokens)))
        except ValueError as error:
            raise ValueError(f"line {number} {error}") from None
    _refuse_unsound(found)
    return tuple(Source(name, tokens) for name, tokens in found.items())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _source(line: str) -> tuple[str, tuple[str, ...]]:
    name, colon, rest = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise ValueError("is not `name: token`, the name in lower case, digits and dashes, up to 32 of them")
    if name in _TAKEN:
        raise ValueError("has a name that incidentd uses itself")
    return name, several(rest)


def _refuse_unsound(found: dict[str, tuple[str, ...]]) -> None:
    if not found:
        raise ValueError("names no source")
    if len(found) > MOST_SOURCES:
        raise ValueError(f"names more than {MOST_SOURCES} sources")
    tokens = [token for each in found.values() for token in each]
    if len(set(tokens)) < len(tokens):
        raise ValueError("gives two sources the same token")


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()
