"""What sign-in links and sessions are signed with."""

import hashlib

from incidentd.settings import Settings


def session_secret(settings: Settings) -> bytes:
    """The same on every machine that has this API token; a new token ends all sessions.

    Empty without a token, and then nothing that is signed holds: anybody could work out any other constant.
    """
    if settings.api_token is None:
        return b""
    return hashlib.sha256(b"incidentd session\0" + settings.api_token.get_secret_value().encode()).digest()
