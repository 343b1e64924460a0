"""Long runs on each database, and their table between its marks in a page of the documentation."""

import multiprocessing
import os
import platform
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def each(run: Callable[[str], Result], databases: Sequence[str], at_once: bool) -> list[Result]:
    """What came of the run on each database: one after the other, or all at the same time."""
    if not at_once:
        return [run(database) for database in databases]
    with ProcessPoolExecutor(len(databases), multiprocessing.get_context("fork")) as pool:
        return list(pool.map(run, databases))


def placed(text: str, name: str, page: str) -> str:
    """The page with the text between the marks of this name.

    Raises:
        ValueError: the page has no such marks.
    """
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no marks {name}")
    return place.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def write(text: str, name: str) -> None:
    """Put it into the page."""
    PAGE.write_text(placed(text, name, PAGE.read_text("utf-8")), "utf-8")


def line(cells: Sequence[object]) -> str:
    """One row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
