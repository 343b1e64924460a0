"""What `up` keeps in its folder: tokens that nobody had to make up."""

import fcntl
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from incidentd.errors import SettingsError

TOKENS = {
    "INCIDENTD_WEBHOOK_TOKEN": "webhook-token",
    "INCIDENTD_API_TOKEN": "api-token",
}
SANDBOX_TOKENS = {
    "INCIDENTD_SLACK_BOT_TOKEN": "sandbox-slack-token",
    "INCIDENTD_SLACK_SIGNING_SECRET": "sandbox-slack-signing-secret",
}


@contextmanager
def held(state: Path) -> Iterator[None]:
    """The state folder is ours until the end; a second `up` would take over the first one's Redis.

    Raises:
        SettingsError: another `up` holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"another `incidentd up` runs on the folder {state}") from None
        yield


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
