"""What Slack sends with a click, read with suspicion."""

import re
from collections.abc import Mapping
from typing import Any

LONGEST_NAME = 100
_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def person(user: object) -> tuple[str, str]:
    """Slack's id of the person, and the name people know."""
    fields = mapping(user)
    who = text(fields.get("id"))
    name = text(fields.get("name")) or text(fields.get("username")) or who
    return who, _NOT_A_NAME.sub("", name).strip()[:LONGEST_NAME]


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object; empty where it is none."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """The text; empty where it is none."""
    return value if isinstance(value, str) else ""
