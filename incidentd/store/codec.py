"""Entries and incidents as JSON text, and back.

What a newer version wrote beside this one is neither an obstacle nor lost.
"""

from dataclasses import fields, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from incidentd.incident.state import Incident
from incidentd.timeline import KINDS, Data, Unknown

_INCIDENT = TypeAdapter(Incident)
_KNOWN = frozenset(each.name for each in fields(Incident))
_UNREAD = "unread"


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])


def dump_data(data: Data) -> str:
    """An entry's data as JSON, without what stands at its default."""
    if isinstance(data, Unknown):
        return data.text
    return _adapter(data.kind).dump_json(data, exclude_defaults=True).decode()


def load_data(kind: str, text: str) -> Data:
    """An entry's data; ``Unknown`` where this version knows no such kind, or not what is in it."""
    if kind not in KINDS:
        return Unknown(kind, text)
    try:
        data: Data = _adapter(kind).validate_json(text)
    except ValidationError:
        return Unknown(kind, text)
    return data


def dump_incident(incident: Incident) -> str:
    """The state as JSON, without what stands at its default; what was not read in it is there again."""
    text = _INCIDENT.dump_json(incident, exclude_defaults=True)
    if not incident.unread:
        return text.decode()
    known = {name: value for name, value in from_json(text).items() if name != _UNREAD}
    return to_json(known | {name: from_json(value) for name, value in incident.unread.items()}).decode()


def load_incident(text: str) -> Incident:
    """The state."""
    incident = _INCIDENT.validate_json(text)
    raw = from_json(text)
    unread = {name: to_json(raw[name]).decode() for name in sorted(raw.keys() - _KNOWN)}
    return replace(incident, unread=unread) if unread else incident
