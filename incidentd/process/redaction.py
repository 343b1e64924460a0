"""Taking secrets out of what is logged, whoever wrote it: our code, a library, or the text of an exception."""

import json
import re
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"
LONGEST = 16_000
"""Characters of a text in a log line."""
_DEEPEST = 6
_SHORTEST_SECRET = 6

_SECRET_KEY = re.compile(
    r"(^|[_-])(authorization|token|api[_-]?key|routing[_-]?key|signature|secret|password|cookie|credentials?)$",
    re.IGNORECASE,
)
_PATTERNS = [
    (re.compile(r"xox[a-z](?:\.xox[a-z])?-[\w-]+|xapp-[\w-]+", re.IGNORECASE), HIDDEN),
    (re.compile(r"(\w://)[^\s/?#]*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(https://hooks\.slack\.com/)[^\s\"'<>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b((?:bearer|basic)\s+)[\w+/=.~-]{6,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"((?:authorization|token|api[_-]?key|routing[_-]?key|signature|secret|password)[\"']?\s*[:=]\s*(?:token=)?[\"']?)"
            r"(?!\[redacted\])[^\s\"',;&<>)}\]]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
]
_SUSPECT = re.compile(
    "xox|xapp|://|bearer|basic|authorization|token|api[_-]?key|routing|signature|secret|password", re.IGNORECASE
)
"""What each of the patterns needs: nearly every text of a log line holds nothing of it."""


class Redactor:
    """Replaces known secrets, what looks like one, and whatever stands under a secret's name."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._shortest = 0
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these too, from now on."""
        new = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self._secrets |= new | {form for secret in new for form in _written(secret)}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._shortest = min(map(len, longest_first), default=0)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """``text`` without secrets, cut where it is too long for a log line."""
        if self._known and len(text) >= self._shortest:
            text = self._known.sub(HIDDEN, text)
        if _SUSPECT.search(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        # Only now: a secret that is cut in two would not be known.
        return text if len(text) <= LONGEST else text[:LONGEST] + "…"

    def value(self, value: Any, depth: int = 0) -> Any:
        """A value of JSON's kinds without secrets: what isn't of these kinds becomes text first."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if depth < _DEEPEST and isinstance(value, Mapping):
            return {self.text(str(key)): self.entry(str(key), inner, depth + 1) for key, inner in value.items()}
        if depth < _DEEPEST and isinstance(value, list | tuple | Set):
            return [self.value(inner, depth + 1) for inner in value]
        return self.text(str(value))

    def entry(self, key: str, value: Any, depth: int = 0) -> Any:
        """The value that stands under ``key``: hidden where the name alone says that it is secret."""
        return HIDDEN if value is not None and _is_secret_key(key) else self.value(value, depth)


def _written(secret: str) -> tuple[str, ...]:
    """As it stands in an address, in a value's or its bytes' representation, and in JSON."""
    return (
        quote(secret, safe=""),
        quote(secret),
        repr(secret)[1:-1],
        repr(secret.encode())[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    )


@lru_cache(maxsize=1024)
def _is_secret_key(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None
