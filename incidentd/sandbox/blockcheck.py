"""The checks that every block shares, and the list of what they found."""

from typing import Any
from urllib.parse import urlsplit


class BlockCheck:
    """Collects faults, each with a JSON pointer to where it stands, in Slack's form."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def say(self, fault: str, pointer: str) -> None:
        """Adds a fault."""
        self.errors.append(f"[ERROR] {fault} [json-pointer:{pointer}]")

    def items(self, value: object, pointer: str, least: int, most: int | None) -> list[Any]:
        """The items of a list of the right length; none of anything else."""
        if not isinstance(value, list):
            self.say("must be an array" if value is not None else "missing required field", pointer)
            return []
        if len(value) < least:
            self.say(f"no fewer than {least} items required", pointer)
        if most is not None and len(value) > most:
            self.say(f"no more than {most} items allowed", pointer)
            return []
        return value

    def kind(self, value: object, pointer: str, allowed: tuple[str, ...]) -> str | None:
        """The ``type`` of an object, if it is one of those; else None and a fault."""
        if not isinstance(value, dict):
            self.say("must be an object", pointer)
            return None
        kind = value.get("type")
        if isinstance(kind, str) and kind in allowed:
            return kind
        self.say(f"unsupported type: {kind}" if kind is not None else "missing required field: type", f"{pointer}/type")
        return None

    def keys(self, value: dict[str, Any], pointer: str, allowed: tuple[str, ...]) -> None:
        """Slack refuses properties that it doesn't know."""
        for name in value:
            if name not in allowed:
                self.say(f"invalid additional property: {name}", pointer)

    def string(self, value: dict[str, Any], name: str, pointer: str, most: int, *, required: bool = True) -> None:
        """A string of 1 to ``most`` characters."""
        if name not in value:
            if required:
                self.say(f"missing required field: {name}", pointer)
            return
        self._length(value[name], f"{pointer}/{name}", most)

    def url(self, value: dict[str, Any], name: str, pointer: str, most: int, *, required: bool = True) -> None:
        """An address that names a scheme and a host."""
        self.string(value, name, pointer, most, required=required)
        address = value.get(name)
        if isinstance(address, str) and address and not _is_url(address):
            self.say(f"invalid url: {name}", f"{pointer}/{name}")

    def choice(self, value: dict[str, Any], name: str, pointer: str, allowed: tuple[str, ...]) -> None:
        """One of a few words, or absent."""
        if name in value and value[name] not in allowed:
            self.say(f"must be one of: {', '.join(allowed)}", f"{pointer}/{name}")

    def text(self, value: dict[str, Any], name: str, pointer: str, most: int, *, plain: bool = False) -> None:
        """A required text object in a field."""
        if name not in value:
            self.say(f"missing required field: {name}", pointer)
            return
        self.text_object(value[name], f"{pointer}/{name}", most, plain=plain)

    def text_object(self, value: object, pointer: str, most: int, *, plain: bool = False) -> None:
        """A text object with 1 to ``most`` characters."""
        kind = self.kind(value, pointer, ("plain_text",) if plain else ("plain_text", "mrkdwn"))
        if kind is None or not isinstance(value, dict):
            return
        self.keys(value, pointer, ("type", "text", "emoji") if kind == "plain_text" else ("type", "text", "verbatim"))
        self.string(value, "text", pointer, most)

    def _length(self, value: object, pointer: str, most: int) -> None:
        if not isinstance(value, str):
            self.say("must be a string", pointer)
        elif not value:
            self.say("must be more than 0 characters", pointer)
        elif len(value) > most:
            self.say(f"must be less than {most + 1} characters", pointer)


def _is_url(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https", "mailto") and bool(parts.netloc or parts.scheme == "mailto")
