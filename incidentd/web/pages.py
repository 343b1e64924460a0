"""The pages for people: the list, one incident, and signing in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from incidentd.incident.command import Acknowledge, ChangeTier, Command, Escalate, Note, Resolve, TakeOver
from incidentd.incident.state import State
from incidentd.store import entries, query
from incidentd.store.deliveries import Delivery
from incidentd.store.query import AlertShown, Following, Listed
from incidentd.tier import Tier
from incidentd.timeline import Entry
from incidentd.web import view
from incidentd.web.api import MOST_ALERTS, Wired, act, existing
from incidentd.web.credential import matches, unauthorized
from incidentd.web.guard import BoundedRoute, has_session, runtime_of
from incidentd.web.paging import read_cursor, write_cursor
from incidentd.web.render import render
from incidentd.web.schema import AcknowledgeBody, ActionBody, ListQuery, NoteBody, TierBody
from incidentd.web.session import (
    COOKIE,
    cookies,
    is_sign_in_token,
    require_same_origin,
    sign_in,
)

NAME_COOKIE = "incidentd_name"
OPEN = "open"

_MOST_DELIVERIES = 200
_YEAR = 365 * 86_400
_REPEATABLE = frozenset({"state", "tier"})
_PAGE = re.compile(r"/incidents/[0-9a-f-]{1,36}|/drills|/heartbeats|/rules")
_OPEN_STATES = tuple(state.value for state in State if state is not State.RESOLVED)


class PersonRoute(BoundedRoute):
    """A route for people who are signed in; what changes something has to come from our own pages."""

    def admit(self, request: Request) -> None:
        """401 without a session, 403 from elsewhere."""
        if not has_session(request):
            raise unauthorized()
        if request.method == "POST":
            require_same_origin(request.scope, runtime_of(request).settings.base_url)


class DoorRoute(BoundedRoute):
    """A route for people who are about to sign in."""

    def admit(self, request: Request) -> None:
        """403 from elsewhere."""
        if request.method == "POST":
            require_same_origin(request.scope, runtime_of(request).settings.base_url)


router = APIRouter(route_class=PersonRoute, include_in_schema=False)
door = APIRouter(route_class=DoorRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Whole:
    """All that the page of one incident shows."""

    listed: Listed
    entries: list[Entry]
    alerts: list[AlertShown]
    following: list[Following]
    deliveries: list[Delivery]


async def _form(request: Request) -> dict[str, str]:
    """A form's fields as sent; empty ones are absent."""
    try:
        return dict(parse_qsl((await request.body()).decode("utf-8"), max_num_fields=50))
    except ValueError:
        return {}


Shape = TypeVar("Shape", bound=BaseModel)
Form = Annotated[dict[str, str], Depends(_form)]


@router.get("/")
def show_list(runtime: Wired, request: Request) -> Response:
    """Incidents by urgency."""
    given = [(name, value) for name, value in request.query_params.multi_items() if value.strip()]
    wanted = _checked(ListQuery, _list_query(given))
    after = read_cursor(wanted.cursor)

    def read(tx: Connection) -> tuple[list[Listed], dict[Tier, int]]:
        return query.by_urgency(tx, wanted.filter(), wanted.limit + 1, after), query.open_by_tier(tx)

    found, counts = runtime.store.read(read)
    page = found[: wanted.limit]
    kept = [(name, value) for name, value in given if name != "cursor"]
    more = urlencode([*kept, ("cursor", write_cursor(page[-1].position))]) if len(found) > len(page) else ""
    return render(
        "incidents.html",
        now=runtime.clock.now(),
        open=[each for each in page if each.incident.state is not State.RESOLVED],
        resolved=[each for each in page if each.incident.state is State.RESOLVED],
        names={each.incident.id: runtime.level_names(each.incident) for each in page},
        counts=counts,
        tiers=list(Tier),
        states=list(State),
        given=dict(kept),
        more=more,
        first=after is None,
    )


@router.get("/incidents/{incident}")
def show_incident(runtime: Wired, request: Request, incident: str) -> Response:
    """One incident, whole."""
    whole = runtime.store.read(lambda tx: _whole(tx, incident))
    shown = whole.listed.incident
    return render(
        "incident.html",
        now=runtime.clock.now(),
        number=whole.listed.number,
        incident=shown,
        names=runtime.level_names(shown),
        in_force=runtime.rules.version,
        days=view.days(shown, whole.entries, runtime.sentences(shown, whole.entries)),
        openings=view.openings(shown, whole.entries),
        alerts=whole.alerts,
        following=whole.following,
        deliveries=whole.deliveries,
        tiers=list(Tier),
        name=_name(request),
    )


