"""``incidentd backup`` and ``incidentd restore``."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path

import typer

from incidentd.cli.start import inherited_settings
from incidentd.cli.state import held, with_database
from incidentd.clock import SystemClock
from incidentd.errors import SchemaError, StoreError
from incidentd.store import pings
from incidentd.store.backup import back_up
from incidentd.store.backup import restore as fill
from incidentd.store.engine import Store, open_engine
from incidentd.store.survey import sqlite_file


def backup(environ: Mapping[str, str], state: Path, target: Path) -> None:
    """Copy the database into a new file, while it is used.

    Raises:
        SettingsError: a setting is malformed.
        StoreError, SchemaError: as ``back_up``.
    """
    settings = inherited_settings(with_database(environ, state))
    incidents = back_up(settings.database_url, target)
    _note(settings.database_url)
    size = target.stat().st_size / (1 << 20)
    typer.echo(f"{target}: {_counted(incidents)}, {size:.1f} MiB, read from end to end and found whole")


def restore(environ: Mapping[str, str], state: Path, source: Path) -> None:
    """Fill a new database from a copy.

    Raises:
        SettingsError: a setting is malformed, or an `up` runs on the folder.
        StoreError, SchemaError: as ``restore``.
    """
    settings = inherited_settings(with_database(environ, state))
    file = sqlite_file(settings.database_url)
    with _alone(state, file):
        incidents = fill(source, settings.database_url)
    typer.echo(f"restored: {_counted(incidents)}")
    typer.echo("before workers start, look at what is open: docs/operating.md, under Backup and restore")


def _note(url: str) -> None:
    """That there is a backup now, for `incidentd doctor`; the backup is as good where that can't be written."""
    with closing(Store(open_engine(url))) as store, suppress(StoreError, SchemaError):
        store.write(lambda tx: pings.note(tx, SystemClock().now(), pings.BACKUP))


def _alone(state: Path, file: Path | None) -> AbstractContextManager[None]:
    """No `up` may begin meanwhile to make the same file."""
    within = file is not None and file.resolve().parent == state.resolve()
    return held(state) if within else nullcontext()


def _counted(incidents: int) -> str:
    return "1 incident" if incidents == 1 else f"{incidents} incidents"
