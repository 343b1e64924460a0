"""The table as Markdown, and its place in the README."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.result import Result
from incidentd.clock import SystemClock

README = Path(__file__).parents[1] / "README.md"
_PLACE = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)


def markdown(measured: Mapping[str, Sequence[Result]]) -> str:
    """One line for each result, one column for each database, and what it was measured on."""
    columns = list(measured.values())
    head = ["", "measured", *measured, "to reach"]
    lines = [_line(head), _line(["---"] * len(head))]
    for results in zip(*columns, strict=True):
        values = [f"{result.measured}{'' if result.met else ' **missed**'}" for result in results]
        lines.append(_line([f"({results[0].letter})", results[0].what, *values, results[0].target]))
    today = SystemClock().now().date().isoformat()
    machine = f"{today}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return "\n".join([*lines, "", f"`make bench` on {machine}. Load and receivers run on the same cores."])


def write(text: str) -> None:
    """Put the table between its marks in the README."""
    README.write_text(placed(text, README.read_text("utf-8")), "utf-8")


def placed(text: str, page: str) -> str:
    """The page with the table between its marks."""
    return _PLACE.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