@router.post("/incidents/{incident}/{action}")
async def take_action(runtime: Wired, incident: str, action: str, form: Form) -> Response:
    """Carry a form's action out and come back to the incident."""
    command = _command(action, form)
    found = await act(runtime, incident, command)
    response = RedirectResponse(f"/incidents/{found.incident.id}", 303)
    secure = _is_secure(runtime.settings.base_url)
    response.set_cookie(
        NAME_COOKIE, quote(form["actor"], safe=""), max_age=_YEAR, httponly=True, secure=secure, samesite="lax"
    )
    return response


@router.post("/sign-out")
async def sign_out() -> Response:
    """End the session in this browser."""
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return response


@door.get("/sign-in")
async def sign_in_by_link(runtime: Wired, token: str = "") -> Response:
    """Follow a sign-in link."""
    now = runtime.clock.now()
    if not is_sign_in_token(token, runtime.session_secret, now):
        return sign_in_page(401, expired=bool(token))
    response = RedirectResponse("/", 303)
    sign_in(response, runtime.session_secret, now, secure=_is_secure(runtime.settings.base_url))
    return response


@door.post("/sign-in")
async def sign_in_by_token(runtime: Wired, form: Form) -> Response:
    """Sign in with the API token, and go where one wanted to."""
    secret = runtime.settings.api_token
    given = form.get("token", "").strip().encode("utf-8", "replace")
    if secret is None or not matches(given, (secret.get_secret_value(),)):
        return sign_in_page(401, wrong=True)
    wanted = form.get("next", "")
    response = RedirectResponse(wanted if _PAGE.fullmatch(wanted) else "/", 303)
    sign_in(response, runtime.session_secret, runtime.clock.now(), secure=_is_secure(runtime.settings.base_url))
    return response


def sign_in_page(status: int, *, wrong: bool = False, expired: bool = False, wanted: str = "") -> Response:
    """How to get in."""
    return render("sign_in.html", status, wrong=wrong, expired=expired, wanted=wanted)


def _whole(tx: Connection, reference: str) -> _Whole:
    listed = existing(tx, reference)
    found = listed.incident.id
    return _Whole(
        listed=listed,
        entries=entries.load(tx, found),
        alerts=query.alerts(tx, [found], MOST_ALERTS).get(found, []),
        following=query.following(tx, found),
        deliveries=query.deliveries(tx, found, _MOST_DELIVERIES),
    )


def _list_query(given: list[tuple[str, str]]) -> dict[str, Any]:
    """Query parameters as the API's query takes them; ``state=open`` stands for all that are not resolved."""
    wanted: dict[str, Any] = {name: value for name, value in given if name not in _REPEATABLE}
    for name, value in given:
        if name in _REPEATABLE:
            wanted.setdefault(name, []).extend(_OPEN_STATES if value == OPEN else [value])
    return wanted


def _command(action: str, form: Mapping[str, str]) -> Command:
    match action:
        case "acknowledge":
            return Acknowledge(_checked(AcknowledgeBody, _fields(form, "actor")).actor, via="page")
        case "take-over":
            return TakeOver(_checked(ActionBody, _fields(form, "actor")).actor, via="page")
        case "resolve":
            return Resolve(_checked(ActionBody, _fields(form, "actor")).actor, via="page")
        case "escalate":
            return Escalate(_checked(ActionBody, _fields(form, "actor")).actor, via="page")
        case "notes":
            note = _checked(NoteBody, _fields(form, "actor", "text"))
            return Note(note.actor, note.text)
        case "tier":
            tier = _checked(TierBody, _fields(form, "actor", "tier", "reason"))
            return ChangeTier(tier.actor, tier.tier, tier.reason)
    raise _invalid("action", "there is no such action")


def _fields(form: Mapping[str, str], *names: str) -> dict[str, str]:
    """The fields that an action asks for: the page sends one form with those of all actions."""
    if "actor" not in form:
        raise _invalid("actor", "say who you are")
    return {name: form[name] for name in names if name in form}


def _checked(shape: type[Shape], values: Mapping[str, Any]) -> Shape:
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from None


def _invalid(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": (field,), "msg": message, "type": "value_error"}])


def _name(request: Request) -> str:
    """Who this browser's reader said to be, when last doing something."""
    return unquote(cookies(request.scope).get(NAME_COOKIE, ""))[:100]


def _is_secure(base_url: str) -> bool:
    return base_url.startswith("https:")
