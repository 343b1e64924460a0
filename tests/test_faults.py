"""The page of faults points at its proof: every row names tests, and every test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/faults.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
TABLES = (
    "Processes",
    "Redis",
    "Database",
    "Receivers",
    "Alertmanager and people",
    "Bad input to the webhook",
    "Bad input elsewhere",
)


def rows(heading: str) -> list[str]:
    """The rows of the table below a heading, its head left out."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


@cache
def collected(path: str) -> set[str]:
    """What pytest would collect of a file."""
    if not (ROOT / path).exists():
        return set()
    functions = (node for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))) if hasattr(node, "name"))
    return {node.name for node in functions if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("heading", TABLES)
def test_every_fault_names_a_test_that_shows_it(heading: str) -> None:
    assert rows(heading)
    for row in rows(heading):
        assert NAMED.findall(row.rsplit("|", 2)[1]), row


def test_every_test_that_is_named_is_there() -> None:
    named = NAMED.findall(PAGE)
    assert [f"{path}::{name}" for path, name in named if name not in collected(path)] == []


def test_every_fault_that_is_shown_on_real_processes_is_told_of() -> None:
    shown = {path for path, _ in NAMED.findall(PAGE)}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/fault").glob("test_*.py")}
    of_the_harness = re.compile("mutant|chaos|oracle|soak|standstill|storm|verdict")
    assert {path for path in files if not of_the_harness.search(path)} <= shown
