"""What probes ask: alive, storing, delivering. No token is needed, so many who ask cost no more than one."""

from dataclasses import dataclass
from typing import Self

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from incidentd.web.contract import Runtime
from incidentd.web.probe import Probe

router = APIRouter(prefix="/-", tags=["operations"])


@dataclass(frozen=True, slots=True)
class Health:
    """The probes of one application."""

    storing: Probe[bool]
    delivering: Probe[tuple[bool, str]]

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """What this runtime answers."""
        monotonic = runtime.clock.monotonic
        return cls(Probe(runtime.is_storing, monotonic), Probe(runtime.is_delivering, monotonic))


@router.get("/healthy")
async def healthy() -> JSONResponse:
    """Whether this process is alive."""
    return JSONResponse({"status": "healthy"})


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """Whether a webhook could be stored, now or a second ago."""
    storing = await _health(request).storing.answer()
    return JSONResponse({"status": "ready" if storing else "not storing"}, 200 if storing else 503)


@router.get("/delivering")
async def delivering(request: Request) -> JSONResponse:
    """Whether what is due gets done, now or a second ago: waits for a new cycle of a timekeeper."""
    fine, why = await _health(request).delivering.answer()
    return JSONResponse({"status": "delivering" if fine else "not delivering", "detail": why}, 200 if fine else 503)


def _health(request: Request) -> Health:
    health: Health = request.app.state.health
    return health
