"""The database, for those commands of ``incidentd rules`` that look into it."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from incidentd.cli.start import inherited_settings
from incidentd.cli.state import with_database
from incidentd.errors import ConfigurationError, IncidentdError, NotFoundError, StoreError
from incidentd.settings import Settings
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import check

State = Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")]


@contextmanager
def rules_store(state: Path) -> Iterator[tuple[Store, Settings]]:
    """The store, to be read, and the settings; faults are told in words, and end the command."""
    try:
        settings = inherited_settings(with_database(os.environ, state))
        engine = open_engine(settings.database_url)
        with closing(Store(engine)) as store:
            check(engine)
            yield store, settings
    except (ConfigurationError, StoreError, NotFoundError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except IncidentdError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
