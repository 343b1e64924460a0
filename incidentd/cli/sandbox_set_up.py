"""What `up` has put in the place of real credentials, for the other commands on this machine while it runs."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from incidentd.cli.state import is_held, keep
from incidentd.settings import Settings
from incidentd.settings.environment import variable

_FILE = "sandbox-set-up.json"
_SERVICES = ("INCIDENTD_SLACK_", "INCIDENTD_PAGERDUTY_")


def remember(state: Path, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Keep the variables that the sandbox stands in by. They are its own; nothing that was set is among them."""
    added = {name: value for name, value in after.items() if name not in before and name.startswith("INCIDENTD_")}
    keep(state / _FILE, json.dumps(added))


def with_sandbox(environ: Mapping[str, str], state: Path, names: Collection[str]) -> dict[str, str]:
    """The environment with the sandbox of the `up` that runs on this folder; unchanged where none does.

    ``names`` are the variables that the rules name. What is set counts, and all of PagerDuty or Slack of which
    anything is set: a real token never goes to the sandbox.
    """
    if not is_held(state):
        return dict(environ)
    real = tuple(service for service in _SERVICES if any(name.startswith(service) for name in environ))
    known = {*names, *map(variable, Settings.model_fields)}
    added = {
        name: value
        for name, value in _remembered(state).items()
        if name in known and not name.startswith(real) and f"{name}_FILE" not in environ
    }
    return {**added, **environ}


def _remembered(state: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((state / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found
