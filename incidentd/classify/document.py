"""Strict YAML: one document of mappings, lists and plain text, every piece with its line.

YAML 1.1 reads ``NO`` as false and ``5:00`` as 300, lets a later key replace an earlier one, and lets a
few lines of aliases grow to gigabytes. None of that is wanted in rules that page people: text stays text until a
field gives it a type, and whatever could be read in two ways is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import yaml

from incidentd.classify.yaml_fault import forbidden_line, yaml_fault

MAX_BYTES = 1_000_000
MAX_DEPTH = 12
_MAX_KEY_SHOWN = 60

_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_ODD_NUMBER = re.compile(
    r"[-+]?(0[0-9_]+|0[xX][0-9a-fA-F_]+|0[bo][0-7_]+|[0-9]+_[0-9_]*|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
)
_TRUTH_WORDS = frozenset(f(w) for w in ("yes", "no", "on", "off", "y", "n") for f in (str.lower, str.title, str.upper))
_NULL_WORDS = frozenset({"~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as written. ``plain`` says that it stood there without quotes."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: "tuple[Node, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping, in the order of the file."""

    fields: "Mapping[str, Node]"
    line: int


Node = Scalar | Items | Fields
Complain = Callable[[int, str], None]


class _StrictnessError(Exception):
    """The rest of the file can't be read: where, and why."""

    def __init__(self, line: int, cause: str) -> None:
        super().__init__(cause)
        self.line = line
        self.cause = cause


def read(text: str, complain: Complain, *, words: bool = True) -> Node | None:
    """The one document of a file; None when it can't be read. Every fault goes to ``complain``.

    ``words`` False: a file of somebody else's, whose reader takes ``NO`` and ``5:00`` for the text that they are.
    """
    try:
        return _Reader(text, complain, words=words).document()
    except _StrictnessError as error:
        complain(error.line, error.cause)
        return None


class _Reader:
    """Walks the parser's events: nothing is built that was not looked at first."""

    def __init__(self, text: str, complain: Complain, *, words: bool) -> None:
        self._complain = complain
        self._words = words
        self._events = _events(text)
        self._line = 1

    def document(self) -> Node | None:
        self._next()
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            _refuse(1, "the file is empty")
        if isinstance(start, yaml.DocumentStartEvent) and (start.version or start.tags):
            _refuse(self._line, "directives are not allowed")
        node = self._node(self._next(), 0)
        self._next()
        if not isinstance(self._next(), yaml.StreamEndEvent):
            _refuse(self._line, "a file holds one document")
        return node

    def _next(self) -> yaml.Event:
        event = next(self._events)
        if event.start_mark:
            self._line = event.start_mark.line + 1
        return event

    def _node(self, event: yaml.Event, depth: int) -> Node:
        line = self._line
        if depth > MAX_DEPTH:
            _refuse(line, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            _refuse(line, "aliases are not allowed: write it out")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            _refuse(line, "anchors are not allowed: write it out")
        if getattr(event, "tag", None) is not None:
            _refuse(line, "tags are not allowed")
        if isinstance(event, yaml.MappingStartEvent):
            return self._fields(line, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(line, depth)
        if not isinstance(event, yaml.ScalarEvent):
            _refuse(line, "is no YAML value")
        return self._scalar(event, line)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        scalar = Scalar(event.value, plain=event.style in (None, ""), line=line)
        cause = _ambiguity(scalar) if self._words else None
        if cause:
            self._complain(line, cause)
        return scalar

    def _items(self, line: int, depth: int) -> Items:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Items(tuple(items), line)

    def _fields(self, line: int, depth: int) -> Fields:
        fields: dict[str, Node] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            at = self._line
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                _refuse(at, "a key must be text")
            if key.text in fields:
                self._complain(at, f"key {key.text[:_MAX_KEY_SHOWN]!r} stands twice in the same place")
            fields[key.text] = self._node(self._next(), depth + 1)
        return Fields(fields, line)


def _events(text: str) -> Iterator[yaml.Event]:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        _refuse(1, f"larger than {MAX_BYTES:,} bytes")
    if "\0" in text:
        _refuse(text[: text.index("\0")].count("\n") + 1, "holds a NUL character")
    # The loader written in C is some ten times faster; every wheel of PyYAML carries it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line, cause = yaml_fault(text, error)
        _refuse(line, f"is no YAML: {cause}")
    except (yaml.YAMLError, UnicodeError) as error:
        raise _StrictnessError(forbidden_line(text), "is no YAML: a character that is not allowed") from error


def _ambiguity(scalar: Scalar) -> str | None:
    if not scalar.plain:
        return None
    text = scalar.text
    if text in _TRUTH_WORDS:
        return f'{text} means true or false in YAML: write true or false, or "{text}" for the word'
    if _SEXAGESIMAL.fullmatch(text):
        return f'{text} is a number of base 60 in YAML: write "{text}"'
    if _ODD_NUMBER.fullmatch(text):
        return f'{text} is read as another number by YAML: write it plainly, or "{text}" for the text'
    if text in _NULL_WORDS:
        return f'{text} means nothing in YAML: leave the field out, or write "{text}" for the word'
    if text == "<<":
        return "merge keys are not allowed: write it out"
    return None


def _refuse(line: int, cause: str) -> NoReturn:
    raise _StrictnessError(line, cause)
