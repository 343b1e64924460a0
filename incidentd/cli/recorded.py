"""Recorded alerts for a command: from the database of the settings, or from a file of `incidentd rules export`."""

from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from incidentd.classify.span import LONGEST, parse_span
from incidentd.cli.start import inherited_settings
from incidentd.cli.state import with_database
from incidentd.clock import SystemClock
from incidentd.errors import ExportError, SettingsError, UsageError
from incidentd.replay import Recording, extract, read_export
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import check
from incidentd.store.server_clock import ServerClock


def from_database(environ: Mapping[str, str], state: Path, since: str) -> Recording:
    """What the database holds of alerts that were first heard of within ``since``, such as ``30d``.

    Raises:
        UsageError: the time can't be used.
        SettingsError: a setting is malformed.
        SchemaError: the database is not of this version.
        StoreUnavailableError: it can't be used now.
    """
    span = _span(since)
    settings = inherited_settings(with_database(environ, state))
    engine = open_engine(settings.database_url)
    with closing(Store(engine)) as store:
        check(engine)
        local = SystemClock()
        now = ServerClock(store, local).now() if engine.dialect.name == "postgresql" else local.now()
        return extract(store, now - span, now)


def from_file(file: Path) -> Recording:
    """What an export holds.

    Raises:
        SettingsError: it can't be read, or a line of it is broken: the cause names the line.
    """
    try:
        with file.open("rb") as lines:
            return read_export(lines)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except ExportError as error:
        raise SettingsError(f"{file}:{error.line}: {error.cause}") from None


def _span(text: str) -> timedelta:
    span = parse_span(text)
    if not span or span > LONGEST:
        raise UsageError(f"--since {text[:40]!r} is no time such as 30d or 12h, {LONGEST.days}d at most")
    return span
