"""Which rows may take an alert, found by the values of its labels instead of by asking every row.

A tree of splits: each looks at one label, and has a branch for each value that rows ask for by ``=``. What a row asks
besides, and the numbers, are left to be asked. So the cost follows the rows that may fit, not the size of the table.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from incidentd.classify.matcher import Matcher
from incidentd.classify.row import Row

_DEEPEST = 8
"""So many labels at most lead to a row."""
_FEW = 2
"""So many rows are asked sooner than split."""


class Candidate(NamedTuple):
    """A row that may take an alert, its place in the order, and those of its matchers that are still to be asked."""

    place: int
    row: Row
    left: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows that wait for the further labels of an alert; ``rows`` are to be asked whatever these are."""

    rows: tuple[Candidate, ...]
    splits: "tuple[tuple[str, Mapping[str, Branch]], ...]"


@dataclass(frozen=True, slots=True)
class Index:
    """``by_system``: rows in their order by the one value of the label ``system`` that they take.

    ``other`` are for any system. ``root`` is the tree of them all.
    """

    by_system: Mapping[str, tuple[Row, ...]]
    other: tuple[Row, ...]
    root: Branch

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Candidate]:
        """The rows, in their order, that ask for no other value of a label than the one that it has."""
        found: list[Candidate] = []
        _gather(self.root, labels, found)
        found.sort(key=_place)
        return found


def build_index(rows: Iterable[Row], label: str) -> Index:
    """The index of these rows; ``label`` names the system."""
    rows = tuple(rows)
    pinned = {row.name: next((m.value for m in row.matchers if m.label == label and _equal(m)), None) for row in rows}
    systems = {system for system in pinned.values() if system is not None}
    return Index(
        by_system={each: tuple(row for row in rows if pinned[row.name] in (each, None)) for each in systems},
        other=tuple(row for row in rows if pinned[row.name] is None),
        root=_branch(every(rows), 0),
    )


def every(rows: Iterable[Row]) -> list[Candidate]:
    """All of them, with everything to be asked."""
    return [Candidate(place, row, row.matchers) for place, row in enumerate(rows)]


_place = attrgetter("place")


def _equal(matcher: Matcher) -> bool:
    return matcher.operator == "="


def _gather(branch: Branch, labels: Mapping[str, str], found: list[Candidate]) -> None:
    found += branch.rows
    for label, branches in branch.splits:
        further = branches.get(labels.get(label, ""))
        if further is not None:
            _gather(further, labels, found)


def _branch(waiting: list[Candidate], depth: int) -> Branch:
    """Split by the label that most rows ask for, and what is left by the next one."""
    splits: list[tuple[str, Mapping[str, Branch]]] = []
    while len(waiting) > _FEW and depth < _DEEPEST and (label := _commonest(waiting)) is not None:
        groups: dict[str, list[Candidate]] = defaultdict(list)
        others: list[Candidate] = []
        for each in waiting:
            asked = next((m for m in each.left if m.label == label and _equal(m)), None)
            if asked is None:
                others.append(each)
            else:
                groups[asked.value].append(each._replace(left=tuple(m for m in each.left if m != asked)))
        splits.append((label, {value: _branch(group, depth + 1) for value, group in groups.items()}))
        waiting = others
    return Branch(tuple(waiting), tuple(splits))


def _commonest(waiting: Iterable[Candidate]) -> str | None:
    counted = Counter(label for each in waiting for label in {m.label for m in each.left if _equal(m)})
    return max(counted, key=lambda label: (counted[label], label), default=None)
