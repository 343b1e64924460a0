"""Is this a valid event of PagerDuty's Events API v2, and if not, why.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ and .../events-api-v2/overview/
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

ACTIONS = ("trigger", "acknowledge", "resolve")
SEVERITIES = ("critical", "error", "warning", "info")
ROUTING_KEY_LENGTH = 32
DEDUP_KEY_MAX = 255
SUMMARY_MAX = 1024
# "512 KB" can be read in two ways; a sender below the smaller one is safe with both.
BODY_MAX_BYTES = 512_000


def event_errors(event: object) -> list[str]:
    """Why PagerDuty would answer 400, in its words where they are known; empty for a valid event."""
    if not isinstance(event, dict):
        return ["Event object must be a JSON object"]
    errors = [*_routing_key_errors(event), *_action_errors(event), *_dedup_key_errors(event)]
    if event.get("event_action") == "trigger":
        errors += _payload_errors(event.get("payload"))
    errors += _string_errors(event, "", ("client", "client_url"))
    errors += _link_errors(event.get("links"))
    errors += _image_errors(event.get("images"))
    return errors


def _blank(value: object) -> bool:
    return not isinstance(value, str) or not value.strip()


def _routing_key_errors(event: dict[str, Any]) -> Iterator[str]:
    key = event.get("routing_key")
    if _blank(key):
        yield "'routing_key' is missing or blank"
    elif len(event["routing_key"]) != ROUTING_KEY_LENGTH:
        yield "Length of 'routing_key' is incorrect (should be 32 characters)"


def _action_errors(event: dict[str, Any]) -> Iterator[str]:
    action = event.get("event_action")
    if _blank(action):
        yield "'event_action' is missing or blank"
    elif action not in ACTIONS:
        yield "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"


def _dedup_key_errors(event: dict[str, Any]) -> Iterator[str]:
    key = event.get("dedup_key")
    if key is None:
        if event.get("event_action") in ("acknowledge", "resolve"):
            yield "'dedup_key' is missing or blank"
    elif _blank(key):
        yield "'dedup_key' is missing or blank"
    elif len(key) > DEDUP_KEY_MAX:
        yield f"'dedup_key' is too long (maximum is {DEDUP_KEY_MAX} characters)"


def _payload_errors(payload: object) -> Iterator[str]:
    if not isinstance(payload, dict):
        yield "'payload' is missing or blank"
        return
    for name in ("summary", "source"):
        if _blank(payload.get(name)):
            yield f"'payload.{name}' is missing or blank"
    if isinstance(payload.get("summary"), str) and len(payload["summary"]) > SUMMARY_MAX:
        yield f"'payload.summary' is too long (maximum is {SUMMARY_MAX} characters)"
    if payload.get("severity") not in SEVERITIES:
        yield "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
    yield from _string_errors(payload, "payload.", ("component", "group", "class"))
    if not isinstance(payload.get("custom_details", {}), dict):
        yield "'payload.custom_details' is invalid (must be an object)"
    if "timestamp" in payload and not _is_instant(payload["timestamp"]):
        yield "'payload.timestamp' is invalid (must be an ISO 8601 date and time)"


def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _string_errors(values: dict[str, Any], prefix: str, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if values.get(name) is not None and not isinstance(values[name], str):
            yield f"'{prefix}{name}' is invalid (must be a string)"


def _items(values: object, name: str, address: str, start: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each sound item of a list with "", and an empty one with the fault for each unsound item."""
    if values is None:
        return
    if not isinstance(values, list):
        yield {}, f"'{name}' is invalid (must be an array)"
        return
    for index, item in enumerate(values):
        value = item.get(address) if isinstance(item, dict) else None
        if not isinstance(value, str) or not value.startswith(start):
            yield {}, f"'{name}[{index}].{address}' is missing or invalid (must begin with {' or '.join(start)})"
        else:
            yield item, ""


def _link_errors(links: object) -> Iterator[str]:
    for link, error in _items(links, "links", "href", ("http://", "https://")):
        if error:
            yield error
        yield from _string_errors(link, "links.", ("text",))


def _image_errors(images: object) -> Iterator[str]:
    for image, error in _items(images, "images", "src", ("https://",)):
        if error:
            yield error
        yield from _string_errors(image, "images.", ("href", "alt"))
