"""What `up` keeps in its folder: tokens that nobody had to make up."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from incidentd.errors import SettingsError

TOKENS = {
    "INCIDENTD_WEBHOOK_TOKEN": "webhook-token",
    "INCIDENTD_API_TOKEN": "api-token",
}
SANDBOX_PAGERDUTY_TOKENS = {
    "INCIDENTD_PAGERDUTY_WEBHOOK_SECRET": "sandbox-pagerduty-webhook-secret",
    "INCIDENTD_PAGERDUTY_API_TOKEN": "sandbox-pagerduty-api-token",
}
SANDBOX_TOKENS = {
    "INCIDENTD_SLACK_BOT_TOKEN": "sandbox-slack-token",
    "INCIDENTD_SLACK_SIGNING_SECRET": "sandbox-slack-signing-secret",
}


@contextmanager
def held(state: Path) -> Iterator[None]:
    """The state folder is ours until the end; a second `up` would take over the first one's Redis.

    Raises:
        SettingsError: another `up` holds it, or it can't be written.
    """
    with _lock(state) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"another `incidentd up` runs on the folder {state}") from None
        yield


def is_held(state: Path) -> bool:
    """Whether an `up` runs on this folder now."""
    try:
        with (state / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(state: Path) -> IO[str]:
    try:
        state.mkdir(parents=True, exist_ok=True)
        return (state / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"--state: {state} can't be used as a folder: {error.strerror}") from None


def close_to_others() -> None:
    """What this process and its children make is their user's alone: tokens, and who was called about what."""
    os.umask(os.umask(0o077) | 0o077)


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
            keep(path, secrets.token_urlsafe(32))
        if path.exists():
            result[variable] = path.read_text("utf-8").strip()
    return result


def with_database(environ: Mapping[str, str], state: Path) -> dict[str, str]:
    """The environment with the SQLite file of the state folder, where it names no database."""
    if "INCIDENTD_DATABASE_URL" in environ or "INCIDENTD_DATABASE_URL_FILE" in environ:
        return dict(environ)
    return {**environ, "INCIDENTD_DATABASE_URL": f"sqlite:///{(state / 'incidentd.db').resolve()}"}


def keep(path: Path, token: str) -> None:
    """Write a file that only its owner reads, all or nothing: a start cut off must not leave an empty token behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(token + "\n", "utf-8")
    new.replace(path)
