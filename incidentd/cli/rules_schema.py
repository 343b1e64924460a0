"""``incidentd rules schema``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from incidentd.classify.schema import schemas
from incidentd.cli.rules_folder import UNUSABLE

Kind = Annotated[
    str | None, typer.Argument(help="table, tiers, escalation, destinations, …; by default all.", show_default=False)
]
Write = Annotated[Path | None, typer.Option(help="A folder, such as rules/schema: one file for each.")]


def schema_command(kind: Kind = None, write: Write = None) -> None:
    """Print the JSON Schemas of the rules files, by which editors complete and check them."""
    found = schemas()
    if kind is not None and kind not in found:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(found)}")
    wanted = found if kind is None else {kind: found[kind]}
    if write is None:
        typer.echo(written(wanted if kind is None else wanted[kind]), nl=False)
        return
    try:
        write.mkdir(parents=True, exist_ok=True)
        for name, schema in wanted.items():
            (write / f"{name}.json").write_text(written(schema), "utf-8")
    except OSError as error:
        typer.echo(f"{write}: {error.strerror}", err=True)
        raise typer.Exit(UNUSABLE) from None


def written(schema: object) -> str:
    """As it stands in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
