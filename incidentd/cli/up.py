"""Everything on one machine."""

import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from incidentd.classify import load
from incidentd.cli.listen import claim
from incidentd.cli.part import group, refuse_missing, web
from incidentd.cli.sandbox_set_up import remember
from incidentd.cli.stand_in import stand_ins
from incidentd.cli.start import configure_logs, inherited_settings, strict_settings
from incidentd.cli.state import held, with_database, with_tokens
from incidentd.cli.welcome import say_when_listening, welcome
from incidentd.clock import SystemClock
from incidentd.errors import SettingsError
from incidentd.lifecycle.crash_loop import CrashBook
from incidentd.lifecycle.rulebook import put_in_force
from incidentd.meter.folder import counting_in, emptied
from incidentd.process.private_redis import private_redis
from incidentd.process.supervisor import Child, Supervisor
from incidentd.settings import Settings, rules_folder
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate


def run(environ: Mapping[str, str], state: Path) -> int:
    """Set up what is missing, start all parts, say where they are; until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: settings, rules or the database are unsound, or another one runs already.
    """
    asked = strict_settings(environ)
    with held(state):
        _refuse_taken_port(asked)
        if asked.metrics_address:
            typer.echo("INCIDENTD_METRICS_LISTEN is of no use to `up`: its web part tells all metrics", err=True)
        return _run(environ, state, asked)


def _run(environ: Mapping[str, str], state: Path, asked: Settings) -> int:
    environ = _for_people(_with_files(with_tokens(environ, state), state))
    given = environ
    environ, stood_in = stand_ins(given, load(rules_folder(given)), asked.listen, state)
    remember(state, given, environ)
    environ, redis = _with_redis(environ, state)
    settings = inherited_settings(environ)
    refuse_missing(settings)
    configure_logs(settings, environ)
    engine = open_engine(settings.database_url)
    migrate(engine)
    store = Store(engine)
    put_in_force(store, load(settings.rules), SystemClock().now())
    environ = counting_in(environ, emptied(state / "metrics"))
    children = [*redis, web(environ), *group(settings, environ)]
    text = welcome(settings, stood_in, has_redis=settings.redis_url is not None)
    book = CrashBook(store, SystemClock().now)
    return Supervisor(children, started=lambda: say_when_listening(settings, text), crashing=book.note).run()


def _with_files(environ: Mapping[str, str], state: Path) -> dict[str, str]:
    """What stands in files stands in the state folder, unless the environment says otherwise."""
    return {"INCIDENTD_SPOOL": str((state / "spool").resolve()), **with_database(environ, state)}


def _for_people(environ: Mapping[str, str]) -> dict[str, str]:
    return {"INCIDENTD_LOG_FORMAT": "console", **environ} if sys.stderr.isatty() else dict(environ)


def _with_redis(environ: Mapping[str, str], state: Path) -> tuple[dict[str, str], list[Child]]:
    if "INCIDENTD_REDIS_URL" in environ or "INCIDENTD_REDIS_URL_FILE" in environ:
        return dict(environ), []
    private = private_redis(state / "redis")
    if private is None:
        return dict(environ), []
    return {**environ, "INCIDENTD_REDIS_URL": private.url}, [private.child]


def _refuse_taken_port(settings: Settings) -> None:
    if settings.listen_port == 0:
        raise SettingsError("INCIDENTD_LISTEN: `up` needs a port that is known beforehand, not 0")
    claim("INCIDENTD_LISTEN", settings.listen_host, settings.listen_port).close()
