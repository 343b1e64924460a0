"""What `up` keeps in its folder: tokens that nobody had to make up."""

import secrets
from collections.abc import Mapping
from pathlib import Path

TOKENS = {
    "INCIDENTD_WEBHOOK_TOKEN": "webhook-token",
    "INCIDENTD_API_TOKEN": "api-token",
}
SANDBOX_TOKENS = {
    "INCIDENTD_SLACK_BOT_TOKEN": "sandbox-slack-token",
    "INCIDENTD_SLACK_SIGNING_SECRET": "sandbox-slack-signing-secret",
}


def with_tokens(
    environ: Mapping[str, str], state: Path, names: Mapping[str, str] = TOKENS, *, create: bool = True
) -> dict[str, str]:
    """The environment, with each token that it lacks taken from the state folder, where it is made when missing."""
    result = dict(environ)
    for variable, file in names.items():
        if variable in environ or f"{variable}_FILE" in environ:
            continue
        path = state / file
        if create and not path.exists():
            _write(path, secrets.token_urlsafe(32))
        if path.exists():
            result[variable] = path.read_text("utf-8").strip()
    return result


def _write(path: Path, token: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(token + "\n", "utf-8")
