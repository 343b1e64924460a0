"""A webhook's bytes become alerts: each one cleaned, bounded and checked by itself.

Source: notify/webhook and template/template.go of Alertmanager; the fingerprint is that of prometheus/common's model.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isinf
from typing import Any, TypeGuard

from incidentd.alert import Alert
from incidentd.errors import IntakeError

LONGEST_VALUE = 4096
"""Bytes in UTF-8 that a name or value may have; what is longer is cut and marked."""

MOST_PAIRS = 256
"""Labels, or annotations, that one alert may have."""

MOST_OPENED = 500_000
"""Objects and lists that a notification may hold. 16 MB of alerts as Alertmanager writes them hold a third of that;
as many empty ones would take more than a gigabyte once they are parsed.
"""

START_AS_SENT = "incidentd_starts_at_as_sent"
"""The annotation that shows a ``startsAt`` which can't be true; the alert's start is then the time of receipt."""

FURTHEST_AHEAD = timedelta(days=1)
FURTHEST_BACK = timedelta(days=400)

CUT = " …[cut]"

_FINGERPRINT = re.compile(r"[0-9a-fA-F]{16}")
_INSTANT = re.compile(r"(\d{4,9})-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,18})?([Zz]|[+-]\d\d:\d\d)")
_YEAR_DIGITS = 4
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPACES = re.compile("[\t\n\r\u2028\u2029]+")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/#FNV-1a
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_FNV_MASK = 0xFFFFFFFFFFFFFFFF
_SEPARATOR = b"\xff"


@dataclass(frozen=True, slots=True)
class SetAside:
    """What one notification held that can't be understood. ``reason`` is a short fixed word, ``detail`` a sentence."""

    reason: str
    detail: str


class _FaultError(Exception):
    """This alert, or this part of it, can't be understood. ``str`` is the reason."""


_SENTENCES = {
    "alert_not_an_object": "an alert is no object",
    "labels": "an alert's labels are missing, or no map of text",
    "starts_at": "an alert's startsAt is no instant",
    "ends_at": "an alert's endsAt is no instant",
    "annotations": "an alert's annotations are no map of text; the alert itself was taken without them",
    "truncated": "Alertmanager cut alerts off (max_alerts)",
}


def parse(raw: bytes, received_at: datetime) -> tuple[tuple[Alert, ...], tuple[SetAside, ...]]:
    """The sound alerts of a notification, and what had to be set aside, once for each reason.

    Raises:
        IntakeError: this is no webhook at all (HTTP 400), or holds more than can be alerts (413).
    """
    body = _decode(raw)
    if not isinstance(body, dict):
        raise IntakeError(400, "not_an_object", "the body is no JSON object")
    listed = body.get("alerts")
    if listed is None:
        raise IntakeError(400, "no_alerts", "the body has no alerts")
    if not isinstance(listed, list):
        raise IntakeError(400, "alerts_not_a_list", "the body's alerts are no list")
    faults: dict[str, None] = {}
    alerts = [alert for item in listed if (alert := _tried(item, received_at, faults))]
    if _is_positive(body.get("truncatedAlerts")):
        faults["truncated"] = None
    return tuple(alerts), tuple(SetAside(reason, _SENTENCES[reason]) for reason in faults)


def alert_of(item: object, received_at: datetime) -> Alert | None:
    """One alert in the form of a notification's; None where it can't be understood."""
    return _tried(item, received_at, {})


