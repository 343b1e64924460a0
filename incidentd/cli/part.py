"""One process each: the web part, a worker group, and what a group consists of."""

import signal
import sys
from collections.abc import Mapping
from types import FrameType

import structlog

from incidentd.cli.stand_in import add_sandbox
from incidentd.cli.start import configured, inherited_settings, strict_settings
from incidentd.errors import RulesError, SettingsError, StoreError
from incidentd.runtime import Runtime
from incidentd.settings import Settings
from incidentd.supervisor import Child, Supervisor
from incidentd.web.app import create_app
from incidentd.web.server import serve as serve_app
from workers.process import ROLES, TIMEKEEPER
from workers.process import serve as serve_role

WEB = "web"

log = structlog.get_logger("incidentd")


def serve(environ: Mapping[str, str]) -> int:
    """The web part by itself; its rules directory is put in force.

    Raises:
        ConfigurationError: settings, rules or schema are unsound.
    """
    settings = strict_settings(environ)
    if settings.webhook_token is None:
        raise SettingsError("INCIDENTD_WEBHOOK_TOKEN is not set: Alertmanager has to authenticate")
    return _web(settings, environ)


def worker_group(environ: Mapping[str, str]) -> int:
    """A supervisor with the workers and a timekeeper.

    Raises:
        ConfigurationError: settings, rules or schema are unsound.
    """
    settings = strict_settings(environ)
    with configured(settings, environ):
        Runtime(settings, environ).close()
        return Supervisor(group(settings, environ)).run()


def group(settings: Settings, environ: Mapping[str, str]) -> list[Child]:
    """The children of a worker group. Without Redis the timekeeper does it all."""
    workers = settings.workers() if settings.redis_url else {}
    children = [child(role, environ, count) for role, count in workers.items() if count]
    return [*children, child(TIMEKEEPER, environ, 1)]


def child(role: str, environ: Mapping[str, str], count: int = 1) -> Child:
    """How one part is started."""
    return Child(role, [sys.executable, "-m", "incidentd.cli", "part", role], dict(environ), count)


def run(role: str, environ: Mapping[str, str]) -> int:
    """Be one part until told to end.

    Raises:
        ConfigurationError: settings, rules or schema are unsound.
    """
    settings = inherited_settings(_without_sandbox(environ))
    if role == WEB:
        return _web(settings, environ)
    if role not in ROLES:
        raise SettingsError(f"there is no part {role}")
    with configured(settings, environ):
        return serve_role(role, Runtime(settings, _without_sandbox(environ)), settings)


def _web(settings: Settings, environ: Mapping[str, str]) -> int:
    with configured(settings, environ):
        runtime = Runtime(settings, _without_sandbox(environ))
        runtime.reload()
        signal.signal(signal.SIGHUP, _reloading(runtime))
        app = create_app(runtime)
        close = add_sandbox(app, settings, environ)
        try:
            serve_app(app, settings.listen_host, settings.listen_port)
        finally:
            close()
            runtime.close()
    return 0


def _reloading(runtime: Runtime) -> "signal._HANDLER":
    def reload(_signum: int, _frame: FrameType | None) -> None:
        try:
            runtime.reload()
        except (RulesError, StoreError) as error:
            log.warning("rules_refused", cause=str(error))

    return reload


def _without_sandbox(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("SANDBOX_")}
