"""The sandbox in place of PagerDuty and Slack, for each of them that has no credentials."""

import hashlib
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path

from fastapi import FastAPI

from incidentd.classify import Rules
from incidentd.cli.state import SANDBOX_PAGERDUTY_TOKENS, SANDBOX_TOKENS, with_tokens
from incidentd.clock import SystemClock
from incidentd.errors import SettingsError
from incidentd.sandbox.app import create_sandbox
from incidentd.settings import Settings

JOURNAL = "SANDBOX_JOURNAL"
"""Set by `up` for its web part: where the sandbox keeps what it received."""

PATH = "/sandbox"
PAGERDUTY = "PagerDuty"
SLACK = "Slack"


def stand_ins(environ: Mapping[str, str], rules: Rules, listen: str, state: Path) -> tuple[dict[str, str], list[str]]:
    """The environment with the sandbox in place of what has no credentials, and the names of those.

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
    if stood_in:
        result[JOURNAL] = str(state / "sandbox.jsonl")
    return result, stood_in


def add_sandbox(app: FastAPI, settings: Settings, environ: Mapping[str, str]) -> Callable[[], None]:
    """Mount the sandbox where `up` asked for it. Returns what ends it."""
    journal = environ.get(JOURNAL)
    if journal is None or settings.slack_signing_secret is None:
        return lambda: None
    names = {value: name for name, value in environ.items() if value == _made_up_key(name)}
    sandbox = create_sandbox(
        clock=SystemClock().now,
        slack_signing_secret=settings.signing_secrets()[0],
        pagerduty_webhook_secret=next(iter(settings.pagerduty_secrets()), ""),
        product_url=f"http://{settings.listen}",
        sandbox_url=f"http://{settings.listen}{PATH}",
        journal=Path(journal),
        routing_key_names=names,
    )
    sandbox.mount(app, PATH)
    return sandbox.close


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
