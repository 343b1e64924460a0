"""One process of the worker group: ``python -m workers.process page|escalate|tell|timekeeper``."""

import os
import sys
from collections.abc import Collection, Sequence

import structlog

from incidentd.errors import ConfigurationError, StoreUnavailableError
from incidentd.process import log
from incidentd.runtime import Runtime
from incidentd.settings import Settings, hidden_values, load_settings
from workers.role import ROLES, serve

# EX_USAGE, EX_TEMPFAIL and EX_CONFIG of sysexits(3).
USAGE, UNAVAILABLE, MISCONFIGURED = 64, 75, 78

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def main(arguments: Sequence[str]) -> int:
    """``python -m workers.process <role>``: be one of ``ROLES`` as the environment says. Returns the exit status."""
    log.configure()
    if len(arguments) != 1 or arguments[0] not in ROLES:
        _log.critical("no_such_role", roles=ROLES)
        return USAGE
    try:
        settings = load_settings(os.environ, extra_names=None)
        _configure_logs(settings, ())
        runtime = Runtime(settings, os.environ)
        _configure_logs(settings, runtime.rulebook.in_force.secret_names)
    except ConfigurationError as error:
        _log.critical("misconfigured", cause=str(error))
        return MISCONFIGURED
    except StoreUnavailableError as error:
        _log.error("store_unavailable", cause=str(error))
        return UNAVAILABLE
    return serve(arguments[0], runtime, settings)


def _configure_logs(settings: Settings, secret_names: Collection[str]) -> None:
    """``secret_names`` are those of the table in force, which takes a runtime to know."""
    hidden = hidden_values(settings, os.environ, secret_names)
    log.configure(settings.log_level, hidden, console=settings.log_format == "console")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
