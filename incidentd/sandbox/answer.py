"""What a stand-in answers, and what that answer changes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

JsonObject = dict[str, Any]


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text; ``NaN`` and its like are none.

    Raises:
        ValueError: it is no JSON, or no UTF-8, or nested too deep.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as cause:
        raise ValueError("nested too deep") from cause


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: a ``dict`` body goes out as JSON, a ``str`` as HTML.

    ``effect`` is what the stand-in's ``apply`` needs to bring its state up to date; None where nothing was accepted.
    """

    status: int
    body: JsonObject | str
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a stand-in reads it. ``targets`` are the names that a fault may aim at: routing key, channel."""

    method: str
    targets: frozenset[str]
    arguments: object
    token: str = ""
