"""``POST /api/v1/heartbeats/{name}``: a job says that it lives."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from incidentd.errors import NotFoundError
from incidentd.web.contract import Runtime
from incidentd.web.credential import authorized
from incidentd.web.guard import BoundedRoute, require_api_client, runtime_of
from incidentd.web.problem import ProblemError
from incidentd.web.schema import HeartbeatJson
from incidentd.web.wait import stored

STORE_SECONDS = 2.8


class HeartbeatRoute(BoundedRoute):
    """A route for jobs, which have a token of their own, and for all who may use the API."""

    def admit(self, request: Request) -> None:
        """Let the heartbeats' token in; else as ``require_api_client``."""
        token = runtime_of(request).settings.heartbeat_token
        if token is None or not authorized(request.scope, (token.get_secret_value(),)):
            require_api_client(request)


router = APIRouter(prefix="/api/v1/heartbeats", route_class=HeartbeatRoute, tags=["heartbeats"])


@router.post("/{name}")
async def report(runtime: Annotated[Runtime, Depends(runtime_of)], request: Request, name: str) -> HeartbeatJson:
    """A sign of life of a job that the rules expect to report. 404 where they don't; 503: send it again."""
    try:
        storing = runtime.submit_heartbeat(name, request.client.host if request.client else "unknown")
    except NotFoundError:
        raise ProblemError(404, "not_found", "the rules expect no job of this name to report") from None
    await stored(storing, STORE_SECONDS)
    return HeartbeatJson(name=name, status="heard")
