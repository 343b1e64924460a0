"""What was heard of alerts, and what people answered: all that a replay needs, and nothing that names people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Hearing(NamedTuple):
    """An alert was heard of. ``value`` is its annotation of that name."""

    at: datetime
    firing: bool
    value: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedAlert:
    """One episode of an alert. ``incident`` is the one that it belonged to; None where it never had any."""

    fingerprint: str
    starts_at: datetime
    labels: Mapping[str, str]
    incident: str | None
    hearings: tuple[Hearing, ...]


class Did(StrEnum):
    """What a person did to an incident, as far as it is an answer."""

    ACKNOWLEDGED = "acknowledged"
    TAKEN_OVER = "taken over"
    NOTED = "noted"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    ENDED_BY_AUTOMATION = "ended by automation"


@dataclass(frozen=True, slots=True)
class Answer:
    """``by`` tells people apart, and need not be a name. ``until``: the end of a snooze."""

    at: datetime
    incident: str
    did: Did
    by: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Alerts that were first heard of at or after ``since``, and what became of them until ``until``.

    ``rules`` are the texts of the table that was in force at the end, by file name.
    """

    since: datetime
    until: datetime
    alerts: tuple[RecordedAlert, ...]
    answers: tuple[Answer, ...] = ()
    rules: Mapping[str, str] | None = None
