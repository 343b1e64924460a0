"""The application, composed."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from incidentd import __version__
from incidentd.errors import IncidentdError
from incidentd.lifecycle.degraded import Degraded
from incidentd.web import api, drills, health, heartbeats, metrics, pagerduty, pages, rules, slack
from incidentd.web.answer import answer_of
from incidentd.web.banner import BannerCarrier
from incidentd.web.contract import Runtime
from incidentd.web.edge import Edge
from incidentd.web.health import Health
from incidentd.web.metrics import Scrape
from incidentd.web.row_counts import RowCounts
from incidentd.web.session import is_signed_in
from incidentd.web.webhook import PATH, WebhookEndpoint

_STATIC = Path(__file__).parent / "static"


def create_app(runtime: Runtime) -> FastAPI:
    """All that incidentd answers over HTTP."""
    app = FastAPI(
        title="incidentd",
        version=__version__,
        description="Classifies SLO breaches, pages the right person, and climbs until somebody answers.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.runtime = runtime
    app.state.health = Health.of(runtime)
    app.state.scrape = Scrape(runtime)
    app.state.row_counts = RowCounts(runtime)
    for router in (
        api.router,
        heartbeats.router,
        heartbeats.listing,
        drills.router,
        rules.router,
        health.router,
        metrics.router,
        api.operations,
    ):
        app.include_router(router)
    for router in (
        slack.router,
        pagerduty.router,
        pages.door,
        pages.router,
        drills.pages,
        heartbeats.pages,
        rules.pages,
    ):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_middleware(BannerCarrier, degraded=partial(_degraded, runtime))
    app.add_middleware(Edge, direct={PATH: WebhookEndpoint(runtime)}, answer=answer_of)
    for kind in (IncidentdError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer_error)
    _describe_webhook(app)
    return app


async def _answer_error(request: Request, error: Exception) -> Response:
    return answer_of(request.scope, error)


def _degraded(runtime: Runtime, request: Request) -> tuple[tuple[Degraded, ...], datetime]:
    """What is degraded, for those who are signed in: it names destinations."""
    now = runtime.clock.now()
    return (runtime.degraded() if is_signed_in(request.scope, runtime.session_secret, now) else ()), now


def _describe_webhook(app: FastAPI) -> None:
    """The webhook is a plain endpoint; the framework knows only of its own."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            schema["paths"][PATH] = {"post": _WEBHOOK}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


_WEBHOOK = {
    "tags": ["alertmanager"],
    "summary": "Alertmanager's notifications",
    "description": "The body of webhook version 4, as Alertmanager sends it. Answered once it is stored.",
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["alerts"]}}},
    },
    "responses": {
        "200": {"description": "Stored: what is to be paged will be paged"},
        "400": {"description": "No usable notification; an internal incident tells of it"},
        "401": {"description": "No valid token"},
        "413": {"description": "Over 16 MB; an internal incident tells of it"},
        "415": {"description": "Compressed, or no JSON; an internal incident tells of it"},
        "503": {"description": "Nothing can be stored now: send it again"},
    },
}
