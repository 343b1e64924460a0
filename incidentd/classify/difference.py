"""What is different between two rules tables, thing by thing and field by field.

Drawn from their texts: what a text leaves to a default is no field here, and one that another version of the program
wrote can be compared too, as long as it is YAML.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from incidentd.classify.document import Fields, Items, Node, Scalar, read

_TIERS, _DESTINATIONS, _CALENDARS = "tiers.yaml", "destinations.yaml", "calendars.yaml"
_ESCALATION, _HEARTBEATS, _DRILLS = "escalation.yaml", "heartbeats.yaml", "drills.yaml"
_OF_FILE = {_DESTINATIONS: "destination", _CALENDARS: "calendar", _HEARTBEATS: "heartbeat", _DRILLS: "drill"}
_NOT_OF_TABLES = frozenset({"rows", "examples", "objectives"})


class How(StrEnum):
    """What happened to a thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field. ``before`` or ``after`` is None where it did not stand there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing: a ``row``, a ``tier``, a ``policy``, a ``destination`` and so on, by its name."""

    kind: str
    name: str
    how: How
    fields: tuple[FieldChange, ...] = ()


KINDS = (
    "order of tables", "table", "row", "objective", "examples", "tier", "severity", "key", "policy", "person",
    "destination", "calendar", "heartbeat", "drill", "file",
)  # fmt: skip
"""In the order in which they are listed."""

_Things = Mapping[tuple[str, str], Mapping[str, str]]


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """All changes from one table's files to the other's, by kind and name; none where they mean the same."""
    old, new = _nodes(before), _nodes(after)
    first, second = dict(_things(old)), dict(_things(new))
    found = [*_changed(first, second), *_moved(old, new)]
    return sorted(found, key=lambda change: (KINDS.index(change.kind), change.name, change.how))


def _changed(first: _Things, second: _Things) -> Iterator[Change]:
    for kind, name in {**first, **second}:
        old, new = first.get((kind, name)), second.get((kind, name))
        if old is None or new is None:
            fields = tuple(_fields(old or {}, new or {}))
            yield Change(kind, name, How.REMOVED if new is None else How.ADDED, fields)
        elif old != new:
            yield Change(kind, name, How.CHANGED, tuple(_fields(old, new)))


def _fields(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[FieldChange]:
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield FieldChange(name, old.get(name), new.get(name))


def _moved(old: Mapping[str, Node], new: Mapping[str, Node]) -> Iterator[Change]:
    """Rows that are asked earlier or later than before, among those that both tables have."""
    for file in old.keys() & new.keys():
        before, after = _row_names(old[file]), _row_names(new[file])
        kept = [name for name in before if name in after]
        now = [name for name in after if name in before]
        same = SequenceMatcher(None, kept, now, autojunk=False).get_matching_blocks()
        still = {name for block in same for name in kept[block.a : block.a + block.size]}
        for name in now:
            if name not in still:
                places = FieldChange("place", str(before.index(name) + 1), str(after.index(name) + 1))
                yield Change("row", f"{_stem(file)}/{name}", How.MOVED, (places,))


def _nodes(files: Mapping[str, str]) -> dict[str, Node]:
    """Each file as YAML; one that is none stands as the one text it is."""
    return {name: _node(text) for name, text in files.items()}


def _node(text: str) -> Node:
    lines: list[int] = []
    node = read(text, lambda line, _cause: lines.append(line))
    return node if node is not None else Scalar(text.strip(), plain=False, line=1)


def _things(nodes: Mapping[str, Node]) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
    for file, node in nodes.items():
        if not isinstance(node, Fields):
            if not isinstance(node, Scalar) or any(not line.startswith("#") for line in node.text.splitlines()):
                yield ("file", file), {"text": _text(node)}
        elif file == _TIERS:
            yield from _of_tiers(node)
        elif file == _ESCALATION:
            for part, kind in (("people", "person"), ("policies", "policy")):
                yield from _named(kind, node.fields.get(part))
        elif file in _OF_FILE:
            yield from _named(_OF_FILE[file], node)
        else:
            yield from _of_table(_stem(file), node)


def _of_tiers(node: Fields) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
    yield ("order of tables", ""), dict(_flat("tables", node.fields.get("tables")))
    yield from _named("tier", node.fields.get("tiers"))
    for name in ("severity", "key"):
        yield (name, ""), dict(_flat("", node.fields.get(name)))


def _of_table(name: str, node: Fields) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
    own = {key: each for key, each in node.fields.items() if key not in _NOT_OF_TABLES}
    yield ("table", name), dict(_flat("", Fields(own, node.line)))
    for objective, fields in _named("objective", node.fields.get("objectives")):
        yield ("objective", f"{name}/{objective[1]}"), fields
    for row in _items(node.fields.get("rows")):
        fields = dict(_flat("", row))
        yield ("row", f"{name}/{fields.pop('name', '')}"), fields
    shown = Counter("; ".join(f"{key} {text}" for key, text in _flat("", each)) for each in _examples(node))
    if shown:
        yield ("examples", name), {text: "1" if count == 1 else str(count) for text, count in shown.items()}


def _named(kind: str, node: Node | None) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
    for name, each in node.fields.items() if isinstance(node, Fields) else ():
        yield (kind, name), dict(_flat("", each))


def _flat(path: str, node: Node | None) -> Iterator[tuple[str, str]]:
    """A node as fields with texts: lists of mappings are numbered from 1, lists of texts stand in one line."""
    match node:
        case Scalar(text=text):
            yield path or "text", text
        case Fields(fields=fields):
            for name, each in fields.items():
                yield from _flat(f"{path} {name}".strip(), each)
        case Items(items=items) if all(isinstance(each, Scalar) for each in items):
            yield path, ", ".join(_text(each) for each in items)
        case Items(items=items):
            for number, each in enumerate(items, 1):
                yield from _flat(f"{path} {number}", each)


def _examples(node: Fields) -> Iterable[Node]:
    return _items(node.fields.get("examples"))


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Items) else ()


def _row_names(node: Node) -> list[str]:
    rows = _items(node.fields.get("rows")) if isinstance(node, Fields) else ()
    names = (row.fields.get("name") for row in rows if isinstance(row, Fields))
    return [each.text for each in names if isinstance(each, Scalar)]


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else ", ".join(text for _, text in _flat("", node))


def _stem(file: str) -> str:
    return file.removesuffix(".yaml")
