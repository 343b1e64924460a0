"""Slack's clicks and commands by HTTP: believed by their signatures, then handed on.

Every request is checked on its raw bytes: https://docs.slack.dev/authentication/verifying-requests-from-slack.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from incidentd.web import interaction
from incidentd.web.click import mapping
from incidentd.web.guard import BoundedRoute, runtime_of
from incidentd.web.problem import REQUEST_ID, ProblemError

_SIGNATURE = "x-slack-signature"
_TIMESTAMP = "x-slack-request-timestamp"
_log = structlog.get_logger()


@dataclass
class _Moment(SlackClock):
    """Slack's verifier reads this clock."""

    seconds: float

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.seconds


class SlackRoute(BoundedRoute):
    """Everybody may send; the signature decides, once the bytes are there."""


router = APIRouter(prefix="/slack", route_class=SlackRoute, tags=["slack"])


@router.post("/interactions")
async def interactions(request: Request) -> Response:
    """A click. Answered within 3 s: 200 also where it is refused (the clicker is told), 503 where it may be lost."""
    raw = await request.body()
    signature = _verified(request, raw)
    await interaction.interact(runtime_of(request), _payload(raw), signature, request.scope[REQUEST_ID])
    return Response()


@router.post("/commands")
async def commands(request: Request) -> Response:
    """``/incident``: the open incidents, shown to who asks."""
    raw = await request.body()
    if _field(raw, "ssl_check") == "1":
        return Response()
    _verified(request, raw)
    return JSONResponse(await interaction.command(runtime_of(request)))


def _verified(request: Request, raw: bytes) -> str:
    """The request's signature.

    Raises:
        ProblemError: 401 on anything off; the SDK's verifier raises on some of it.
    """
    runtime = runtime_of(request)
    signature = request.headers.get(_SIGNATURE, "")
    timestamp = request.headers.get(_TIMESTAMP, "")
    secrets, now = runtime.settings.signing_secrets(), runtime.clock.now().timestamp()
    # All of them, so that the time tells nothing of which it was.
    found = [_is_signed(secret, now, raw, timestamp, signature) for secret in secrets]
    if not any(found):
        _log.warning("slack_unauthorized", request_id=request.scope[REQUEST_ID])
        raise ProblemError(401, "signature", "the signature or its time is wrong")
    return signature


def _is_signed(secret: str, now: float, raw: bytes, timestamp: str, signature: str) -> bool:
    # Junk makes the verifier raise: ValueError, UnicodeDecodeError (which is one), TypeError, and OverflowError for a
    # time beyond all floats (measured).
    try:
        return SignatureVerifier(secret, _Moment(now)).is_valid(raw, timestamp, signature)
    except (ValueError, TypeError, OverflowError):
        return False


def _payload(raw: bytes) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(_field(raw, "payload")))
    except (ValueError, RecursionError):
        return {}


def _field(raw: bytes, name: str) -> str:
    try:
        return parse_qs(raw.decode("utf-8"), max_num_fields=100).get(name, [""])[0]
    except ValueError:
        return ""
