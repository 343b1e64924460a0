"""The API for programs: incidents, their timelines, and what people do about them."""

import hashlib
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header, Query
from sqlalchemy.engine import Connection
from starlette.concurrency import run_in_threadpool

from incidentd.errors import NotFoundError
from incidentd.incident.command import Acknowledge, ChangeTier, Command, Escalate, Note, Resolve, TakeOver
from incidentd.lifecycle.work import Action
from incidentd.store import entries, query
from incidentd.store.query import Listed
from incidentd.web.contract import Runtime
from incidentd.web.guard import ApiRoute, runtime_of
from incidentd.web.paging import read_cursor, write_cursor
from incidentd.web.schema import (
    AcknowledgeBody,
    ActionBody,
    EntryJson,
    IncidentJson,
    IncidentsJson,
    ListQuery,
    NoteBody,
    ReloadJson,
    TierBody,
    TimelineJson,
)
from incidentd.web.wait import stored

STORE_SECONDS = 2.8
MOST_ALERTS = 500
MOST_ALERTS_LISTED = 50
LONGEST_KEY = 200

Wired = Annotated[Runtime, Depends(runtime_of)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        description="The same request with the same key has its effect once within 15 minutes: after a 503, or where no"
        " answer came, send it again with its key.",
    ),
]
Result = TypeVar("Result")

router = APIRouter(prefix="/api/v1/incidents", route_class=ApiRoute, tags=["incidents"])
operations = APIRouter(prefix="/-", route_class=ApiRoute, tags=["operations"])


@router.get("")
def list_incidents(runtime: Wired, wanted: Annotated[ListQuery, Query()]) -> IncidentsJson:
    """Incidents by urgency: open ones by tier, then the oldest first; after them resolved ones, newest first."""
    after = read_cursor(wanted.cursor)

    def read(tx: Connection) -> IncidentsJson:
        found = query.by_urgency(tx, wanted.filter(), wanted.limit + 1, after)
        page = found[: wanted.limit]
        alerts = query.alerts(tx, [each.incident.id for each in page], MOST_ALERTS_LISTED)
        shown = [IncidentJson.of(each, alerts.get(each.incident.id, [])) for each in page]
        return IncidentsJson(
            incidents=shown, next=write_cursor(page[-1].position) if len(found) > len(page) and page else None
        )

    return runtime.store.read(read)


@router.get("/{incident}")
def show_incident(runtime: Wired, incident: str) -> IncidentJson:
    """One incident, by its id or its number."""
    return runtime.store.read(lambda tx: _shown(tx, incident))


@router.get("/{incident}/timeline")
def show_timeline(runtime: Wired, incident: str) -> TimelineJson:
    """Everything that happened, in order, each with a sentence."""

    def read(tx: Connection) -> TimelineJson:
        found = existing(tx, incident).incident
        told = entries.load(tx, found.id)
        sentences = runtime.sentences(found, told)
        return TimelineJson(entries=[EntryJson.of(*each) for each in zip(told, sentences, strict=True)])

    return runtime.store.read(read)


@router.post("/{incident}/acknowledge")
async def acknowledge(
    runtime: Wired, incident: str, key: Key = None, body: AcknowledgeBody | None = None
) -> IncidentJson:
    """Answer; with ``until`` a snooze. 409 when somebody else has it, or when it is resolved."""
    asked = body or AcknowledgeBody()
    return await _act(runtime, incident, key, Acknowledge(asked.actor, until=asked.until))


@router.post("/{incident}/take-over")
async def take_over(runtime: Wired, incident: str, key: Key = None, body: ActionBody | None = None) -> IncidentJson:
    """Take it from whoever has it. 409 when it is resolved."""
    return await _act(runtime, incident, key, TakeOver((body or ActionBody()).actor))


@router.post("/{incident}/resolve")
async def resolve(runtime: Wired, incident: str, key: Key = None, body: ActionBody | None = None) -> IncidentJson:
    """Say that it is over. 409 when somebody else did."""
    return await _act(runtime, incident, key, Resolve((body or ActionBody()).actor))


@router.post("/{incident}/escalate")
async def escalate(runtime: Wired, incident: str, key: Key = None, body: ActionBody | None = None) -> IncidentJson:
    """Tell the next level now. 409 when it is resolved or recovering."""
    return await _act(runtime, incident, key, Escalate((body or ActionBody()).actor))


@router.post("/{incident}/notes")
async def write_note(runtime: Wired, incident: str, body: NoteBody, key: Key = None) -> IncidentJson:
    """Write something down."""
    return await _act(runtime, incident, key, Note(body.actor, body.text))


@router.post("/{incident}/tier")
async def change_tier(runtime: Wired, incident: str, body: TierBody, key: Key = None) -> IncidentJson:
    """Set the tier, either way, with a reason. 409 when it is resolved."""
    return await _act(runtime, incident, key, ChangeTier(body.actor, body.tier, body.reason))


@operations.post("/reload")
def reload(runtime: Wired) -> ReloadJson:
    """Put the rules as they stand on disk into force. 422 lists every fault; the table in force then stays."""
    return ReloadJson.of(runtime.reload())


def existing(tx: Connection, reference: str) -> Listed:
    """The incident with this id or number.

    Raises:
        NotFoundError: there is none.
    """
    found = query.find(tx, reference)
    if found is None:
        raise NotFoundError("there is no such incident")
    return found


async def read_beside(runtime: Runtime, work: Callable[[Connection], Result]) -> Result:
    """A read from the store, in a thread."""
    return await run_in_threadpool(runtime.store.read, work)


async def act(runtime: Runtime, reference: str, command: Command, key: str | None = None) -> Listed:
    """Carry out a command for the incident with this id or number; returns it as it was before.

    With a ``key`` the same command has its effect once, however often it comes.

    Raises:
        NotFoundError: there is none.
        RefusedError: the model refuses it.
        StoreUnavailableError: it isn't stored within 5 s.
    """
    found = await read_beside(runtime, lambda tx: existing(tx, reference))
    signature = _signature(key, found.incident.id, command) if key else None
    await stored(runtime.submit_action(Action(found.incident.id, command, signature)), STORE_SECONDS, withdraw=True)
    return found


async def _act(runtime: Runtime, reference: str, key: str | None, command: Command) -> IncidentJson:
    found = await act(runtime, reference, command, key)
    return await read_beside(runtime, lambda tx: _shown(tx, found.incident.id))


def _signature(key: str, incident_id: str, command: Command) -> str:
    """Names this request: a key that a client used for another one before must not swallow it."""
    return "api:" + hashlib.sha256(repr((key, incident_id, command)).encode()).hexdigest()


def _shown(tx: Connection, reference: str) -> IncidentJson:
    found = existing(tx, reference)
    alerts = query.alerts(tx, [found.incident.id], MOST_ALERTS)
    return IncidentJson.of(found, alerts.get(found.incident.id, []))
