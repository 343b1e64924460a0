"""Opaque cursors: where a page ended, as text."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from incidentd.store.query import Position
from incidentd.tier import Tier
from incidentd.web.problem import ProblemError

_LARGEST_NUMBER = 2**63 - 1


def write_cursor(position: Position) -> str:
    """As clients get it."""
    text = json.dumps([position.resolved, position.tier.value, position.number])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> Position | None:
    """As clients give it back.

    Raises:
        ProblemError: 400; it is none of ours.
    """
    if not cursor:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        resolved, tier, number = json.loads(urlsafe_b64decode(padded))
        position = Position(bool(resolved), Tier(tier), int(number))
    except (ValueError, TypeError, OverflowError, RecursionError):
        position = None
    if position is None or not 0 <= position.number <= _LARGEST_NUMBER:
        fault = {"field": "query.cursor", "message": "is no cursor that incidentd gave"}
        raise ProblemError(400, "invalid", "the request is malformed", errors=[fault])
    return position
