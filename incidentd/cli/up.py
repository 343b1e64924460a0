"""Everything on one machine."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from incidentd.classify import load
from incidentd.cli.link import link_for
from incidentd.cli.part import group, web
from incidentd.cli.stand_in import PATH, stand_ins
from incidentd.cli.start import configure_logs, inherited_settings, strict_settings
from incidentd.cli.state import held, with_tokens
from incidentd.errors import SettingsError
from incidentd.private_redis import private_redis
from incidentd.settings import Settings, rules_folder
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from incidentd.supervisor import Child, Supervisor

SAMPLE = "examples/alert.json"


def run(environ: Mapping[str, str], state: Path) -> int:
    """Set up what is missing, start all parts, say where they are; until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: settings, rules or the database are unsound, or another one runs already.
    """
    asked = strict_settings(environ)
    with held(state):
        _refuse_taken_port(asked)
        return _run(environ, state, asked)


def _run(environ: Mapping[str, str], state: Path, asked: Settings) -> int:
    environ = _for_people(_with_database(with_tokens(environ, state), state))
    environ, stood_in = stand_ins(environ, load(rules_folder(environ)), asked.listen, state)
    environ, redis = _with_redis(environ, state)
    settings = inherited_settings(environ)
    configure_logs(settings, environ)
    migrate(open_engine(settings.database_url))
    children = [*redis, web(environ), *group(settings, environ)]
    return Supervisor(children, started=lambda: typer.echo(_welcome(settings, stood_in, redis))).run()


def _with_database(environ: Mapping[str, str], state: Path) -> dict[str, str]:
    if "INCIDENTD_DATABASE_URL" in environ or "INCIDENTD_DATABASE_URL_FILE" in environ:
        return dict(environ)
    return {**environ, "INCIDENTD_DATABASE_URL": f"sqlite:///{(state / 'incidentd.db').resolve()}"}


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
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.listen_host, settings.listen_port))
        except OSError:
            raise SettingsError(
                f"{settings.listen} is taken by another program: set INCIDENTD_LISTEN to a free address"
            ) from None


def _welcome(settings: Settings, stood_in: list[str], redis: list[Child]) -> str:
    token = settings.webhook_token.get_secret_value() if settings.webhook_token else ""
    webhook = f"{settings.base_url}/api/v1/alertmanager"
    lines = [
        "",
        "incidentd is up.",
        f"  pages         {link_for(settings)}",
        f"  Alertmanager  POST {webhook}",
        f"                bearer token {token}",
    ]
    if stood_in:
        lines.append(f"  sandbox       {settings.base_url}{PATH}  in place of {' and '.join(stood_in)}")
    if not redis and settings.redis_url is None:
        lines.append("  Redis         none was found: the timekeeper does the work itself, more slowly")
    lines += [
        "  a sample      "
        f"curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d @{SAMPLE} {webhook}",
        "  Ctrl-C ends it; the next start finds everything as it was.",
        "",
    ]
    return "\n".join(lines)
