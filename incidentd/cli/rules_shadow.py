"""``incidentd rules shadow``: what the shadow table would have done otherwise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.classify.line import printable
from incidentd.cli.rules_store import State, rules_store
from incidentd.lifecycle.shadow_verdict import MEANING
from incidentd.store import rules as stored
from incidentd.store import shadow
from incidentd.store.shadow import Comparison, Difference

_NONE = "No shadow table has been read: INCIDENTD_SHADOW_RULES names its folder, and the log says why one was refused."


@dataclass(frozen=True, slots=True)
class _Found:
    in_force: str | None
    shadow: str | None
    comparison: Comparison | None
    differences: Sequence[Difference]


def shadow_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    state: State = Path("var"),
) -> None:
    """List where the shadow table judges new alerts otherwise than the table in force."""
    with rules_store(state) as (store, _):
        found = store.read(_read)
    if as_json:
        typer.echo(to_json(_json(found), indent=2).decode())
    elif found.shadow is None:
        typer.echo(_NONE)
    else:
        typer.echo("\n".join(_lines(found)))


def _read(tx: Connection) -> _Found:
    first, second = stored.in_force(tx), shadow.in_force(tx)
    if first is None or second is None:
        return _Found(first, second, None, ())
    return _Found(first, second, shadow.comparison(tx, first, second), shadow.differences(tx, first, second))


def _lines(found: _Found) -> Iterator[str]:
    yield f"In force {found.in_force}, shadow {found.shadow}."
    if found.comparison is None:
        yield "No new alert has been compared yet."
        return
    compared = found.comparison
    alerts = f"{compared.alerts:,} new alert{'' if compared.alerts == 1 else 's'}"
    since = f"{compared.since:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{alerts} since {since}; {compared.differing:,} {'differs' if compared.differing == 1 else 'differ'}."
    for each in found.differences:
        rows = f"{each.from_tier} {each.from_row} → {each.to_tier} {each.to_row}"
        yield f"{each.alerts:>7,}  {rows}: {MEANING[each.kind]}"
        example = from_json(each.example)
        labels = ", ".join(f"{name}={value}" for name, value in example["labels"].items())
        yield printable(f"         last {each.last_at:%Y-%m-%d %H:%M:%S} UTC: {labels}")


def _json(found: _Found) -> dict[str, object]:
    differences = [
        {name: getattr(each, name) for name in Difference.__slots__} | {"example": from_json(each.example)}
        for each in found.differences
    ]
    return {
        "in_force": found.in_force,
        "shadow": found.shadow,
        "since": found.comparison.since if found.comparison else None,
        "alerts": found.comparison.alerts if found.comparison else 0,
        "differing": found.comparison.differing if found.comparison else 0,
        "differences": differences,
    }
