"""``/api/v1/drills`` and ``/drills``: what drills came to, and one begun by hand."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from sqlalchemy.engine import Connection
from starlette.responses import Response

from incidentd.channels.channel import Destination
from incidentd.classify import Rules
from incidentd.classify.table import DEFAULT_POLICY
from incidentd.drill import MACHINE_ANSWER
from incidentd.lifecycle.drill import awaited
from incidentd.lifecycle.drillmaster import Order
from incidentd.lifecycle.evidence import look
from incidentd.settings import Settings
from incidentd.store import drill_schedules, drills
from incidentd.store.drills import Drill
from incidentd.tier import Tier
from incidentd.web.api import Wired
from incidentd.web.contract import Runtime
from incidentd.web.drill_schema import DrillBody, DrillJson, DrillsJson, PlanJson, PlannedJson, ToldJson
from incidentd.web.guard import ApiRoute
from incidentd.web.pages import PersonRoute
from incidentd.web.problem import ProblemError
from incidentd.web.render import render

MOST = 100
_WITHIN, _ANSWER = timedelta(seconds=60), timedelta(minutes=5)
_SANDBOX = "/sandbox/"
"""Where `up` puts the stand-ins."""

router = APIRouter(prefix="/api/v1/drills", route_class=ApiRoute, tags=["drills"])
pages = APIRouter(route_class=PersonRoute, include_in_schema=False)


@router.get("")
def list_drills(runtime: Wired) -> DrillsJson:
    """The newest 100 drills, and the rules' own with their next time and last outcome."""
    return runtime.store.read(lambda tx: _listed(tx, runtime.rules))


@router.get("/plan")
def plan(runtime: Wired, wanted: Annotated[DrillBody, Query()]) -> PlanJson:
    """Who would be told of such a drill. Begins nothing."""
    order = _order(wanted, runtime.rules)
    return PlanJson(
        tier=order.tier,
        system=order.system or None,
        within=int(order.within.total_seconds()),
        answer=int(order.answer.total_seconds()) if order.answer else None,
        told=list(_told(order, runtime)),
    )


@router.get("/{drill}")
def show_drill(runtime: Wired, drill: str) -> DrillJson:
    """One drill."""

    def read(tx: Connection) -> DrillJson | None:
        found = drills.find(tx, drill)
        return _shown(tx, found) if found else None

    shown = runtime.store.read(read)
    if shown is None:
        raise ProblemError(404, "not_found", "there is no such drill")
    return shown


@router.post("", status_code=201)
def begin_drill(runtime: Wired, wanted: DrillBody) -> DrillJson:
    """Begin a drill: it tells those whom a real incident would tell. 409 while another one by hand goes on."""
    begun = runtime.begin_drill(_order(wanted, runtime.rules))
    return DrillJson.of(begun, awaited(begun, None))


@pages.get("/drills")
def show_drills(runtime: Wired) -> Response:
    """All drills, newest first."""
    listed = runtime.store.read(lambda tx: _listed(tx, runtime.rules))
    return render(
        "drills.html", now=runtime.clock.now(), drills=listed.drills, planned=listed.planned, machine=MACHINE_ANSWER
    )


def _listed(tx: Connection, rules: Rules) -> DrillsJson:
    planned = {each.name: each for each in drill_schedules.all_of_them(tx)}
    last = drills.last(tx, list(rules.drills))
    return DrillsJson(
        drills=[_shown(tx, each) for each in drills.newest(tx, MOST)],
        planned=[
            PlannedJson.of(spec, planned.get(name), last.get(name)) for name, spec in sorted(rules.drills.items())
        ],
    )


def _shown(tx: Connection, drill: Drill) -> DrillJson:
    seen = None if drill.ended_at else look(tx, drill)
    return DrillJson.of(drill, awaited(drill, seen))


def _order(wanted: DrillBody, rules: Rules) -> Order:
    within = timedelta(seconds=wanted.within) if wanted.within else None
    answer = timedelta(seconds=wanted.answer) if wanted.answer else None
    if wanted.name is not None:
        spec = rules.drills.get(wanted.name)
        if spec is None:
            raise _unknown(404, "not_found", "the rules have no drill of this name", "name", sorted(rules.drills))
        asked = spec.answer if wanted.answer is None else answer
        return Order(spec.tier, spec.system, within or spec.within, asked, spec.name)
    system = wanted.system or ""
    if system and rules.table_for({"system": system}) is None:
        systems = [table.system for table in rules.tables.values() if table.system]
        raise _unknown(400, "invalid", "the rules have no table for this system", "system", systems)
    return Order(wanted.tier or Tier.P3, system, within or _WITHIN, _ANSWER if wanted.answer is None else answer)


def _unknown(status: int, reason: str, detail: str, field: str, known: Iterable[str]) -> ProblemError:
    fault = {"field": field, "message": f"known are: {', '.join(known) or 'none'}"}
    return ProblemError(status, reason, detail, errors=[fault])


def _told(order: Order, runtime: Runtime) -> Iterator[ToldJson]:
    rules = runtime.rules
    table = rules.table_for({"system": order.system})
    policy = rules.policies[table.policy if table else DEFAULT_POLICY].tiers[order.tier]
    at_once = dict.fromkeys((*policy.opening, *(table.destinations if table else ())), 0)
    levels = [(name, number) for number, level in enumerate(policy.levels, 1) for name in level.tell]
    seen: set[str] = set()
    for name, level in [*at_once.items(), *levels]:
        spec = rules.destinations[name]
        destination = runtime.destination(spec)
        if name not in seen and (destination or not spec.optional):
            seen.add(name)
            yield ToldJson(
                destination=name,
                kind=spec.kind,
                level=level,
                pages=spec.pages,
                real=not _is_sandbox(spec.kind, destination, runtime.settings),
            )


def _is_sandbox(kind: str, destination: Destination | None, settings: Settings) -> bool:
    services = {"pagerduty": settings.pagerduty_events_url, "slack": settings.slack_api_url}
    url = services.get(kind) if kind in services else destination and destination.secret
    return bool(url) and f"{urlsplit(str(url)).path}/".startswith(_SANDBOX)