def is_fingerprint(value: object) -> TypeGuard[str]:
    """Whether this is one as Alertmanager makes them."""
    return isinstance(value, str) and _FINGERPRINT.fullmatch(value) is not None


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hex digits from the labels alone, as Alertmanager makes them."""
    value = _FNV_OFFSET
    for name in sorted(labels):
        part = name.encode("utf-8", "surrogatepass") + _SEPARATOR
        for byte in part + labels[name].encode("utf-8", "surrogatepass") + _SEPARATOR:
            value = ((value ^ byte) * _FNV_PRIME) & _FNV_MASK
    return f"{value:016x}"


def _decode(raw: bytes) -> Any:
    if raw.count(b"{") + raw.count(b"[") > MOST_OPENED:
        raise IntakeError(413, "too_many", f"the body holds over {MOST_OPENED:,} objects and lists")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise IntakeError(400, "not_utf8", "the body is no UTF-8") from None
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise IntakeError(400, "too_deep", "the body is nested too deeply") from None
    except ValueError:
        raise IntakeError(400, "not_json", "the body is no JSON") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise ValueError("beyond a double's range")
    return value


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _tried(item: object, received_at: datetime, faults: dict[str, None]) -> Alert | None:
    try:
        return _alert(item, received_at, faults)
    except _FaultError as fault:
        faults[str(fault)] = None
        return None


def _alert(item: object, received_at: datetime, faults: dict[str, None]) -> Alert:
    if not isinstance(item, dict):
        raise _FaultError("alert_not_an_object")
    as_sent: Any = item.get("labels")
    labels = _pairs(as_sent, "labels", _line)
    if not labels:
        raise _FaultError("labels")
    firing = item.get("status") != "resolved"
    starts_at, start_as_sent = _start(item.get("startsAt"), received_at)
    url = item.get("generatorURL")
    return Alert(
        fingerprint=_fingerprint(item.get("fingerprint"), as_sent),
        labels=labels,
        annotations=_annotations(item.get("annotations"), start_as_sent, faults),
        starts_at=starts_at,
        ends_at=_end(item.get("endsAt"), received_at, firing=firing),
        firing=firing,
        generator_url=_line(url) if isinstance(url, str) else "",
    )


def _pairs(value: object, reason: str, clean: Callable[[str], str]) -> dict[str, str]:
    """A map of text to text, fit to be stored and shown. Nearly always it is so as sent, which one look tells."""
    if not isinstance(value, dict) or len(value) > MOST_PAIRS:
        raise _FaultError(reason)
    try:
        everything = "".join(value) + "".join(value.values())
    except TypeError:
        raise _FaultError(reason) from None
    if _is_plain(everything):
        return value
    return {_line(name): clean(text) for name, text in value.items()}


def _annotations(value: object, as_sent: str | None, faults: dict[str, None]) -> dict[str, str]:
    """Annotations only explain: broken ones are reported, and the alert goes its way without them."""
    try:
        pairs = {} if value is None else _pairs(value, "annotations", _text)
    except _FaultError as fault:
        faults[str(fault)] = None
        pairs = {}
    return pairs if as_sent is None else {**pairs, START_AS_SENT: as_sent}


def _is_plain(text: str) -> bool:
    """Whether neither this nor any part of it needs cleaning."""
    return text.isascii() and text.isprintable() and len(text) <= LONGEST_VALUE


def _fingerprint(value: object, labels: Mapping[str, str]) -> str:
    if is_fingerprint(value):
        return value.lower()
    return fingerprint(labels)


def _start(value: object, received_at: datetime) -> tuple[datetime, str | None]:
    """When the alert began; with the text as sent where that can't be true and the receipt stands in for it."""
    if value is None:
        return received_at, "(none)"
    started = _instant(value, "starts_at")
    if started and received_at - FURTHEST_BACK <= started <= received_at + FURTHEST_AHEAD:
        return started, None
    return received_at, _line(str(value))


def _end(value: object, received_at: datetime, *, firing: bool) -> datetime | None:
    """When it ended. Of a resolved alert that names no believable end: the receipt."""
    ended = None if value is None else _instant(value, "ends_at")
    if firing:
        return ended
    return ended if ended and ended <= received_at + FURTHEST_AHEAD else received_at


def _instant(value: object, reason: str) -> datetime | None:
    """An RFC 3339 instant in UTC; None for the year 1 and for years that no calendar of ours has."""
    if not isinstance(value, str):
        raise _FaultError(reason)
    try:
        return _parsed_instant(value)
    except ValueError:
        raise _FaultError(reason) from None


@lru_cache(maxsize=1024)
def _parsed_instant(text: str) -> datetime | None:
    """As ``_instant``; alerts of one group bear few different ones.

    Raises:
        ValueError: it is none.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("no instant")
    if len(match[1]) > _YEAR_DIGITS or int(match[1]) <= 1:
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        return None


def _line(value: str) -> str:
    """Text for one line: no line breaks, no control characters, no lone surrogates."""
    if _is_plain(value):
        return value
    return _cut(_NOT_IN_LINE.sub(_REPLACEMENT, _SPACES.sub(" ", value)))


def _text(value: str) -> str:
    """Text of several lines: no control characters but line breaks and tabs, no lone surrogates."""
    if _is_plain(value):
        return value
    return _cut(_NOT_IN_TEXT.sub(_REPLACEMENT, value.replace("\r\n", "\n").replace("\r", "\n")))


def _cut(value: str) -> str:
    if len(value) * 4 <= LONGEST_VALUE:
        return value
    encoded = value.encode()
    if len(encoded) <= LONGEST_VALUE:
        return value
    return encoded[: LONGEST_VALUE - len(CUT.encode())].decode("utf-8", "ignore") + CUT
