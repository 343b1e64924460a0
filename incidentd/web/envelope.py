"""What Slack sends over Socket Mode, read with suspicion.

https://docs.slack.dev/apis/events-api/using-socket-mode#events
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incidentd.web.click import mapping, text

INTERACTIVE = "interactive"
COMMAND = "slash_commands"

_ID = re.compile(r"[\x21-\x7e]{1,100}")
_WORD = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Hello:
    """The connection is in use from here on."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """Slack is about to close this connection. ``reason`` is Slack's word, such as ``refresh_requested``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Something to be handled and then acknowledged by its ``id``.

    ``payload`` is empty where none that can be read was sent; ``answerable``: the acknowledgement may carry an answer.
    """

    id: str
    kind: str
    payload: Mapping[str, Any]
    answerable: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Nothing that could be acknowledged. ``why`` is a short fixed text."""

    why: str


def parse(message: str | bytes) -> Hello | Farewell | Envelope | Unreadable:
    """What one message says."""
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return Unreadable("no JSON")
    if not isinstance(fields, dict):
        return Unreadable("no object")
    kind = text(fields.get("type"))
    if kind == "hello":
        return Hello()
    if kind == "disconnect":
        reason = text(fields.get("reason"))
        return Farewell(reason if _WORD.fullmatch(reason) else "unknown")
    envelope_id = text(fields.get("envelope_id"))
    if not _ID.fullmatch(envelope_id):
        return Unreadable("no envelope_id")
    answerable = fields.get("accepts_response_payload") is True
    return Envelope(envelope_id, kind, mapping(fields.get("payload")), answerable)


def signature(envelope: Envelope) -> str:
    """What names the press itself, so that it has its effect once, under whatever id and by whatever way it comes.

    Who pressed what and when (``action_ts``) stays the same when Slack sends it again; where it doesn't say when, the
    envelope's id has to do.
    """
    actions = envelope.payload.get("actions")
    presses = actions if isinstance(actions, list) else []
    is_dated = bool(presses) and all(text(mapping(each).get("action_ts")) for each in presses)
    who = text(mapping(envelope.payload.get("user")).get("id"))
    try:
        named = json.dumps([who, presses, "" if is_dated else envelope.id], sort_keys=True)
    except RecursionError:
        named = envelope.id
    return f"press={hashlib.sha256(named.encode()).hexdigest()}"
