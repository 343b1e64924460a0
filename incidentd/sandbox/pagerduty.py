"""PagerDuty's Events API, played: alerts by routing key and dedup_key.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from incidentd.sandbox.answer import Answer, Call, JsonObject, read_json
from incidentd.sandbox.event import BODY_MAX_BYTES, event_errors
from incidentd.sandbox.fault import FaultKind, InjectedFault
from incidentd.sandbox.ledger import Ledger, Recorded


class AlertState(StrEnum):
    """What an alert has come to."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Event:
    """One accepted event. ``dropped``: answered 202 and without effect, for want of an open alert with that key.

    ``by`` is who did it at PagerDuty itself; empty for an event that was sent.
    """

    at: datetime
    routing_key: str
    action: str
    dedup_key: str
    body: JsonObject
    dropped: bool = False
    by: str = ""

    @property
    def payload(self) -> JsonObject:
        """The event's payload; empty where it has none."""
        payload = self.body.get("payload")
        return payload if isinstance(payload, dict) else {}


@dataclass(frozen=True, slots=True)
class PagerDutyAlert:
    """One alert from its first trigger on. ``events`` are all that reached it, oldest first."""

    number: int
    routing_key: str
    dedup_key: str
    state: AlertState
    events: tuple[Event, ...]

    @property
    def opened_at(self) -> datetime:
        """When its first trigger was accepted."""
        return self.events[0].at

    @property
    def latest(self) -> Event:
        """The newest trigger: its summary, severity and links are what people see."""
        return next(event for event in reversed(self.events) if event.action == "trigger")


_NEXT_STATE = {
    "acknowledge": AlertState.ACKNOWLEDGED,
    "resolve": AlertState.RESOLVED,
    "unacknowledge": AlertState.TRIGGERED,
}
POSSIBLE = {
    AlertState.TRIGGERED: ("acknowledge", "resolve"),
    AlertState.ACKNOWLEDGED: ("resolve", "unacknowledge"),
    AlertState.RESOLVED: (),
}
"""What people, or PagerDuty itself, can do to an alert in a state."""


class HandlingError(Exception):
    """There is no such alert, or that can't be done to it now."""


