"""The API's JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import from_json

from incidentd.drill import is_drill
from incidentd.incident.state import State
from incidentd.lifecycle.shadow import Reloaded
from incidentd.store.codec import dump_data
from incidentd.store.query import AlertShown, Filter, Listed
from incidentd.tier import Tier
from incidentd.timeline import MACHINES, Entry

LONGEST_NOTE = 10_000
_LONGEST_NAME = 100
_LONGEST_SEARCH = 200
_LARGEST_PAGE = 200


def _is_clean(text: str) -> str:
    if any(ord(character) < ord(" ") and character not in "\n\t" for character in text):
        raise ValueError("must not hold control characters")
    # What no UTF-8 has, no database takes.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not hold lone surrogates")
    return text


def _is_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


def _is_person(name: str) -> str:
    if name.lower() in MACHINES:
        raise ValueError("is the name of a machine")
    return name


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


def _line(most: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


Actor = Annotated[str, _line(_LONGEST_NAME), AfterValidator(_is_line), AfterValidator(_is_person)]
Search = Annotated[str, StringConstraints(strip_whitespace=True, max_length=_LONGEST_SEARCH), AfterValidator(_is_line)]
Text = Annotated[str, _line(LONGEST_NOTE), AfterValidator(_is_clean)]
Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListQuery(_Shape):
    """What ``GET /api/v1/incidents`` takes. ``state`` and ``tier`` may be given several times.

    ``digest``: those that one message of a storm stands for. ``observed``: those that are only recorded.
    """

    state: list[State] = []
    tier: list[Tier] = []
    system: Search | None = None
    q: Search | None = None
    since: Instant | None = None
    until: Instant | None = None
    drill: bool | None = None
    observed: bool | None = None
    digest: str | None = Field(None, pattern=r"^[0-9a-f-]{36}$")
    limit: int = Field(50, ge=1, le=_LARGEST_PAGE)
    cursor: str | None = Field(None, max_length=200)

    def filter(self) -> Filter:
        """As the store takes it."""
        return Filter(
            frozenset(self.state),
            frozenset(self.tier),
            self.system,
            self.q,
            self.since,
            self.until,
            self.drill,
            self.digest,
            self.observed,
        )


class ActionBody(_Shape):
    """What every action takes: who does it."""

    actor: Actor = "api"


class AcknowledgeBody(ActionBody):
    """``until`` makes it a snooze."""

    until: Instant | None = None


class NoteBody(ActionBody):
    """A note's text."""

    text: Text


class TierBody(ActionBody):
    """The tier that the incident is to have, and why."""

    tier: Tier
    reason: Text


class RuleJson(_Shape):
    """The row that decided, of which version of the table, and why."""

    row: str
    version: str
    reason: str


class AlertJson(_Shape):
    """One alert, in its latest episode."""

    fingerprint: str
    status: str
    tier: Tier
    row: str
    starts_at: datetime
    ends_at: datetime | None
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str

    @classmethod
    def of(cls, alert: AlertShown) -> Self:
        """As stored."""
        return cls(
            fingerprint=alert.fingerprint,
            status="firing" if alert.firing else "resolved",
            tier=alert.tier,
            row=alert.row,
            starts_at=alert.starts_at,
            ends_at=alert.ends_at,
            labels=dict(alert.labels),
            annotations=dict(alert.annotations),
            generator_url=alert.generator_url,
        )


class SilencedJson(_Shape):
    """How many firing alerts Alertmanager tells nobody of, and why."""

    alerts: int
    why: str


class IncidentJson(_Shape):
    """An incident. ``alerts`` holds the firing and most urgent ones first, and not all where there are very many."""

    id: str
    number: int
    key: str
    title: str
    system: str
    slo: str
    drill: bool
    observed: bool = False
    tier: Tier
    state: State
    level: int
    scope: list[str]
    opened_at: datetime
    respond_by: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    responded_in_time: bool | None
    resolved_at: datetime | None
    wake_at: datetime | None
    silenced: SilencedJson | None = None
    rule: RuleJson
    alerts: list[AlertJson]

    @classmethod
    def of(cls, listed: Listed, alerts: Sequence[AlertShown]) -> Self:
        """As stored."""
        incident, answer = listed.incident, listed.incident.acknowledgement
        return cls(
            id=incident.id,
            number=listed.number,
            key=incident.key,
            title=incident.title,
            system=incident.system,
            slo=incident.slo,
            drill=is_drill(incident.system),
            observed=incident.observed,
            tier=incident.tier,
            state=incident.state,
            level=incident.level,
            scope=list(incident.scope),
            opened_at=incident.opened_at,
            respond_by=incident.respond_by,
            acknowledged_at=answer.at if answer else None,
            acknowledged_by=answer.by if answer else None,
            responded_in_time=incident.responded_in_time,
            resolved_at=incident.resolved_at,
            wake_at=listed.wake_at,
            silenced=SilencedJson(alerts=len(incident.silenced), why=incident.silence) if incident.silenced else None,
            rule=RuleJson(row=incident.row, version=incident.version, reason=incident.reason),
            alerts=[AlertJson.of(alert) for alert in alerts],
        )


class IncidentsJson(_Shape):
    """One page. ``next`` is the ``cursor`` of the page after it; null at the end."""

    incidents: list[IncidentJson]
    next: str | None


class EntryJson(_Shape):
    """One entry of a timeline. ``due_at`` is when it was due, where time was its cause."""

    number: int
    at: datetime
    due_at: datetime | None
    kind: str
    actor: str
    data: dict[str, Any]
    sentence: str

    @classmethod
    def of(cls, entry: Entry, sentence: str) -> Self:
        """With its sentence."""
        return cls(
            number=entry.number,
            at=entry.at,
            due_at=entry.due_at,
            kind=entry.kind,
            actor=entry.actor,
            data=from_json(dump_data(entry.data)),
            sentence=sentence,
        )


class TimelineJson(_Shape):
    """All entries of an incident, in order."""

    entries: list[EntryJson]


class ShadowLoadJson(_Shape):
    """What came of reading the shadow table: with faults, ``version`` is the one that was tried before."""

    version: str | None
    faults: list[str]


class ReloadJson(_Shape):
    """The rules on disk are in force now, by this version. ``shadow`` null: no second table is set."""

    version: str
    warnings: list[str]
    shadow: ShadowLoadJson | None

    @classmethod
    def of(cls, reloaded: Reloaded) -> Self:
        """As reloaded."""
        shadow = reloaded.shadow
        return cls(
            version=reloaded.version,
            warnings=list(reloaded.warnings),
            shadow=ShadowLoadJson(version=shadow.version, faults=list(shadow.faults)) if shadow else None,
        )


class SignJson(_Shape):
    """A sign of life was taken note of."""

    name: str
    status: str
