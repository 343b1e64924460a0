"""One process each: the web part by itself, inside `up`, and the supervisor of a worker group."""

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType

import structlog

from incidentd.cli.arrival import Arrival
from incidentd.cli.listen import claim
from incidentd.cli.measured import counted
from incidentd.cli.stand_in import JOURNAL, add_sandbox
from incidentd.cli.start import configure_logs, inherited_settings, strict_settings
from incidentd.clock import SystemClock
from incidentd.errors import RulesError, SettingsError, StoreError
from incidentd.lifecycle.crash_loop import CrashBook
from incidentd.lifecycle.work import Complaint
from incidentd.meter.folder import PLACE, counting_in
from incidentd.process import hang_up
from incidentd.process.heap import settle
from incidentd.process.supervisor import Child, Supervisor
from incidentd.runtime import Runtime
from incidentd.settings import Settings
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import refuse_damaged
from incidentd.web import server
from incidentd.web.app import create_app
from incidentd.web.slack_socket import SocketMode
from workers.role import TIMEKEEPER

log = structlog.get_logger("incidentd")


def serve(environ: Mapping[str, str]) -> int:
    """The web part by itself, until SIGTERM or SIGINT; its rules directory is put in force.

    A PostgreSQL that can't be reached is waited for: P0s are paged directly until it is there.

    A directory that is unsound doesn't keep webhooks from being taken, where a table is in force already.

    Raises:
        ConfigurationError: settings, rules or schema are unsound, or the address is taken.
    """
    try:
        settings = strict_settings(environ)
    except RulesError:
        settings = inherited_settings(environ)
    refuse_damaged(open_engine(settings.database_url))
    return _serve(settings, environ, _reload)


def serve_inside(environ: Mapping[str, str]) -> int:
    """The web part of `up`, which has looked at settings and rules already.

    Raises:
        ConfigurationError: settings, rules or schema are unsound, or the address is taken.
    """
    return _serve(inherited_settings(environ), environ, lambda _runtime: None)


def worker_group(environ: Mapping[str, str]) -> int:
    """A supervisor with the workers and a timekeeper, until SIGTERM or SIGINT; it tells their metrics, if asked to.

    Raises:
        ConfigurationError: settings, rules or schema are unsound, or an address is taken.
    """
    settings = strict_settings(environ)
    configure_logs(settings, environ)
    refuse_damaged(open_engine(settings.database_url))
    with counted(settings.metrics_address) as folder:
        Runtime(settings, counting_in(environ, None)).close()
        book = CrashBook(Store(open_engine(settings.database_url)), SystemClock().now)
        return Supervisor(group(settings, counting_in(environ, folder)), crashing=book.note).run()


def web(environ: Mapping[str, str]) -> Child:
    """How the web part is started as a child."""
    return Child("web", [sys.executable, "-m", "incidentd.cli.inside"], dict(environ), place=PLACE)


def group(settings: Settings, environ: Mapping[str, str]) -> list[Child]:
    """The children of a worker group. Without Redis the timekeeper does it all."""
    workers = settings.workers() if settings.redis_url else {}
    roles = [*((role, count) for role, count in workers.items() if count), (TIMEKEEPER, 1)]
    return [
        Child(role, [sys.executable, "-m", "workers.process", role], dict(environ), count, place=PLACE)
        for role, count in roles
    ]


def refuse_missing(settings: Settings) -> None:
    """Refuse to serve without what makes a sender believable.

    Raises:
        SettingsError: names each variable that is missing.
    """
    faults = []
    if not settings.sources():
        faults.append(
            "neither INCIDENTD_WEBHOOK_TOKEN nor INCIDENTD_WEBHOOK_TOKENS is set: Alertmanager has to authenticate"
        )
    if settings.api_token is None:
        faults.append("INCIDENTD_API_TOKEN is not set: API clients and people have to authenticate")
    if settings.slack_bot_token is not None and not (settings.slack_signing_secret or settings.slack_app_token):
        faults.append(
            "neither INCIDENTD_SLACK_SIGNING_SECRET nor INCIDENTD_SLACK_APP_TOKEN is set:"
            " no button in Slack could be believed"
        )
    if faults:
        raise SettingsError("\n".join(faults))


def _serve(settings: Settings, environ: Mapping[str, str], begin: Callable[[Runtime], None]) -> int:
    refuse_missing(settings)
    configure_logs(settings, environ)
    listener = claim("INCIDENTD_LISTEN", settings.listen_host, settings.listen_port)
    runtime = Runtime(settings, environ, patient=True)
    arrival = Arrival(runtime, begin)
    runtime.direct.start()
    runtime.lookout.start()
    runtime.shadow.start()
    if settings.pagerduty_webhook_secret:
        runtime.reactor.start()
    if not runtime.is_away:
        begin(runtime)
    signal.signal(signal.SIGHUP, _reloading(runtime))
    hang_up.release()
    app = create_app(runtime)
    close_sandbox = add_sandbox(app, settings, environ)
    socket_mode = SocketMode(runtime)
    settle()
    if runtime.is_away:
        arrival.start()
    try:
        # Not before it listens: under `up` the sandbox may be at the other end.
        server.serve(
            app,
            listener,
            websockets=JOURNAL in environ,
            begun=socket_mode.start,
            cut_off=runtime.meter.cut_off.add,
        )
    finally:
        socket_mode.close()
        arrival.close()
        close_sandbox()
        runtime.close()
    if arrival.refused:
        raise arrival.refused
    return 0


def _reloading(runtime: Runtime) -> "signal._HANDLER":
    """A thread of its own: the handler interrupts whoever runs, and must neither wait nor meet a lock it holds."""

    def reload(_signum: int, _frame: FrameType | None) -> None:
        threading.Thread(target=_reload, args=(runtime,), name="reload", daemon=True).start()

    return reload


def _reload(runtime: Runtime) -> None:
    """Take the rules directory; where it is unsound the table in force stays, and an incident says so."""
    # It is logged, and there is nobody to answer to.
    with suppress(StoreError, OSError):
        try:
            runtime.reload()
        except RulesError:
            runtime.complain(Complaint("rules", "the rules directory is unsound: the table in force stays"))
