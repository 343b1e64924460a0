"""PagerDuty's webhooks: what was done to our pages there.

Every request is checked on its raw bytes. PagerDuty waits 5 s for a 2xx; it sends again after a 5xx, for 48 h, and
never after a 4xx: https://developer.pagerduty.com/docs/webhooks-overview
"""

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from incidentd.channels.pagerduty_webhook import is_signed, parse
from incidentd.web.guard import BoundedRoute, Handler, runtime_of
from incidentd.web.problem import REQUEST_ID, ProblemError, problem_of
from incidentd.web.wait import stored

STORE_SECONDS = 3.0

_SIGNATURE = "x-pagerduty-signature"
_ACCEPTED = 202
_log = structlog.get_logger()


class PagerDutyRoute(BoundedRoute):
    """Everybody may send; the signature decides, once the bytes are there. Every answer is counted."""

    def get_route_handler(self) -> Handler:
        """The framework's handler behind ours."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            answers = runtime_of(request).meter.pagerduty_webhooks
            try:
                response = await inner(request)
            except Exception as error:
                answers.add(str(problem_of(request.scope, error).status_code))
                raise
            answers.add(str(response.status_code))
            return response

        return handler


router = APIRouter(prefix="/pagerduty", route_class=PagerDutyRoute, tags=["pagerduty"])


@router.post("/webhooks", status_code=_ACCEPTED, response_class=Response)
async def webhooks(request: Request) -> Response:
    """An event. 202 once it is kept, or where it is none of our business; 503, for it to come again, where it isn't."""
    runtime, raw = runtime_of(request), await request.body()
    if not is_signed(raw, request.headers.get(_SIGNATURE, ""), runtime.settings.pagerduty_secrets()):
        _log.warning("pagerduty_unauthorized", request_id=request.scope[REQUEST_ID])
        raise ProblemError(401, "signature", "the signature is wrong")
    reaction = parse(raw, runtime.clock.now())
    if reaction is not None:
        fresh = await stored(runtime.submit_reaction(reaction), STORE_SECONDS)
        _log.info("pagerduty_event", did=reaction.did.value, fresh=fresh, request_id=request.scope[REQUEST_ID])
    return Response(status_code=_ACCEPTED)
