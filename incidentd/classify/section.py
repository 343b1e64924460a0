"""Typed reading of a YAML mapping: each field by name, each fault with its line and row."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from incidentd.classify.document import Fields, Items, Node, Scalar, read
from incidentd.classify.span import parse_span
from incidentd.errors import Fault
from incidentd.tier import Tier


@dataclass(slots=True)
class Ledger:
    """The faults of one file as they are found."""

    file: str
    faults: list[Fault] = field(default_factory=list)

    def add(self, line: int, cause: str, row: str = "") -> None:
        """Note a fault."""
        self.faults.append(Fault(self.file, line, row, cause))


@dataclass(slots=True)
class Section:
    """A mapping being read. Fields that nobody may ask for are named by ``only``."""

    fields: dict[str, Node]
    line: int
    ledger: Ledger
    row: str = ""

    def complain(self, cause: str, name: str | None = None) -> None:
        """A fault at the field, or at the section when there is no such field."""
        node = self.fields.get(name) if name is not None else None
        self.ledger.add(node.line if node else self.line, cause, self.row)

    def only(self, *known: str) -> "Section":
        """Refuse every field but these, naming the closest one."""
        for name, node in self.fields.items():
            if name not in known:
                self.ledger.add(node.line, f"unknown field {name!r}{closest(name, known)}", self.row)
        return self

    def has(self, name: str) -> bool:
        """Whether the field stands there."""
        return name in self.fields

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty. Without ``default`` the field is required."""
        node = self._get(name, required=default is None)
        return self._text(node, name) if node else default or ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; one text stands for a list of one. Empty where the field is missing."""
        node = self._get(name)
        if node is None:
            return ()
        if isinstance(node, Items):
            found = [self._text(item, name) for item in node.items]
            for twice in sorted({text for text in found if text and found.count(text) > 1}):
                self.ledger.add(node.line, f"{name} names {twice!r} twice", self.row)
            return tuple(text for text in found if text)
        text = self._text(node, name)
        return (text,) if text else ()

    def lines(self, name: str) -> tuple[tuple[int, str], ...]:
        """Like ``texts``, each with its line and in its quotes' content."""
        node = self._get(name)
        items = node.items if isinstance(node, Items) else (node,) if node else ()
        return tuple((item.line, text) for item in items if (text := self._text(item, name)))

    def choice(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        """One of ``known``; empty after a fault."""
        value = self.text(name, default)
        if value and value != default and value not in (known := tuple(known)):
            self.complain(f"{name} {value!r} is unknown{closest(value, known)}", name)
            return ""
        return value

    def tier(self, name: str) -> Tier | None:
        """P0 to P3; None after a fault."""
        value = self.text(name)
        if value and value not in tuple(Tier):
            self.complain(f"{name} {value!r} is none of P0, P1, P2, P3", name)
            return None
        return Tier(value) if value else None

    def number(self, name: str, default: int, *, least: int, most: int = 1_000_000) -> int:
        """A whole number within bounds."""
        value = self.text(name, str(default))
        if re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most:
            return int(value)
        self.complain(f"{name} {value[:100]!r} is no whole number from {least} to {most}", name)
        return default

    def span(self, name: str, default: timedelta | None = None, *, least: timedelta = timedelta(0)) -> timedelta:
        """A duration such as ``1h30m``. Without ``default`` the field is required."""
        if default is not None and not self.has(name):
            return default
        value = self.text(name)
        found = parse_span(value) if value else default
        if found is None and value:
            self.complain(f"{name} {value!r} is no duration such as 30s, 5m, 1h30m or 2d", name)
        if found is not None and found < least:
            self.complain(f"{name} {value!r} is too short", name)
        return least if found is None else max(found, least)

    def section(self, name: str, *, required: bool = False, row: str | None = None) -> "Section | None":
        """The mapping under a field."""
        node = self._get(name, required=required)
        return as_section(node, name, self.ledger, self.row if row is None else row) if node else None

    def sections(self, name: str) -> "Iterator[tuple[str, Section]]":
        """The named mappings under a field, in the order of the file."""
        for key, node in self._named(name):
            section = as_section(node, key, self.ledger, key)
            if section:
                yield key, section

    def names(self, name: str) -> "dict[str, str]":
        """A mapping of texts to texts. Values may be empty where the key's absence is meant."""
        texts = {}
        for key, node in self._named(name):
            if isinstance(node, Scalar):
                texts[key] = node.text
            else:
                self.ledger.add(node.line, f"{key} must be text", self.row)
        return texts

    def nodes(self, name: str) -> tuple[Node, ...]:
        """The items of a list, whatever they are."""
        node = self._get(name)
        if node is not None and not isinstance(node, Items):
            self.ledger.add(node.line, f"{name} must be a list", self.row)
            return ()
        return node.items if node else ()

    def _named(self, name: str) -> "Iterable[tuple[str, Node]]":
        node = self._get(name)
        if node is None:
            return ()
        section = as_section(node, name, self.ledger, self.row)
        return section.fields.items() if section else ()

    def _get(self, name: str, *, required: bool = False) -> Node | None:
        node = self.fields.get(name)
        if node is None and required:
            self.ledger.add(self.line, f"{name} is missing", self.row)
        return node

    def _text(self, node: Node, name: str) -> str:
        if not isinstance(node, Scalar):
            self.ledger.add(node.line, f"{name} must be text", self.row)
            return ""
        if not node.text.strip():
            self.ledger.add(node.line, f"{name} is empty", self.row)
            return ""
        return node.text


def as_section(node: Node, name: str, ledger: Ledger, row: str = "") -> Section | None:
    """A node as a mapping; None, and a fault, when it is none."""
    if not isinstance(node, Fields):
        ledger.add(node.line, f"{name} must be a mapping of names to values", row)
        return None
    return Section(dict(node.fields), node.line, ledger, row)


def open_file(text: str, ledger: Ledger) -> Section:
    """A whole file as a section; an empty one, with faults noted, when it can't be read."""
    node = read(text, ledger.add)
    section = as_section(node, "the file", ledger) if node else None
    return section or Section({}, 1, ledger)


def is_blank(text: str) -> bool:
    """Whether a file holds comments only."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def closest(name: str, known: Iterable[str]) -> str:
    """Words that name the most similar known name; empty when nothing is similar."""
    found = difflib.get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    return f": did you mean {found[0]!r}?" if found else ""
