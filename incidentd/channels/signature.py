"""Standard Webhooks: what a receiver needs to believe a message and to know it again.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from incidentd.errors import PermanentError

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a key."""


def signed_headers(message_id: str, body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """``webhook-id`` and ``webhook-timestamp``, and ``webhook-signature`` where there is a secret.

    Raises:
        PermanentError: the secret is none of Standard Webhooks.
    """
    sent_at = str(int(now.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": sent_at}
    if secret:
        content = f"{message_id}.{sent_at}.".encode() + body
        digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def is_signing_secret(secret: str) -> bool:
    """Whether anything can be signed with it."""
    try:
        return bool(_key(secret))
    except PermanentError:
        return False


def _key(secret: str) -> bytes:
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if text == secret or not _SHORTEST <= len(key) <= _LONGEST:
        raise PermanentError(f"its signing secret is not {PREFIX} and {_SHORTEST} to {_LONGEST} bytes in base64")
    return key
