"""YAML as plain values, and the line that each stands in."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from incidentd.classify.condition import parse_number
from incidentd.classify.document import Complain, Fields, Items, Node, Scalar, read

Path = tuple[str | int, ...]
_SEPARATOR = "---"


@dataclass(slots=True)
class Document:
    """One document of a file. ``lines`` is by path, such as ``("spec", "objectives", 0)``."""

    value: object
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of a path, or of the closest that is there above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def documents(text: str, complain: Complain) -> Iterator[Document]:
    """Each document of a file, as strictly read as the rules; faults go to ``complain``."""
    for first, part in _parts(text):
        node = read(part, lambda line, cause, first=first: complain(line + first, cause))  # type: ignore[misc]
        if node is not None:
            document = Document(None)
            document.value = _plain(node, (), document.lines, first)
            yield document


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """The documents between lines of three dashes, each with the number of lines before it."""
    begun, held = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if line.rstrip() == _SEPARATOR:
            if "".join(held).strip():
                yield begun, "\n".join(held)
            begun, held = number, []
        else:
            held.append(line)
    yield begun, "\n".join(held)


def _plain(node: Node, path: Path, lines: dict[Path, int], first: int) -> object:
    lines[path] = node.line + first
    if isinstance(node, Fields):
        return {name: _plain(each, (*path, name), lines, first) for name, each in node.fields.items()}
    if isinstance(node, Items):
        return [_plain(each, (*path, number), lines, first) for number, each in enumerate(node.items)]
    return _scalar(node)


def _scalar(node: Scalar) -> object:
    if not node.plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    number = parse_number(node.text)
    return node.text if number is None else number
