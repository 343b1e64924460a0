"""How a command tells what stopped it."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from incidentd.errors import ConfigurationError, IncidentdError, StoreError, UsageError

UNUSABLE = 2
"""Exit status where what was typed can't be used, or an operator must mend something first."""


@contextmanager
def told(what: str = "incidentd can't start") -> Iterator[None]:
    """What is wrong is told in words, without a trace; for faults of the configuration ``what`` could not be done."""
    try:
        yield
    except (ConfigurationError, StoreError) as error:
        typer.echo(f"{what}:\n{error}", err=True)
        raise typer.Exit(UNUSABLE) from None
    except UsageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNUSABLE) from None
    except IncidentdError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
