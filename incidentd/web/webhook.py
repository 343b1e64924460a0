"""``POST /api/v1/alertmanager``: the way in for alerts.

A plain ASGI endpoint: the token is checked before the body is touched, and the body is read as it arrives. Alertmanager
repeats after 5xx, and gives the notification up after 4xx: so 503 where the fault is ours, 2xx only once it is stored,
and 4xx only for what is no webhook. What an authenticated sender sends in vain becomes an internal incident.
"""

import asyncio
from dataclasses import dataclass

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from incidentd.alert import Alert
from incidentd.errors import IntakeError, StoreUnavailableError
from incidentd.intake import SetAside, parse
from incidentd.lifecycle.work import Complaint, Webhook
from incidentd.process.failpoint import failpoint
from incidentd.web.body import Body, TooLargeError
from incidentd.web.contract import Runtime
from incidentd.web.credential import given, unauthorized
from incidentd.web.problem import REQUEST_ID, ProblemError, problem_of
from incidentd.web.wait import stored

PATH = "/api/v1/alertmanager"
LARGEST_BODY = 16 * 1024 * 1024
BODY_KEPT = 64 * 1024
STORE_SECONDS = 2.8

REPEAT = "repeat"
"""Why nothing had to be stored."""

_PARSED_ON_THE_LOOP = 128 * 1024
_UTF8 = ("", "utf-8", "utf8")
_log = structlog.get_logger()


@dataclass(slots=True)
class _Outcome:
    """What one request came to, for the log."""

    reason: str = "stored"
    alerts: int = 0
    set_aside: int = 0
    source: str = ""


class WebhookEndpoint:
    """The ASGI endpoint; it answers every method itself."""

    def __init__(self, runtime: Runtime, largest_body: int = LARGEST_BODY) -> None:
        self._runtime = runtime
        self._largest_body = largest_body
        self._parsing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one notification in and answer once it is stored."""
        begun = self._runtime.clock.monotonic()
        outcome, body = _Outcome(), Body(scope, receive)
        response = await self._answer(scope, body, outcome)
        self._log(scope, outcome, response, begun)
        if response is not None:
            self._count(outcome.source, str(response.status_code))
            failpoint("web.before_answer")
            await body.answer(response, scope, send)
            failpoint("web.after_answer")

    async def _answer(self, scope: Scope, body: Body, outcome: _Outcome) -> Response | None:
        """The answer; None where nobody is there any more to hear it."""
        try:
            user, token = given(scope)
            outcome.source = self._runtime.admission.source_of(token, user) or ""
            _admit(scope, outcome.source)
            await self._take(scope, body, outcome)
        except ClientDisconnect:
            outcome.reason = "disconnected"
            return None
        except (ProblemError, IntakeError) as error:
            outcome.reason = error.reason
            return problem_of(scope, error)
        except StoreUnavailableError as error:
            outcome.reason = "store_unavailable"
            return problem_of(scope, error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong here, the notification has to come again
            outcome.reason = "failed"
            _log.error(
                "webhook_failed", request_id=scope.get(REQUEST_ID, ""), error=type(error).__name__, exc_info=True
            )
            return problem_of(scope, StoreUnavailableError("not stored"))
        said = b'{"status":"stored","alerts":%d,"set_aside":%d}' % (outcome.alerts, outcome.set_aside)
        return Response(said, media_type="application/json")

    def _count(self, source: str, answer: str) -> None:
        self._runtime.meter.webhooks.add(answer)
        if source:
            self._runtime.meter.sources.add(source, answer)

    async def _take(self, scope: Scope, body: Body, outcome: _Outcome) -> None:
        fault = _refused_by_headers(scope)
        try:
            raw = await body.read(BODY_KEPT if fault else self._largest_body, kept=BODY_KEPT)
            if fault is None:
                alerts, aside = await self._parsed(raw)
        except TooLargeError as error:
            raw = error.beginning
            fault = fault or IntakeError(413, "too_large", f"the body is over {self._largest_body >> 20} MB")
        except IntakeError as error:
            fault = error
        if fault is not None:
            try:
                await self._store(outcome.source, (), (SetAside(fault.reason, _sentence(fault)),), raw)
                raise fault
            finally:
                # An error that its own frame knows stays until the garbage is collected, and 16 MB of body with it.
                del fault
        outcome.alerts, outcome.set_aside = len(alerts), len(aside)
        if not await self._store(outcome.source, alerts, aside, raw) and not aside:
            outcome.reason = REPEAT

    async def _parsed(self, raw: bytes) -> tuple[tuple[Alert, ...], tuple[SetAside, ...]]:
        """A large body is parsed beside the loop, which goes on answering others; one at a time, as it takes room."""
        if len(raw) <= _PARSED_ON_THE_LOOP:
            return parse(raw, self._runtime.clock.now())
        async with self._parsing:
            return await asyncio.to_thread(parse, raw, self._runtime.clock.now())

    async def _store(self, source: str, alerts: tuple[Alert, ...], aside: tuple[SetAside, ...], raw: bytes) -> bool:
        complaints = tuple(Complaint(each.reason, each.detail, raw[:BODY_KEPT]) for each in aside)
        webhook = Webhook(alerts, source, complaints)
        try:
            return await stored(self._runtime.submit_webhook(webhook), STORE_SECONDS)
        except Exception:
            # Whatever the reason: it comes again, but a P0 doesn't wait for that.
            self._runtime.page_directly(webhook)
            raise

    def _log(self, scope: Scope, outcome: _Outcome, response: Response | None, begun: float) -> None:
        said = {
            "status": response.status_code if response else None,
            "reason": outcome.reason,
            "alerts": outcome.alerts,
            "set_aside": outcome.set_aside,
            "source": outcome.source,
            "address": _address(scope),
            "request_id": scope.get(REQUEST_ID, ""),
            "ms": round((self._runtime.clock.monotonic() - begun) * 1000, 1),
        }
        # Each replica of Alertmanager repeats what fires, for as long as it does: that is no news in the log either.
        if outcome.reason == REPEAT:
            _log.debug("webhook", **said)
        else:
            _log.info("webhook", **said)


def _admit(scope: Scope, source: str) -> None:
    if scope["method"] != "POST":
        raise ProblemError(405, "method", "notifications are sent with POST", headers={"Allow": "POST"})
    if not source:
        raise unauthorized()


def _refused_by_headers(scope: Scope) -> IntakeError | None:
    """Nothing is ever inflated, and only JSON in UTF-8 is parsed."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    if headers.get(b"content-encoding", "identity").strip().lower() not in ("", "identity"):
        return IntakeError(415, "content_encoding", "the body must not be compressed")
    media, *parameters = headers.get(b"content-type", "").lower().split(";")
    named = {name.strip(): value.strip(' "') for name, _, value in (each.partition("=") for each in parameters)}
    if media.strip() != "application/json" or named.get("charset", "") not in _UTF8:
        return IntakeError(415, "content_type", "the content type must be application/json")
    return None


def _sentence(fault: IntakeError) -> str:
    return f"a notification was refused: {fault.detail}"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
