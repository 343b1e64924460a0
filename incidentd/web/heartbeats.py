"""``POST /api/v1/heartbeats/{name}``: a job says that it lives; and how all expected heartbeats stand."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from incidentd.errors import NotFoundError
from incidentd.store import heartbeats
from incidentd.web.contract import Runtime
from incidentd.web.credential import authorized
from incidentd.web.drill_schema import HeartbeatJson, HeartbeatsJson, heartbeats_json
from incidentd.web.guard import ApiRoute, BoundedRoute, require_api_client, runtime_of
from incidentd.web.pages import PersonRoute
from incidentd.web.problem import ProblemError
from incidentd.web.render import render
from incidentd.web.schema import SignJson
from incidentd.web.wait import stored

STORE_SECONDS = 2.8

Wired = Annotated[Runtime, Depends(runtime_of)]


class HeartbeatRoute(BoundedRoute):
    """A route for jobs, which have a token of their own, and for all who may use the API."""

    def admit(self, request: Request) -> None:
        """Let the heartbeats' token in; else as ``require_api_client``."""
        token = runtime_of(request).settings.heartbeat_token
        if token is None or not authorized(request.scope, (token.get_secret_value(),)):
            require_api_client(request)


listing = APIRouter(prefix="/api/v1/heartbeats", route_class=ApiRoute, tags=["heartbeats"])
pages = APIRouter(route_class=PersonRoute, include_in_schema=False)
router = APIRouter(prefix="/api/v1/heartbeats", route_class=HeartbeatRoute, tags=["heartbeats"])


@router.post("/{name}")
async def report(runtime: Wired, request: Request, name: str) -> SignJson:
    """A sign of life of a job that the rules expect to report. 404 where they don't; 503: send it again."""
    try:
        storing = runtime.submit_heartbeat(name, request.client.host if request.client else "unknown")
    except NotFoundError:
        raise ProblemError(404, "not_found", "the rules expect no job of this name to report") from None
    await stored(storing, STORE_SECONDS)
    return SignJson(name=name, status="heard")


@listing.get("")
def list_heartbeats(runtime: Wired) -> HeartbeatsJson:
    """Every heartbeat that the rules expect: when it was heard, and whether it is missing."""
    return HeartbeatsJson(heartbeats=_listed(runtime))


@pages.get("/heartbeats")
def show_heartbeats(runtime: Wired) -> Response:
    """Those who must be heard from."""
    return render("heartbeats.html", now=runtime.clock.now(), heartbeats=_listed(runtime))


def _listed(runtime: Runtime) -> list[HeartbeatJson]:
    return heartbeats_json(runtime.rules.heartbeats, runtime.store.read(heartbeats.all_of_them))
