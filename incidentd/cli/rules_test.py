"""``incidentd rules test``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from incidentd.classify import ExampleResult, Rules, run_examples
from incidentd.classify.classify import NO_ROW
from incidentd.classify.junit import as_junit
from incidentd.classify.report import show_examples
from incidentd.cli.rules_folder import UNUSABLE, Folder, rules_in

_WIDEST = 100
"""Columns where nobody says how wide the terminal is."""

Junit = Annotated[Path | None, typer.Option(help="A file for the result as JUnit's XML, which CI shows.")]


def test_command(rules: Folder = None, junit: Junit = None) -> None:
    """Classify every example of every file, and compare: each row, and the lines of the examples that show it.

    Exit status: 0 all examples hold, 1 some don't, 2 the rules can't be used.
    """
    table = rules_in(rules)
    results = run_examples(table)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDEST)
    console.print(_sheet(table, results))
    bare = _bare(table, results)
    if bare:
        typer.echo(f"Without an example: {', '.join(bare)}.")
    typer.echo(show_examples(results))
    if junit:
        _write(junit, as_junit(results))
    if not all(result.holds for result in results):
        raise typer.Exit(1)


def _sheet(rules: Rules, results: list[ExampleResult]) -> Table:
    sheet = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    sheet.add_column("row", no_wrap=True)
    sheet.add_column("tier")
    sheet.add_column("examples, by their lines")
    for name, tier in _rows(rules):
        of_row = [each for each in results if (each.example.row, each.example.file) == (name, _file(name))]
        sheet.add_row(Text(name), tier, _lines(of_row))
    for table in rules.tables:
        unmatched = [each for each in results if each.example.row == NO_ROW and each.example.file == f"{table}.yaml"]
        if unmatched:
            sheet.add_row(Text(f"{table}: no row", "dim"), "", _lines(unmatched))
    return sheet


def _rows(rules: Rules) -> Iterator[tuple[str, str]]:
    return ((row.name, str(row.tier)) for row in rules.rows)


def _file(row: str) -> str:
    return f"{row.partition('/')[0]}.yaml"


def _lines(results: list[ExampleResult]) -> Text:
    if not results:
        return Text("none", "yellow")
    return Text(" ").join(
        Text(str(each.example.line)) if each.holds else Text(f"✗{each.example.line}", "bold red") for each in results
    )


def _bare(rules: Rules, results: list[ExampleResult]) -> list[str]:
    shown = {each.example.row for each in results}
    return [row.name for row in rules.rows if row.name not in shown]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', "utf-8")
    except OSError as error:
        typer.echo(f"{file}: {error.strerror}", err=True)
        raise typer.Exit(UNUSABLE) from None
