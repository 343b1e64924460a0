"""The settings' documentation, read off ``Settings`` itself."""

from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from incidentd.settings.environment import variable
from incidentd.settings.kind import Allowed
from incidentd.settings.settings import Settings

_BOUNDS = {"ge": "from", "gt": "above", "le": "up to", "lt": "below"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the settings' documentation. ``default`` is empty where there is none, ``allowed`` is in words."""

    name: str
    default: str
    secret: bool
    text: str
    allowed: str


def describe() -> list[Setting]:
    """All settings, in the order in which people read them."""
    return [_setting(name, field) for name, field in Settings.model_fields.items()]


def allowed(field: FieldInfo) -> str:
    """What a value may be: words that stand at the type, its choices, or its bounds; empty where any text will do."""
    kinds = [field.annotation, *get_args(field.annotation)]
    marks = [*field.metadata, *(mark for kind in kinds for mark in getattr(kind, "__metadata__", ()))]
    words = next((mark.words for mark in marks if isinstance(mark, Allowed)), "")
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    kind = "a whole number" if field.annotation is int else "a number" if field.annotation is float else ""
    bounds = [
        f"{said} {getattr(mark, name)}" for mark in marks for name, said in _BOUNDS.items() if hasattr(mark, name)
    ]
    return words or " ".join([kind, *bounds]).strip()


def _setting(name: str, field: FieldInfo) -> Setting:
    secret = "Secret" in str(field.annotation)
    default = "" if field.default is None else str(field.default)
    return Setting(variable(name), default, secret, field.description or "", allowed(field))
