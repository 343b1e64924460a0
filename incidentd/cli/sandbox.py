"""The sandbox by itself: for a set-up elsewhere that is to be tried out without real accounts."""

from collections.abc import Mapping
from pathlib import Path

import typer

from incidentd.cli.listen import claim
from incidentd.cli.stand_in import PATH
from incidentd.clock import SystemClock
from incidentd.errors import SettingsError
from incidentd.sandbox.app import Sandbox, create_sandbox
from incidentd.sandbox.server import SIGNING_SECRET, WEBHOOK_SECRET, site
from incidentd.sandbox.smtp import LOOPBACK
from incidentd.settings import Settings
from incidentd.web import server

_SIGNING_SECRET = "INCIDENTD_SLACK_SIGNING_SECRET"  # noqa: S105 - the variable's name
_BOT_TOKEN = "INCIDENTD_SLACK_BOT_TOKEN"  # noqa: S105 - the variable's name
_APP_TOKEN = "INCIDENTD_SLACK_APP_TOKEN"  # noqa: S105 - the variable's name
_WEBHOOK_SECRET = "INCIDENTD_PAGERDUTY_WEBHOOK_SECRET"  # noqa: S105 - the variable's name
_LARGEST_PORT = 65_535


def run(environ: Mapping[str, str], listen: str, product: str, journal: Path | None, mail: str = "") -> int:
    """Serve the sandbox until SIGTERM or SIGINT. ``product`` is where incidentd listens: button presses go there.

    ``mail`` is the address that takes mail, with port 0 any free one; empty: none does.

    Raises:
        SettingsError: an address or a secret is unsound, or the address is taken.
    """
    host, port = _address("--listen", listen)
    mail_address = _address("--mail", mail) if mail else None
    if not product.startswith(("http://", "https://")):
        raise SettingsError("--product is not an http:// or https:// address")
    found = Settings.secrets(environ, (_SIGNING_SECRET, _BOT_TOKEN, _APP_TOKEN, _WEBHOOK_SECRET))
    secrets = {name: secret.get_secret_value() for name, secret in found.items()}
    listener = claim("--listen", host.strip("[]"), port)
    url = f"http://{host}:{listener.getsockname()[1]}{PATH}"
    sandbox = _sandbox(secrets, product, url, journal, mail_address)
    typer.echo(_welcome(url, secrets, _mail_url(sandbox)))
    try:
        server.serve(site(sandbox, PATH), listener, websockets=True)
    finally:
        sandbox.close()
    return 0


def _sandbox(
    secrets: Mapping[str, str], product: str, url: str, journal: Path | None, mail: tuple[str, int] | None
) -> Sandbox:
    if mail:
        claim("--mail", mail[0].strip("[]"), mail[1]).close()
    return create_sandbox(
        clock=SystemClock().now,
        slack_signing_secret=secrets.get(_SIGNING_SECRET, SIGNING_SECRET),
        pagerduty_webhook_secret=secrets.get(_WEBHOOK_SECRET, WEBHOOK_SECRET),
        slack_token=secrets.get(_BOT_TOKEN),
        slack_app_token=secrets.get(_APP_TOKEN),
        product_url=product,
        sandbox_url=url,
        journal=journal,
        smtp_port=mail[1] if mail else None,
        smtp_host=mail[0].strip("[]") if mail else LOOPBACK,
    )


def _address(option: str, listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise SettingsError(f"{option} is not host:port")
    return host, int(port)


def _mail_url(sandbox: Sandbox) -> str:
    """What a destination of mail names it by; empty where no mail is taken."""
    if sandbox.smtp is None:
        return ""
    host = f"[{sandbox.smtp.host}]" if ":" in sandbox.smtp.host else sandbox.smtp.host
    return f"smtp+plain://{host}:{sandbox.smtp.port}{PATH}"


def _welcome(url: str, given: Mapping[str, str], mail: str) -> str:
    same = "the same as here"
    by_mail = [f"  INCIDENTD_SMTP_URL={mail}"] if mail else []
    return "\n".join(
        [
            f"The sandbox is at {url}/ ; incidentd reaches it with",
            f"  INCIDENTD_PAGERDUTY_EVENTS_URL={url}/pagerduty",
            f"  INCIDENTD_SLACK_API_URL={url}/slack/api",
            f"  INCIDENTD_PAGERDUTY_API_URL={url}/pagerduty/api",
            f"  {_SIGNING_SECRET}={same if _SIGNING_SECRET in given else SIGNING_SECRET}",
            f"  {_WEBHOOK_SECRET}={same if _WEBHOOK_SECRET in given else WEBHOOK_SECRET}",
            *by_mail,
            f"  {url}/webhook/<name> as the address of the webhook <name> of destinations.yaml",
            "and any routing keys, bot token, PagerDuty API token, and secrets of webhooks.",
        ]
    )
