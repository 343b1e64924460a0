"""``incidentd rules diff``: what is different between two tables."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json

from incidentd.classify import load
from incidentd.classify.difference import Change, differences
from incidentd.classify.difference_report import no_difference, show_differences
from incidentd.cli.rules_store import State, rules_store
from incidentd.lifecycle.version import IN_FORCE, KeptTable, kept_table

_WHICH = "A version or its beginning, `in-force`, `previous`, or a rules folder with a / in its name."


def diff_command(
    before: Annotated[str, typer.Argument(metavar="A", help=_WHICH, show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="The same; by default the table in force.")] = IN_FORCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    state: State = Path("var"),
) -> None:
    """Say what is different between two tables: rows, their order, tiers, policies, destinations, people."""
    with rules_store(state) as (store, _):
        first, second = (_on_disk(name) or store.read(partial(kept_table, name=name)) for name in (before, after))
    changes = differences(first.files, second.files)
    if as_json:
        typer.echo(to_json(_json(first, second, changes), indent=2).decode())
    else:
        said = show_differences(changes) or no_difference(first.version, second.version)
        typer.echo(f"{first.version} → {second.version}\n\n{said}")


def _on_disk(name: str) -> KeptTable | None:
    if "/" not in name:
        return None
    rules = load(Path(name))
    return KeptTable(rules.version, rules.files)


def _json(first: KeptTable, second: KeptTable, changes: list[Change]) -> dict[str, object]:
    return {"from": first.version, "to": second.version, "changes": changes}
