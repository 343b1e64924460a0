"""What was given up for a destination is sent again, once a test has shown that it works (model 35)."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from incidentd.cli.start import inherited_settings
from incidentd.cli.state import with_database
from incidentd.clock import Clock
from incidentd.errors import ConfigurationError, StoreError
from incidentd.store import cursors
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import check
from incidentd.store.server_clock import ServerClock
from incidentd.store.survey import sqlite_file


def sent_again(destination: str, environ: Mapping[str, str], state: Path, clock: Clock) -> str:
    """Mark what was given up for it as due, and say how much that was; empty where there is no database."""
    try:
        url = inherited_settings(with_database(environ, state)).database_url
        file = sqlite_file(url)
        if file and not file.exists():
            return ""
        engine = open_engine(url)
        with closing(Store(engine)) as store:
            check(engine)
            now = ServerClock(store, clock).now() if engine.dialect.name == "postgresql" else clock.now()
            count = store.write(lambda tx: cursors.retry_given_up(tx, now, destination))
    except (ConfigurationError, StoreError) as error:
        return f"what was given up for it waits for its next news, or a reload of the rules: {error}"
    if not count:
        return "nothing of an open incident had been given up there"
    return f"{count:,} {'message' if count == 1 else 'messages'} given up before: sent again now, where incidentd runs"