class PagerDuty:
    """The stand-in. Everything it returns is a snapshot; safe for use by several threads."""

    name = "pagerduty"

    def __init__(self, ledger: Ledger, keep: int | None) -> None:
        self._ledger = ledger
        self._keep = keep
        self._events: deque[Event] = deque(maxlen=keep)
        self._alerts: dict[int, PagerDutyAlert] = {}
        self._open: dict[tuple[str, str], int] = {}
        self._last = 0
        self.watcher: Callable[[PagerDutyAlert, Event], None] = lambda _alert, _event: None
        """Told of each change from now on, under the ledger's lock."""

    @property
    def requests(self) -> tuple[Recorded, ...]:
        """Every request, valid or not, oldest first."""
        return self._ledger.requests(self.name)

    @property
    def events(self) -> tuple[Event, ...]:
        """Every accepted event, oldest first."""
        with self._ledger.changed:
            return tuple(self._events)

    @property
    def alerts(self) -> tuple[PagerDutyAlert, ...]:
        """Every alert, oldest first."""
        with self._ledger.changed:
            return tuple(self._alerts.values())

    def wait(self, until: Callable[["PagerDuty"], bool], seconds: float = 5.0) -> bool:
        """Waits until ``until(self)`` holds; False if it doesn't within ``seconds``."""
        return self._ledger.wait(lambda: until(self), seconds)

    def read(self, recorded: Recorded) -> Call:
        """The event in a request; whatever can't be read is left for ``answer`` to refuse."""
        try:
            event = read_json(recorded.body)
        except ValueError:
            event = None
        fields = event if isinstance(event, dict) else {}
        return Call(str(fields.get("event_action", "")), frozenset({str(fields.get("routing_key", ""))}), event)

    def answer(self, call: Call, recorded: Recorded) -> Answer:
        """What PagerDuty answers: 202 whether or not the event finds an alert, 400 with every fault of it."""
        if len(recorded.body) > BODY_MAX_BYTES:
            return _invalid(["Event object is too large (maximum is 512 KB)"])
        errors = ["Event object is not valid JSON"] if call.arguments is None else event_errors(call.arguments)
        if errors or not isinstance(call.arguments, dict):
            return _invalid(errors)
        dedup_key = call.arguments.get("dedup_key") or uuid.uuid4().hex
        effect = {"at": recorded.received_at.isoformat(), "dedup_key": dedup_key, "event": call.arguments}
        body = {"status": "success", "message": "Event processed", "dedup_key": dedup_key}
        return Answer(202, body, effect=effect)

    def failure(self, fault: InjectedFault) -> Answer:
        """What PagerDuty answers when it fails in this way."""
        if fault.kind is FaultKind.RATE_LIMIT or fault.status == 429:
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            message = "Requests for this service are arriving too quickly.  Please retry later."
            return Answer(429, {"status": "throttle exceeded", "message": message}, headers)
        if fault.status == 400:
            return _invalid(["The sandbox was told to refuse this event"])
        return Answer(fault.status, {"status": "error", "message": "The sandbox was told to fail"})

    def handled(self, number: int, action: str, by: str, now: datetime) -> JsonObject:
        """The effect of what somebody does to an alert here, for ``apply``; ``by`` empty: PagerDuty itself.

        Raises:
            HandlingError: there is no such alert, or that can't be done to it now.
        """
        alert = self._alerts.get(number)
        if alert is None or action not in POSSIBLE[alert.state]:
            raise HandlingError("that can't be done to this alert now")
        return {"at": now.isoformat(), "number": number, "handled": action, "by": by}

    def apply(self, effect: JsonObject) -> None:
        """Brings alerts up to date with an accepted event, or with what was done here."""
        if "handled" in effect:
            self._take(effect)
            return
        body: dict[str, Any] = effect["event"]
        at = datetime.fromisoformat(effect["at"])
        event = Event(at, body["routing_key"], body["event_action"], effect["dedup_key"], body)
        number = self._open.get((event.routing_key, event.dedup_key))
        if number is not None:
            self._meet(self._alerts[number], event)
        elif event.action == "trigger":
            self._open_alert(event)
        else:
            event = replace(event, dropped=True)
        self._events.append(event)

    def _take(self, effect: JsonObject) -> None:
        alert, at = self._alerts.get(effect["number"]), datetime.fromisoformat(effect["at"])
        if alert is not None:
            self._meet(alert, Event(at, alert.routing_key, effect["handled"], alert.dedup_key, {}, by=effect["by"]))

    def _meet(self, alert: PagerDutyAlert, event: Event) -> None:
        state = _NEXT_STATE.get(event.action, alert.state)
        after = self._alerts[alert.number] = replace(alert, state=state, events=(*alert.events, event))
        if state is AlertState.RESOLVED:
            del self._open[event.routing_key, event.dedup_key]
        if state is not alert.state:
            self.watcher(after, event)

    def _open_alert(self, event: Event) -> None:
        self._last += 1
        self._open[event.routing_key, event.dedup_key] = self._last
        opened = PagerDutyAlert(self._last, event.routing_key, event.dedup_key, AlertState.TRIGGERED, (event,))
        self._alerts[self._last] = opened
        self.watcher(opened, event)
        if self._keep is not None and len(self._alerts) > self._keep:
            oldest = self._alerts.pop(next(iter(self._alerts)))
            if self._open.get((oldest.routing_key, oldest.dedup_key)) == oldest.number:
                del self._open[oldest.routing_key, oldest.dedup_key]


def _invalid(errors: list[str]) -> Answer:
    return Answer(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})
