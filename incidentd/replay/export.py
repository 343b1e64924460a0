"""A recording as a file: JSON lines, the first of which says what it is.

Of alerts it holds labels and values, of those who answered a number each, and the table as it stands in its files.
There are no secrets in it: the rules name variables at most.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from incidentd.errors import ExportError
from incidentd.replay.recording import Answer, Did, Hearing, RecordedAlert, Recording

_FORMAT = "incidentd recording"
_T = TypeVar("_T")


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Header(_Line):
    format: Literal["incidentd recording"]
    version: Literal[1]
    since: AwareDatetime
    until: AwareDatetime
    alerts: int = Field(ge=0)
    answers: int = Field(ge=0)
    rules: dict[str, str] | None = None


class _Alert(_Line):
    kind: Literal["alert"]
    fingerprint: str = Field(min_length=1)
    starts_at: AwareDatetime
    labels: dict[str, str]
    incident: str | None = None
    heard: Annotated[list[tuple[AwareDatetime, Literal["firing", "resolved"], str | None]], Field(min_length=1)]


class _Answer(_Line):
    kind: Literal["answer"]
    at: AwareDatetime
    incident: str = Field(min_length=1)
    did: Did
    by: str
    until: AwareDatetime | None = None


_HEADER = TypeAdapter(_Header)
_LINE: TypeAdapter[_Alert | _Answer] = TypeAdapter(Annotated[_Alert | _Answer, Field(discriminator="kind")])
_KINDS = ("alert", "answer")
_LONGEST = 200


def write_export(recording: Recording) -> Iterator[str]:
    """The lines of the file, without their ends."""
    yield _Header(
        format="incidentd recording",
        version=1,
        since=recording.since,
        until=recording.until,
        alerts=len(recording.alerts),
        answers=len(recording.answers),
        rules=dict(recording.rules) if recording.rules is not None else None,
    ).model_dump_json(exclude_none=True)
    for alert in recording.alerts:
        yield _Alert(
            kind="alert",
            fingerprint=alert.fingerprint,
            starts_at=alert.starts_at,
            labels=dict(alert.labels),
            incident=alert.incident,
            heard=[(each.at, "firing" if each.firing else "resolved", each.value) for each in alert.hearings],
        ).model_dump_json()
    for each in recording.answers:
        yield _Answer(
            kind="answer", at=each.at, incident=each.incident, did=each.did, by=each.by, until=each.until
        ).model_dump_json(exclude_none=True)


def read_export(lines: Iterable[bytes]) -> Recording:
    """What ``write_export`` wrote.

    Raises:
        ExportError: it is none, one of its lines is broken, or some are missing. Names the line.
    """
    numbered = enumerate(lines, 1)
    header = _header(next(numbered, (1, b""))[1])
    alerts: list[RecordedAlert] = []
    answers: list[Answer] = []
    last = 1
    for number, line in numbered:
        last = number
        parsed = _parsed(_LINE, number, line)
        if isinstance(parsed, _Alert):
            alerts.append(_alert(parsed))
        else:
            answers.append(_answer(parsed))
    _check_whole(header, len(alerts), len(answers), last)
    return Recording(_utc(header.since), _utc(header.until), tuple(alerts), tuple(answers), header.rules)


def _header(line: bytes) -> _Header:
    if _FORMAT.encode() not in line:
        raise ExportError(1, "is no header: this is no file of `incidentd rules export`")
    return _parsed(_HEADER, 1, line)


def _check_whole(header: _Header, alerts: int, answers: int, last: int) -> None:
    if (alerts, answers) != (header.alerts, header.answers):
        promised = f"{header.alerts} alerts and {header.answers} answers"
        raise ExportError(last, f"the file ends here with {alerts} alerts and {answers} answers; it says {promised}")


def _parsed(form: TypeAdapter[_T], number: int, line: bytes) -> _T:
    try:
        return form.validate_json(line.rstrip())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"] if part not in _KINDS)
        said = first["msg"].replace(" at line 1 column", " at column")[:_LONGEST]
        raise ExportError(number, f"{where}: {said}" if where else said) from None


def _alert(line: _Alert) -> RecordedAlert:
    return RecordedAlert(
        fingerprint=line.fingerprint,
        starts_at=_utc(line.starts_at),
        labels=line.labels,
        incident=line.incident,
        hearings=tuple(Hearing(_utc(at), state == "firing", value) for at, state, value in line.heard),
    )


def _answer(line: _Answer) -> Answer:
    until = _utc(line.until) if line.until else None
    return Answer(_utc(line.at), line.incident, line.did, line.by, until)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
