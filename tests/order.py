"""In which order the suite's files run: those that wait for real processes among those that keep a processor busy."""

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import TypeVar

Item = TypeVar("Item")

_END = 0.85
"""Of the way through: a long test that began last would be waited for alone."""


def spread(items: Sequence[Item], file: Sequence[Hashable], patient: Sequence[bool]) -> list[Item]:
    """The files with patient tests spread evenly among the others, each file in one piece, in which it shares fixtures.

    ``file`` and ``patient`` say of each item which file it is of, and whether it mostly waits.
    """
    runs = [list(run) for _, run in groupby(range(len(items)), lambda index: file[index])]
    waiting = [run for run in runs if patient[run[0]]]
    busy = [run for run in runs if not patient[run[0]]]
    placed = [*_at_even_distances(waiting, _END), *_at_even_distances(busy, 1.0)]
    return [items[index] for _, run in sorted(placed, key=lambda each: each[0]) for index in run]


def _at_even_distances(runs: Sequence[list[int]], end: float) -> list[tuple[float, list[int]]]:
    total = sum(map(len, runs))
    found, before = [], 0
    for run in runs:
        found.append((end * before / total, run))
        before += len(run)
    return found
