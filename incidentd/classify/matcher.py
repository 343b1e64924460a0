"""Label matchers in Alertmanager's own syntax.

As Alertmanager reads them by default: its classic grammar, and label names of any UTF-8 in quotes
(https://prometheus.io/docs/alerting/latest/configuration/#label-matchers). Patterns are RE2, anchored at both ends;
an absent label is the empty text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import re2

_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED_NAME = re.compile(r'\s*"((?:[^"\\]|\\.)+)"\s*(=~|!=|!~|=)\s*(.*?)\s*', re.DOTALL)
_BARE_NAME = re.compile(r"\s*([^\s{}!=~,\\\"'`]+)\s*(=~|!=|!~|=)\s*(.*?)\s*", re.DOTALL)
_ESCAPED = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_GO_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_LAST_CODE_POINT = 0x10FFFF


class MatcherError(ValueError):
    """A text that is no matcher; says why."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher. Two are equal when they ask the same."""

    label: str
    operator: str
    value: str
    _test: Callable[[str], bool] = field(compare=False, repr=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it."""
        return self._test(labels.get(self.label, ""))

    def __str__(self) -> str:
        name = self.label if _CLASSIC.fullmatch(f"{self.label}=") else _quote(self.label)
        return f"{name}{self.operator}{_quote(self.value)}"


def equality(label: str, value: str) -> Matcher:
    """The matcher ``label="value"``."""
    return Matcher(label, "=", value, value.__eq__)


def parse_matcher(text: str) -> Matcher:
    """A matcher from its text.

    Raises:
        MatcherError: it is none, or its pattern is not RE2.
    """
    if text.strip().startswith("{") or text.strip().endswith("}"):
        raise MatcherError(
            f"{text[:200]!r} has braces around it: write one matcher, and quote a value that ends in one"
        )
    if classic := _CLASSIC.fullmatch(text):
        label, operator, raw = classic.groups()
        return _matcher(label, operator, _classic_value(raw))
    if quoted := _QUOTED_NAME.fullmatch(text):
        label, operator, raw = quoted.groups()
        return _matcher(_unescape(label), operator, _utf8_value(raw))
    if bare := _BARE_NAME.fullmatch(text):
        label, operator, raw = bare.groups()
        return _matcher(label, operator, _utf8_value(raw))
    raise MatcherError(f"{text[:200]!r} is no matcher: label, one of = != =~ !~, value")


def _matcher(label: str, operator: str, value: str) -> Matcher:
    if operator == "=":
        return Matcher(label, operator, value, value.__eq__)
    if operator == "!=":
        return Matcher(label, operator, value, value.__ne__)
    finds = _pattern(value)
    return Matcher(label, operator, value, finds if operator == "=~" else lambda text: not finds(text))


def _pattern(value: str) -> Callable[[str], bool]:
    options = re2.Options()
    options.log_errors = False
    try:
        # Bytes, and with replacements: a text that is not encodable must not stop a page.
        compiled = re2.compile(value.encode("utf-8", "replace"), options)
    except re2.error as error:
        raise MatcherError(f"pattern {value[:200]!r} is not RE2: {_reason(error)}") from error
    return lambda text: compiled.fullmatch(text.encode("utf-8", "replace")) is not None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "it can't be compiled"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _classic_value(raw: str) -> str:
    r"""Only ``\"``, ``\\`` and ``\n`` are escapes; any other backslash stands for itself."""
    quoted = raw.startswith('"')
    body = raw[1:] if quoted else raw
    parts: list[str] = []
    at = 0
    closed = not quoted
    while at < len(body):
        char = body[at]
        if char == "\\" and at + 1 < len(body):
            at += 1
            parts.append({"n": "\n", '"': '"', "\\": "\\"}.get(body[at], f"\\{body[at]}"))
        elif char == '"':
            if not quoted or at < len(body) - 1:
                raise MatcherError(f"value {raw[:200]} holds a quote that is not escaped")
            closed = True
        else:
            parts.append(char)
        at += 1
    if not closed:
        raise MatcherError(f"value {raw[:200]} has no closing quote")
    return "".join(parts)


def _utf8_value(raw: str) -> str:
    if not raw.startswith('"'):
        if re.search(r"[\s{}!=~,\\\"'`]", raw) or not raw:
            raise MatcherError(f"value {raw[:200]} must stand in double quotes")
        return raw
    if not re.fullmatch(r'"(?:[^"\\]|\\.)*"', raw, re.DOTALL):
        raise MatcherError(f"value {raw[:200]} has no closing quote")
    return _unescape(raw[1:-1])


def _unescape(text: str) -> str:
    """Go's escapes, as the newer grammar has them."""
    return _ESCAPED.sub(lambda found: _unescaped(found[1]), text)


def _unescaped(escape: str) -> str:
    if escape in _GO_ESCAPES:
        return _GO_ESCAPES[escape]
    code = int(escape[1:], 16) if escape[0] in "xuU" and len(escape) > 1 else int(escape, 8) if len(escape) > 1 else -1
    if not 0 <= code <= _LAST_CODE_POINT:
        raise MatcherError(f"\\{escape} is no escape")
    return chr(code)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
