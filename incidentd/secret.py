"""What a secret has to be, and how two of a kind stand side by side while one is replaced by the other."""

import re

SHORTEST_SECRET = 16
MOST_AT_ONCE = 4
"""Values of one secret that may be valid at the same time. Two are enough to replace one."""

_PLACEHOLDER = re.compile(r"change[-_ ]?me|^(secret|password|token|example|placeholder|xxx+|\*+|<.*>)$", re.IGNORECASE)


def weakness(value: str) -> str | None:
    """Why this can't be a secret, without the value; None where it can."""
    if not value:
        return "is empty; unset it, or give it a value"
    if _PLACEHOLDER.search(value):
        return "is still a placeholder"
    if len(value) < SHORTEST_SECRET:
        return f"is shorter than {SHORTEST_SECRET} characters"
    if not value.isprintable() or not value.isascii() or " " in value:
        return "holds a character that no header can carry"
    return None


def several(text: str) -> tuple[str, ...]:
    """The values of one secret, apart by white space: the old one and the new one while it is replaced.

    Raises:
        ValueError: there is none, there are too many, one is weak, or one stands there twice. Shows no value.
    """
    values = tuple(text.split())
    if len(values) > MOST_AT_ONCE:
        raise ValueError(f"holds more than {MOST_AT_ONCE} values")
    for fault in map(weakness, values or ("",)):
        if fault:
            raise ValueError(fault)
    if len(set(values)) < len(values):
        raise ValueError("holds the same value twice")
    return values
