"""``incidentd rules history``: which tables were in force, and what each changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json
from sqlalchemy.engine import Connection

from incidentd.classify.difference import differences
from incidentd.classify.difference_report import counted
from incidentd.cli.rules_store import State, rules_store
from incidentd.store import rules as stored
from incidentd.store.rules import InForce

_UNKNOWN = "the text of one of the two is not kept any more"


def history_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    state: State = Path("var"),
) -> None:
    """List the tables that were in force, and what each changed of the one before it."""
    with rules_store(state) as (store, _):
        tables, texts = store.read(lambda tx: _read(tx, limit))
    rows = [(table, _change(tables, place, texts)) for place, table in enumerate(tables[:limit])]
    if as_json:
        typer.echo(to_json([_json(table, change) for table, change in rows], indent=2).decode())
        return
    for table, change in rows:
        until = f"until {table.until:%Y-%m-%d %H:%M:%S} UTC" if table.until else "in force"
        typer.echo(f"{table.version}  since {table.since:%Y-%m-%d %H:%M:%S} UTC, {until}\n    {change}")


def _read(tx: Connection, limit: int) -> tuple[list[InForce], dict[str, Mapping[str, str]]]:
    """One more than is listed: the last one listed is compared with it."""
    tables = stored.history(tx, limit + 1)
    found = {table.version: stored.files(tx, table.version) for table in tables}
    return tables, {version: files for version, files in found.items() if files is not None}


def _change(tables: Sequence[InForce], place: int, texts: Mapping[str, Mapping[str, str]]) -> str:
    if place + 1 == len(tables):
        return "the first that is known"
    before, after = (texts.get(tables[each].version) for each in (place + 1, place))
    if before is None or after is None:
        return _UNKNOWN
    return counted(differences(before, after)) or "nothing but comments, layout or examples"


def _json(table: InForce, change: str) -> dict[str, object]:
    return {
        "version": table.version,
        "since": table.since,
        "until": table.until,
        "kept": table.kept,
        "change": change,
    }
