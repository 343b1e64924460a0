"""Durations as people write them: ``30s``, ``5m``, ``1h30m``, ``2d``; and ``1 business day``."""

import re
from datetime import timedelta

from incidentd.policy import ResponseTime

LONGEST = timedelta(days=36_500)
"""Further back no instant is asked for; the calendar ends somewhere beyond."""
_PART = re.compile(r"([0-9]{1,6})(d|h|m|s)")
WHOLE = re.compile(r"([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
BUSINESS = re.compile(r"([1-9][0-9]{0,2}) business days?")


def parse_span(text: str) -> timedelta | None:
    """The duration; None when the text is none."""
    if not text or not WHOLE.fullmatch(text):
        return None
    return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta(0))


def parse_response(text: str) -> ResponseTime | None:
    """A duration in the tier's calendar, whole business days, or ``none``; None when the text is neither."""
    if text == "none":
        return ResponseTime()
    if business := BUSINESS.fullmatch(text):
        return ResponseTime(days=int(business[1]))
    within = parse_span(text)
    return ResponseTime(within) if within else None
