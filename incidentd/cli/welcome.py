"""What `up` says once it can be used."""

import socket
import threading

import typer

from incidentd.cli.link import link_for
from incidentd.cli.stand_in import PATH
from incidentd.settings import Settings

SAMPLE = "examples/alert.json"
_PAUSE_SECONDS = 0.1


def welcome(settings: Settings, stood_in: list[str], *, has_redis: bool) -> str:
    """Where the pages are, where Alertmanager is to post and with which token, and how to fire a sample."""
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
        lines.append(f"  sandbox       {settings.base_url}{PATH}  in place of {_and(stood_in)}")
    if not has_redis:
        lines.append("  Redis         none was found: the timekeeper does the work itself, more slowly")
    lines += [
        "  a sample      "
        f"curl -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d @{SAMPLE} {webhook}",
        "  Ctrl-C ends it; the next start finds everything as it was.",
        "",
    ]
    return "\n".join(lines)


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def say_when_listening(settings: Settings, text: str) -> None:
    """Print ``text`` as soon as the web part takes connections; returns at once."""
    threading.Thread(target=_say, args=(settings, text), name="welcome", daemon=True).start()


def _say(settings: Settings, text: str) -> None:
    never = threading.Event()
    while not _listens(settings):
        never.wait(_PAUSE_SECONDS)
    typer.echo(text)


def _listens(settings: Settings) -> bool:
    try:
        socket.create_connection((settings.listen_host, settings.listen_port), timeout=1).close()
    except OSError:
        return False
    return True
