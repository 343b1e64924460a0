"""Entries and incidents as JSON text, and back."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from incidentd.incident.state import Incident
from incidentd.timeline import KINDS, Data

_INCIDENT = TypeAdapter(Incident)


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])


def dump_data(data: Data) -> str:
    """An entry's data as JSON, without what stands at its default."""
    return _adapter(data.kind).dump_json(data, exclude_defaults=True).decode()


def load_data(kind: str, text: str) -> Data:
    """An entry's data.

    Raises:
        KeyError: a kind that this version does not know.
    """
    data: Data = _adapter(kind).validate_json(text)
    return data


def dump_incident(incident: Incident) -> str:
    """The state as JSON, without what stands at its default."""
    return _INCIDENT.dump_json(incident, exclude_defaults=True).decode()


def load_incident(text: str) -> Incident:
    """The state."""
    return _INCIDENT.validate_json(text)
