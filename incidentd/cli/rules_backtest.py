"""``incidentd rules backtest``: what another table would have made of the alerts that came."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from incidentd.classify import Rules, load, parse
from incidentd.classify.report import show_faults
from incidentd.cli.changes import as_json, show
from incidentd.cli.recorded import from_database, from_file
from incidentd.errors import ConfigurationError, RulesError, SettingsError, StoreError, UsageError
from incidentd.replay import Difference, Recording, compare, side_by_side
from incidentd.replay.side_by_side import Progress as Note
from incidentd.settings import names_set

_WIDE = 140
# Where there is no terminal whose width counts.

TOO_MANY = 1
BROKEN = 2


def backtest_command(
    rules_dir: Annotated[Path, typer.Argument(help="The table to be tried.", show_default=False)],
    since: Annotated[str, typer.Option(help="How far back in the database, such as 30d.")] = "30d",
    from_: Annotated[
        Path | None, typer.Option("--from", help="A file of `rules export`, in place of the database.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="A folder of rules to compare with; by default the table that was in force.")
    ] = None,
    max_new_pages: Annotated[
        int | None, typer.Option(help="Exit with 1 where there would be more new pages than this.", min=0)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")] = Path("var"),
) -> None:
    """Replay recorded alerts through another table, and say what would change for people. Changes nothing itself."""
    try:
        recording = from_file(from_) if from_ else from_database(os.environ, state, since)
        difference = _difference(recording, _base(recording, against), load(rules_dir))
    except RulesError as error:
        typer.echo(show_faults(error.faults), err=True)
        raise typer.Exit(BROKEN) from None
    except (ConfigurationError, StoreError, UsageError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BROKEN) from None
    if json:
        typer.echo(as_json(difference))
    else:
        console = Console(highlight=False)
        show(difference, console if console.is_terminal else Console(highlight=False, width=_WIDE))
    if max_new_pages is not None and difference.more_pages > max_new_pages:
        typer.echo(f"{difference.more_pages} new pages are more than the {max_new_pages} allowed", err=True)
        raise typer.Exit(TOO_MANY)


def _base(recording: Recording, against: Path | None) -> Rules:
    if against is not None:
        return load(against)
    if recording.rules is None:
        raise SettingsError("no table was in force there yet: give one to compare with by --against")
    try:
        return parse(recording.rules)
    except RulesError as error:
        cause = f"the recorded table is unsound to this version ({error.faults[0]})"
        raise SettingsError(f"{cause}: give one to compare with by --against") from None


def _difference(recording: Recording, before: Rules, after: Rules) -> Difference:
    with _progress() as note:
        outcomes = side_by_side(recording, (before, after), note)
    variables = names_set(os.environ)
    return compare(recording, *outcomes, (before.in_doubt(variables), after.in_doubt(variables)))


@contextmanager
def _progress() -> Iterator[Note]:
    """On a terminal only. It is drawn from here alone, as processes are started meanwhile and threads would mind."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal)
    with shown:
        task = shown.add_task("replaying", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total, refresh=True)
