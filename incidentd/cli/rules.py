"""``incidentd rules check``, ``test`` and ``explain``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from incidentd.alert import Alert
from incidentd.classify import Rules, check, explain, load, run_examples
from incidentd.classify.report import show_check, show_examples, show_explanation, show_faults
from incidentd.cli.rules_diff import diff_command
from incidentd.cli.rules_history import history_command
from incidentd.cli.rules_shadow import shadow_command
from incidentd.cli.sample import alerts_in
from incidentd.clock import SystemClock
from incidentd.errors import IntakeError, RulesError, SettingsError
from incidentd.objective import Objective, load_objectives, show_objectives
from incidentd.settings import rules_folder

app = typer.Typer(no_args_is_help=True, help="Is the table sound; do its examples hold; which row takes this alert.")

app.command("history")(history_command)
app.command("diff")(diff_command)
app.command("shadow")(shadow_command)

Folder = Annotated[Path | None, typer.Option("--rules", help="The rules directory; by default INCIDENTD_RULES.")]


Objectives = Annotated[
    Path | None, typer.Option(help="A folder of OpenSLO files, each named objectives.yaml, to be checked as well.")
]


@app.command("check")
def check_command(rules: Folder = None, objectives: Objectives = None) -> None:
    """Load the whole table: every fault with file, line, row and cause."""
    variables = {name.removesuffix("_FILE") for name in os.environ}
    table = _load(rules)
    typer.echo(show_check(check(table, variables)))
    if objectives is not None:
        typer.echo(show_objectives(_objectives(objectives)))


@app.command("test")
def test_command(rules: Folder = None) -> None:
    """Classify every example of every file, and compare."""
    results = run_examples(_load(rules))
    typer.echo(show_examples(results))
    if not all(result.holds for result in results):
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    file: Annotated[str, typer.Argument(help="A webhook body, or an alert, as JSON; - reads standard input.")],
    rules: Folder = None,
) -> None:
    """Say which row takes each alert of a file, and what every row before it said."""
    table = _load(rules)
    for alert in _alerts(file):
        typer.echo(show_explanation(explain(alert, table)) + "\n")


def _load(folder: Path | None) -> Rules:
    try:
        return load(folder or rules_folder(os.environ))
    except RulesError as error:
        typer.echo(show_faults(error.faults), err=True)
    except SettingsError as error:
        typer.echo(str(error), err=True)
    raise typer.Exit(2)


def _objectives(folder: Path) -> tuple[Objective, ...]:
    try:
        return load_objectives(folder)
    except RulesError as error:
        typer.echo(show_faults(error.faults, "objectives"), err=True)
    except OSError as error:
        typer.echo(f"{folder}: {error.strerror}", err=True)
    raise typer.Exit(2)


def _alerts(file: str) -> list[Alert]:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return alerts_in(raw, SystemClock().now())
    except (OSError, IntakeError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        typer.echo(f"{file}: {cause}", err=True)
        raise typer.Exit(2) from None
