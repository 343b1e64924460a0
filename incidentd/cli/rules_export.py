"""``incidentd rules export``: recorded alerts in a file, for a backtest elsewhere."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from incidentd.cli.recorded import from_database
from incidentd.errors import ConfigurationError, SettingsError, StoreError, UsageError
from incidentd.replay import write_export


def export_command(
    file: Annotated[Path, typer.Argument(help="The file; what is there is replaced.", show_default=False)],
    since: Annotated[str, typer.Option(help="How far back, such as 30d.")] = "30d",
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")] = Path("var"),
) -> None:
    """Write recorded alerts, answers and the table in force into a file, for `rules backtest --from`.

    It holds labels and values of alerts, and numbers in place of the names of those who answered.
    """
    try:
        recording = from_database(os.environ, state, since)
        size = _write(file, write_export(recording))
    except (ConfigurationError, StoreError, UsageError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{file}: {len(recording.alerts)} alerts, {len(recording.answers)} answers, {size / (1 << 20):.1f} MiB")


def _write(file: Path, lines: Iterable[str]) -> int:
    """All or nothing. Returns the size in bytes."""
    new = file.with_name(f".{file.name}.new")
    try:
        with new.open("w", encoding="utf-8") as opened:
            opened.writelines(f"{line}\n" for line in lines)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise SettingsError(f"{file} can't be written: {error.strerror}") from None
    return file.stat().st_size
