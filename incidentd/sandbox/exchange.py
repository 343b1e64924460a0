"""How a request passes through a stand-in: recorded, made to fail where that is ordered, answered, kept."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from incidentd.sandbox.answer import Answer, Call, JsonObject
from incidentd.sandbox.connection import DrippingResponse, DroppedResponse, silence
from incidentd.sandbox.fault import FaultBoard, FaultKind, InjectedFault
from incidentd.sandbox.ledger import Ledger, Recorded

_BODY_MAX_BYTES = 4 * 1024 * 1024


class StandIn(Protocol):
    """What PagerDuty's and Slack's stand-ins have in common."""

    name: str

    def read(self, recorded: Recorded) -> Call:
        """Takes a request apart without judging it."""
        ...

    def answer(self, call: Call, recorded: Recorded) -> Answer:
        """Judges it. Called under the ledger's lock, and followed by ``apply`` of the effect under the same."""
        ...

    def failure(self, fault: InjectedFault) -> Answer:
        """The answer of a receiver that fails."""
        ...

    def apply(self, effect: JsonObject) -> None:
        """Takes an accepted request into the state."""
        ...


class Exchange:
    """Takes requests for the stand-ins. ``clock`` stamps them."""

    def __init__(self, ledger: Ledger, faults: FaultBoard, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._faults = faults
        self._clock = clock
        self.ended = False

    async def serve(self, stand_in: StandIn, method: str, request: Request) -> Response:
        """The answer to one request, which may be none at all."""
        try:
            body = await _body(request)
        except ClientDisconnect:
            return DroppedResponse()
        if body is None:
            return Response(status_code=413, headers={"Connection": "close"})
        recorded = self._recorded(stand_in.name, method, request, body)
        call = stand_in.read(recorded)
        fault = self._faults.take(stand_in.name, call.method, call.targets)
        recorded = self._ledger.begin(replace(recorded, fault=fault.kind.value if fault else ""))
        if fault is None:
            return _response(self._accept(stand_in, call, recorded))
        return await self._fail(stand_in, call, recorded, fault, request)

    def _recorded(self, service: str, method: str, request: Request, body: bytes) -> Recorded:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = tuple((name, value) for name, value in request.headers.items())
        now = self._clock()
        return Recorded(0, service, request.method, path, method, headers, body, now, time.monotonic())

    def _accept(self, stand_in: StandIn, call: Call, recorded: Recorded, *, told: bool = True) -> Answer:
        with self._ledger.changed:
            answer = stand_in.answer(call, recorded)
            if answer.effect is not None:
                stand_in.apply(answer.effect)
            self._ledger.settle(recorded, answer, told=told)
            return answer

    async def _fail(
        self, stand_in: StandIn, call: Call, recorded: Recorded, fault: InjectedFault, request: Request
    ) -> Response:
        match fault.kind:
            case FaultKind.DROP:
                self._ledger.settle(recorded, None)
                return DroppedResponse()
            case FaultKind.DROP_REPLY:
                self._accept(stand_in, call, recorded, told=False)
                return DroppedResponse()
            case FaultKind.DRIP:
                answer = self._accept(stand_in, call, recorded)
                return DrippingResponse(_response(answer), fault.seconds, lambda: self.ended)
            case FaultKind.HANG:
                return await self._hang(stand_in, call, recorded, fault, request)
            case _:
                answer = stand_in.failure(fault)
                self._ledger.settle(recorded, answer)
                return _response(answer)

    async def _hang(
        self, stand_in: StandIn, call: Call, recorded: Recorded, fault: InjectedFault, request: Request
    ) -> Response:
        answer = self._accept(stand_in, call, recorded) if fault.accept else None
        if await silence(request.receive, fault.seconds, lambda: self.ended):
            if answer is None:
                self._ledger.settle(recorded, None)
            return DroppedResponse()
        return _response(answer or self._accept(stand_in, call, recorded))


async def _body(request: Request) -> bytes | None:
    """The whole body; None if it is larger than any receiver would take."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _BODY_MAX_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if isinstance(answer.body, str):
        return HTMLResponse(answer.body, answer.status, headers)
    return Response(json.dumps(answer.body), answer.status, headers, "application/json; charset=utf-8")
