"""How a command tells what stopped it."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from incidentd.errors import ConfigurationError, IncidentdError, StoreError

CONFIGURATION = 2
"""Exit status where an operator must mend something first."""


@contextmanager
def told(what: str = "incidentd can't start") -> Iterator[None]:
    """Faults of the configuration are told in words, without a trace; ``what`` could not be done for them."""
    try:
        yield
    except (ConfigurationError, StoreError) as error:
        typer.echo(f"{what}:\n{error}", err=True)
        raise typer.Exit(CONFIGURATION) from None
    except IncidentdError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
