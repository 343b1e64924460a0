"""The sandbox in place of PagerDuty and Slack, for each of them that has no credentials; of mail too, and webhooks."""

import base64
import hashlib
import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

from fastapi import FastAPI

from incidentd.classify import DestinationSpec, Rules
from incidentd.classify.destination import in_header
from incidentd.cli.state import SANDBOX_PAGERDUTY_TOKENS, SANDBOX_TOKENS, with_tokens
from incidentd.clock import SystemClock
from incidentd.errors import SettingsError
from incidentd.sandbox.app import create_sandbox
from incidentd.settings import Settings

JOURNAL = "SANDBOX_JOURNAL"
"""Set by `up` for its web part: where the sandbox keeps what it received."""

MAIL_PORT = "SANDBOX_MAIL_PORT"
"""Set by `up` for its web part: where the sandbox takes mail."""

PATH = "/sandbox"
PAGERDUTY = "PagerDuty"
SLACK = "Slack"
MAIL = "mail"
WEBHOOKS = "webhooks"


def stand_ins(environ: Mapping[str, str], rules: Rules, listen: str, state: Path) -> tuple[dict[str, str], list[str]]:
    """The environment with the sandbox in place of what has no credentials, and the names of those.

    Mail and webhooks, most of which nobody has to set up, are among them where nobody real is paged nor told.

    Raises:
        SettingsError: beside a real one, others than this machine could reach the sandbox.
    """
    result = dict(environ)
    stood_in = []
    keys = _routing_keys(rules)
    if not any(_is_set(environ, name) for name in keys):
        stood_in.append(PAGERDUTY)
        result = with_tokens(result, state, SANDBOX_PAGERDUTY_TOKENS)
        result |= {name: _made_up_key(name) for name in keys}
        result["INCIDENTD_PAGERDUTY_API_URL"] = f"http://{listen}{PATH}/pagerduty/api"
        result["INCIDENTD_PAGERDUTY_EVENTS_URL"] = f"http://{listen}{PATH}/pagerduty"
    if not _is_set(environ, "INCIDENTD_SLACK_BOT_TOKEN"):
        stood_in.append(SLACK)
        result = with_tokens(result, state, SANDBOX_TOKENS)
        result["INCIDENTD_SLACK_API_URL"] = f"http://{listen}{PATH}/slack/api"
    _refuse_strangers(stood_in, listen)
    if stood_in == [PAGERDUTY, SLACK]:
        mail, hooks = _mail(environ, rules), _webhooks(environ, rules, listen)
        stood_in += [MAIL] if mail else []
        stood_in += [WEBHOOKS] if hooks else []
        result |= mail | hooks
    if stood_in:
        result[JOURNAL] = str(state / "sandbox.jsonl")
    return result, stood_in


def add_sandbox(app: FastAPI, settings: Settings, environ: Mapping[str, str]) -> Callable[[], None]:
    """Mount the sandbox where `up` asked for it. Returns what ends it."""
    journal = environ.get(JOURNAL)
    if journal is None:
        return lambda: None
    names = {value: name for name, value in environ.items() if value == _made_up_key(name)}
    sandbox = create_sandbox(
        clock=SystemClock().now,
        slack_signing_secret=next(iter(settings.signing_secrets()), ""),
        slack_app_token=settings.slack_app_token.get_secret_value() if settings.slack_app_token else None,
        pagerduty_webhook_secret=next(iter(settings.pagerduty_secrets()), ""),
        product_url=f"http://{settings.listen}",
        sandbox_url=f"http://{settings.listen}{PATH}",
        journal=Path(journal),
        routing_key_names=names,
        smtp_port=int(environ[MAIL_PORT]) if MAIL_PORT in environ else None,
    )
    sandbox.mount(app, PATH)
    return sandbox.close


def _mail(environ: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """The sandbox's mail server for each destination whose server isn't set, on one port."""
    names = {spec.secret_names[0] for spec in _unset(environ, rules, "email")}
    if not names:
        return {}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {MAIL_PORT: str(port), **dict.fromkeys(names, f"smtp+plain://127.0.0.1:{port}{PATH}")}


def _webhooks(environ: Mapping[str, str], rules: Rules, listen: str) -> dict[str, str]:
    """An address in the sandbox for each webhook that has none, and something for all else that it asks for."""
    found: dict[str, str] = {}
    for spec in _unset(environ, rules, "webhook"):
        keys = [name for names in spec.further.values() for name in names]
        found |= {name: f"whsec_{base64.b64encode(_made_up_key(name).encode()).decode()}" for name in keys}
        found |= {name: _made_up_key(name) for value in spec.headers.values() for name in in_header(value)}
        found |= dict.fromkeys(spec.secret_names[:1], f"http://{listen}{PATH}/webhook/{spec.name}")
    return found


def _unset(environ: Mapping[str, str], rules: Rules, kind: str) -> list[DestinationSpec]:
    """The destinations of a kind of whose variables none is set."""
    of_kind = [spec for spec in rules.destinations.values() if spec.kind == kind and spec.variables]
    return [
        spec for spec in of_kind if spec.secret_names and not any(_is_set(environ, each) for each in spec.variables)
    ]


def _refuse_strangers(stood_in: list[str], listen: str) -> None:
    """The sandbox asks nobody to sign in, and its buttons act on incidents that a real one paged somebody for."""
    if stood_in in ([PAGERDUTY], [SLACK]) and not _is_loopback(listen.rpartition(":")[0].strip("[]")):
        raise SettingsError(
            f"INCIDENTD_LISTEN: others could reach the sandbox, which stands in for {stood_in[0]} beside a real one:"
            f" give {stood_in[0]}'s credentials too, or listen on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _routing_keys(rules: Rules) -> list[str]:
    named = {name for spec in rules.destinations.values() if spec.kind == "pagerduty" for name in spec.secret_names}
    return sorted({"INCIDENTD_PAGERDUTY_ROUTING_KEY", *named})


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return name in environ or f"{name}_FILE" in environ


def _made_up_key(name: str) -> str:
    """32 characters, as a routing key has; the same at each start, so that open alerts are met again."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]
