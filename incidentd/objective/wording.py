"""What the schema of objectives refuses, in the words that faults of rules have."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from jsonschema import ValidationError
from jsonschema.exceptions import best_match

from incidentd.classify.section import closest
from incidentd.objective.plain import Path

EXPECTED = "$comment"
"""Where the schema says in words what a pattern, or one of several forms, asks for."""

_LONGEST = 60
_TYPES = {
    "object": "a mapping of names to values", "array": "a list", "string": "text", "number": "a number",
    "boolean": "true or false",
}  # fmt: skip
_FORMS = ("oneOf", "anyOf", "not")


def refusals(errors: Iterable[ValidationError]) -> Iterator[tuple[Path, str]]:
    """For each place the path to what is wrong there, and what was expected."""
    listed = sorted(errors, key=_place)
    for place, found in groupby((each for each in listed if not _follows(each, listed)), _place):
        error = min(found, key=_weight)
        cause = _cause(error)
        yield _path(error), f"{place}: {cause}" if place else cause


def _path(error: ValidationError) -> Path:
    """Where it is wrong: the field itself, where one is known to be."""
    if error.validator == "additionalProperties":
        return (*error.absolute_path, _first_unknown(error))
    inner = best_match([error]) if error.validator in _FORMS else None
    return tuple((inner or error).absolute_path)


def _follows(error: ValidationError, others: list[ValidationError]) -> bool:
    """Whether no form fits because of something inside, which is told by itself."""
    inside = f"{_place(error)}."
    return error.validator in _FORMS and any(_place(other).startswith(inside) for other in others)


def _place(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path)


def _weight(error: ValidationError) -> int:
    """How far what it says follows from other faults of the place: the least counts."""
    order = ("type", "additionalProperties", "required")
    if error.validator in _FORMS:
        return len(order) + 1
    return order.index(error.validator) if error.validator in order else len(order)


def _cause(error: ValidationError) -> str:
    say = _WORDS.get(str(error.validator))
    return say(error) if say else f"does not suit the schema ({error.validator})"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _type(error: ValidationError) -> str:
    wanted = _TYPES[str(error.validator_value)]
    in_quotes = wanted == "text" and isinstance(error.instance, bool | int | float)
    return f"must be {wanted}{': put it in quotes' if in_quotes else ''}"


def _missing(error: ValidationError) -> str:
    missing = [name for name in error.validator_value if name not in error.instance]
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"


def _unknown(error: ValidationError) -> str:
    name = _first_unknown(error)
    return f"unknown field {_shown(name)}{closest(name, error.schema['properties'])}"


def _first_unknown(error: ValidationError) -> str:
    return next(str(name) for name in error.instance if name not in error.schema["properties"])


def _expected(error: ValidationError) -> str:
    expected = error.schema.get(EXPECTED)
    return f"must be {expected}" if expected else f"does not suit the schema ({error.validator})"


def _pattern(error: ValidationError) -> str:
    return f"{_shown(error.instance)} is not {error.schema[EXPECTED]}"


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "type": _type,
    "required": _missing,
    "additionalProperties": _unknown,
    "const": lambda error: f"must be {error.validator_value}",
    "enum": lambda error: f"{_shown(error.instance)} is none of {', '.join(error.validator_value)}",
    "pattern": _pattern,
    "minLength": lambda _: "is empty",
    "maxLength": lambda error: f"is longer than {error.validator_value} characters",
    "minItems": lambda error: f"must list at least {error.validator_value}",
    "maxItems": lambda error: f"must list no more than {error.validator_value}",
    "minimum": lambda error: f"{_shown(error.instance)} is below {error.validator_value}",
    "maximum": lambda error: f"{_shown(error.instance)} is above {error.validator_value}",
    "exclusiveMaximum": lambda error: f"{_shown(error.instance)} is not below {error.validator_value}",
    **dict.fromkeys(_FORMS, _expected),
}
