"""What sign-in links and sessions are signed with."""

import hashlib

from incidentd.settings import Settings


def session_secret(settings: Settings) -> bytes:
    """The same on every machine that has this API token; a new token ends all sessions."""
    token = settings.api_token.get_secret_value() if settings.api_token else ""
    return hashlib.sha256(b"incidentd session\0" + token.encode()).digest()
