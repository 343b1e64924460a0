"""``incidentd prune``."""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import typer

from incidentd.classify.span import LONGEST, parse_span
from incidentd.cli.start import inherited_settings
from incidentd.cli.state import with_database
from incidentd.clock import SystemClock
from incidentd.errors import UsageError
from incidentd.lifecycle.prune import SHORTEST, Pruned, Pruner
from incidentd.store import pings
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import check
from incidentd.store.server_clock import ServerClock


def run(environ: Mapping[str, str], state: Path, older_than: str | None, *, dry: bool) -> None:
    """Remove what is over for so long, and say how much that was.

    Raises:
        UsageError: the time can't be used.
        SettingsError: a setting is malformed.
        SchemaError: the database is not of this version.
        StoreUnavailableError: it can't be used now.
    """
    asked = None if older_than is None else _keep(older_than)
    settings = inherited_settings(with_database(environ, state))
    keep = asked or timedelta(days=settings.retention_days)
    engine = open_engine(settings.database_url)
    with closing(Store(engine)) as store:
        check(engine)
        pruned = Pruner(store, _now(store), keep, dry=dry).run()
        if not dry:
            store.write(lambda tx: pings.note(tx, _now(store), pings.PRUNING))
    typer.echo(f"{'would remove' if dry else 'removed'} {_said(pruned)}, older than {keep.days} days")


def _keep(text: str) -> timedelta:
    span = parse_span(text)
    if span is None or not SHORTEST <= span <= LONGEST:
        fit = f"a day or more, such as 400d or 36h, and {LONGEST.days}d at most"
        raise UsageError(f"--older-than {text[:40]!r} is no time of {fit}")
    return span


def _now(store: Store) -> datetime:
    """By the clock that the database's instants are of."""
    local = SystemClock()
    return ServerClock(store, local).now() if store.engine.dialect.name == "postgresql" else local.now()


def _said(pruned: Pruned) -> str:
    return (
        f"{pruned.incidents} incidents, {pruned.episodes} past alert episodes,"
        f" {pruned.bodies} bodies that could not be understood, {pruned.tables} unused rules tables,"
        f" {pruned.drills} drills"
    )
