"""One process of the worker group: ``python -m workers.process page|escalate|tell|timekeeper``."""

import os
import sys
from collections.abc import Sequence

import structlog

from incidentd import log
from incidentd.errors import ConfigurationError, StoreUnavailableError
from incidentd.runtime import Runtime
from incidentd.settings import load_settings
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
        log.configure(settings.log_level, settings.secret_values(), console=settings.log_format == "console")
        runtime = Runtime(settings, os.environ)
    except ConfigurationError as error:
        _log.critical("misconfigured", cause=str(error))
        return MISCONFIGURED
    except StoreUnavailableError as error:
        _log.error("store_unavailable", cause=str(error))
        return UNAVAILABLE
    return serve(arguments[0], runtime, settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
