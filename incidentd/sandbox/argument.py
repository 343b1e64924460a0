"""The arguments of one Slack Web API call, from its query, form or JSON body, and the errors it can end with."""

from collections.abc import Mapping
from email.message import Message as Headers
from typing import Any
from urllib.parse import parse_qsl

from incidentd.sandbox.answer import JsonObject, read_json


class MethodError(Exception):
    """A Web API call ends with ``ok: false``: Slack's name for the error, and what it says about it."""

    def __init__(self, error: str, messages: list[str] | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages or []

    def body(self) -> JsonObject:
        """The answer's body in Slack's shape."""
        body: JsonObject = {"ok": False, "error": self.error}
        if self.messages:
            body |= {"errors": self.messages, "response_metadata": {"messages": self.messages}}
        return body


class Arguments:
    """Named values. A form carries structures as JSON strings, a JSON body as themselves; both read the same."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """A string; empty where it is absent. A number is taken as its digits, as in a form."""
        value = self._values.get(name, "")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise MethodError("invalid_arguments", [f"[ERROR] must be a string [json-pointer:/{name}]"])
        return str(value)

    def required(self, name: str, error: str = "invalid_arguments") -> str:
        """A string that must be there."""
        value = self.text(name)
        if not value:
            raise MethodError(error, [f"[ERROR] missing required field: {name}"])
        return value

    def flag(self, name: str) -> bool:
        """True for ``true`` and ``1``."""
        return str(self._values.get(name, "")).lower() in ("true", "1")

    def number(self, name: str, default: int, most: int) -> int:
        """A count from 1 to ``most``."""
        text = self.text(name) or str(default)
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise MethodError("invalid_limit" if name == "limit" else "invalid_arguments")
        return int(text)

    def structure(self, name: str, error: str) -> Any:
        """A list or an object; None where it is absent."""
        value = self._values.get(name)
        if isinstance(value, str):
            try:
                value = read_json(value) if value else None
            except ValueError as cause:
                raise MethodError(error) from cause
        if value is not None and not isinstance(value, list | dict):
            raise MethodError(error)
        return value


def read_arguments(query: str, content_type: str, body: bytes) -> Arguments:
    """The arguments of a call.

    Raises:
        MethodError: the body is not what its Content-Type says.
    """
    values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    kind = _media_type(content_type)
    if kind == "application/json" and body:
        values |= _json_object(body)
    elif kind in ("application/x-www-form-urlencoded", "") and body:
        values |= dict(parse_qsl(_decoded(body, "invalid_form_data"), keep_blank_values=True))
    elif body:
        raise MethodError("invalid_post_type")
    return Arguments(values)


def _media_type(content_type: str) -> str:
    headers = Headers()
    headers["Content-Type"] = content_type
    return headers.get_content_type() if content_type else ""


def _decoded(body: bytes, error: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as cause:
        raise MethodError(error) from cause


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        values = read_json(_decoded(body, "invalid_json"))
    except ValueError as cause:
        raise MethodError("invalid_json") from cause
    if not isinstance(values, dict):
        raise MethodError("json_not_object")
    return values
