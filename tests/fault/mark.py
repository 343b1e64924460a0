"""A table between its marks in a page of the documentation."""

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


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
