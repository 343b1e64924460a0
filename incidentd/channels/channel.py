"""What every kind of destination gets and gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from incidentd.incident.state import Incident
from incidentd.timeline import Entry


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination of ``rules/destinations.yaml``, with its secrets resolved.

    ``options`` are the kind's own (a Slack channel, a mention); ``secret`` is the routing key or token, never logged.
    ``per_minute`` and ``burst`` bound how fast ``bucket`` may be used; 0 means no bound. Of new incidents
    ``one_by_one`` a minute are told each by itself, the others together; 0: all by themselves. ``further`` are more
    secrets by the field that names them, ``headers`` what each request carries: never logged either.
    """

    name: str
    kind: str
    secret: str = field(repr=False, default="")
    options: Mapping[str, str] = field(default_factory=dict)
    fallback: str | None = None
    bucket: str = ""
    per_minute: int = 0
    burst: int = 0
    one_by_one: int = 0
    further: Mapping[str, str] = field(repr=False, default_factory=dict)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """What a card says of one alert: as Alertmanager sent it, cleaned."""

    fingerprint: str
    starts_at: datetime
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who stands at a level: the name people read and, per kind of channel, how to mention them."""

    name: str
    mention: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class News:
    """All that one delivery needs. ``entries`` are the told ones after the cursor, oldest first.

    ``number`` is the incident's own, as people call it.
    ``slot`` is ``e<episode>`` for places where people read, ``e<episode>.r<round>.l<level>`` (and ``.<repeat>``)
    for pages. ``people`` is by level number. ``next_level`` names who is told at ``incident.next_at``.
    ``again`` asks to tell the present state once more although it was accepted: another sender's late
    request may have come after it (model 36).
    ``notice`` is set where this destination stands in for another one and says so.
    ``reference`` is what the last ``Receipt`` of this cursor held; empty before the first.
    ``uncertain`` says that an earlier try may have been accepted although its reply was lost.
    ``successor`` is the reference of the same destination's cursor in the incident's present episode, where ``slot``
    belongs to an older one; empty where there is none yet.
    ``predecessor`` is the reference of the same destination's cursor in the latest earlier episode that has one.
    ``hushed`` asks to call nobody: a digest calls them all at once.
    """

    incident: Incident
    number: int
    slot: str
    entries: tuple[Entry, ...]
    sentences: tuple[str, ...]
    alerts: tuple[AlertDetail, ...]
    people: Mapping[int, Person]
    next_level: Person | None
    url: str
    objective: str = ""
    runbook: str = ""
    reference: Mapping[str, str] = field(default_factory=dict)
    uncertain: bool = False
    again: bool = False
    notice: str = ""
    successor: Mapping[str, str] = field(default_factory=dict)
    predecessor: Mapping[str, str] = field(default_factory=dict)
    hushed: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came back. ``reference`` is kept with the cursor. ``sent`` False: there was nothing to say.

    ``asked`` False: nothing at all was asked of the receiver, so what was uncertain still is.
    """

    reference: Mapping[str, str]
    sent: bool
    detail: str = ""
    asked: bool = True


class Channel(Protocol):
    """One kind of destination. Safe for use by several threads at once."""

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """Bring the receiver up to date, within ``seconds`` in all.

        Raises:
            TransientError: try again, not before its ``retry_after``.
            UncertainError: the reply was lost; the next try gets ``news.uncertain``.
            PermanentError: no retry will help.
        """
        ...

    def silent(self, news: News) -> Receipt | None:
        """What ``deliver`` would return without asking anything of the receiver; None where it may ask."""
        ...
