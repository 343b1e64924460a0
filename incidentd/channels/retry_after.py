"""The headers Retry-After and Date (RFC 9110, sections 10.2.3 and 6.6.1)."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(seconds=60)
"""A page doesn't wait longer, whatever a receiver asks for."""

_HEADER_LIMIT = 64


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long the receiver asks us to wait, from 0 to 60 s; None where it says nothing sensible."""
    if value is None or len(value) > _HEADER_LIMIT:
        return None
    seconds = _seconds(value)
    wait = timedelta(seconds=min(seconds, LONGEST.total_seconds())) if seconds is not None else _until(value, now)
    if wait is None or wait < timedelta(0):
        return None
    return min(wait, LONGEST)


def parse_date(value: str | None) -> datetime | None:
    """The instant that a Date header names; None where it names none."""
    if value is None or len(value) > _HEADER_LIMIT:
        return None
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _until(value: str, now: datetime) -> timedelta | None:
    at = parse_date(value)
    try:
        return at - now if at else None
    except OverflowError:
        return None
