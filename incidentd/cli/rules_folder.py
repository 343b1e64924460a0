"""The rules that a command is about: loaded, or every fault told."""

import os
from pathlib import Path
from typing import Annotated

import typer

from incidentd.classify import Rules, load
from incidentd.classify.report import show_faults
from incidentd.errors import RulesError, SettingsError
from incidentd.settings import rules_folder

UNUSABLE = 2
"""Exit status where something can't be read at all."""

Folder = Annotated[Path | None, typer.Option("--rules", help="The rules directory; by default INCIDENTD_RULES.")]


def rules_in(folder: Path | None) -> Rules:
    """The rules of this folder, or of the settings; what is wrong with them is told, and ends the command."""
    try:
        return load(folder or rules_folder(os.environ))
    except RulesError as error:
        typer.echo(show_faults(error.faults), err=True)
    except SettingsError as error:
        typer.echo(str(error), err=True)
    raise typer.Exit(UNUSABLE)
