"""PagerDuty's webhooks v3, played: each change of an alert is told to the app, signed, in order, again and again.

https://developer.pagerduty.com/docs/webhooks-overview and ``docs/verifying-webhook-signatures``
"""

import hashlib
import hmac
import json
import threading
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty, Queue
from typing import Any

import requests

from incidentd.sandbox.answer import JsonObject
from incidentd.sandbox.interaction import Address, address_of
from incidentd.sandbox.ledger import Ledger
from incidentd.sandbox.message import User
from incidentd.sandbox.pagerduty import Event, PagerDutyAlert

ANSWER_SECONDS = 5.0
"""How long PagerDuty waits for an answer."""
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Between two tries; the last one repeats. PagerDuty's own grow to hours."""

_MOST_TRIES = 40
_PATH = "/pagerduty/webhooks"
_SERVICE_ERROR = 500
_TOO_MANY = 429
_KINDS = {
    "trigger": "incident.triggered",
    "acknowledge": "incident.acknowledged",
    "unacknowledge": "incident.unacknowledged",
    "resolve": "incident.resolved",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """One event and how it fared. ``status`` is of the last answer; None where there was none. ``over``: no more."""

    body: bytes
    kind: str
    tries: int = 0
    status: int | None = None
    over: bool = False

    @property
    def event(self) -> Any:
        """What it tells."""
        return json.loads(self.body)["event"]


class Herald:
    """Tells the app at ``product_url``. One thread, so that what is told keeps its order.

    ``tells_keys`` False leaves out the incident_key, as PagerDuty does of incidents with alerts in them.
    """

    def __init__(self, secret: str, product_url: Address, ledger: Ledger) -> None:
        self.product_url = product_url
        self.secret = secret
        self.tells_keys = True
        self._ledger = ledger
        self._waiting: Queue[int | None] = Queue()
        self._tellings: dict[int, Telling] = {}
        self._last = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def tellings(self) -> tuple[Telling, ...]:
        """The last thousand, oldest first."""
        with self._ledger.changed:
            return tuple(self._tellings.values())

    def tell(self, alert: PagerDutyAlert, event: Event, user: User | None) -> None:
        """Tell of a change. Returns at once. ``user`` None: it was done by an integration."""
        kind = _KINDS[event.action]
        body = json.dumps({"event": self._event(alert, event, kind, user)}).encode()
        with self._ledger.changed:
            self._last += 1
            self._tellings[self._last] = Telling(body, kind)
            if len(self._tellings) > 1000:
                del self._tellings[next(iter(self._tellings))]
            self._waiting.put(self._last)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sandbox-herald", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Tell no more."""
        self._ended.set()
        self._waiting.put(None)

    def send(self, body: bytes, secret: str | None = None) -> int | None:
        """Send one body, signed, once; the answer's status, or None without an answer."""
        digest = hmac.new((secret or self.secret).encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-PagerDuty-Signature": f"v1={digest}",
            "X-Webhook-Id": str(uuid.uuid4()),
        }
        with requests.Session() as session:
            # The product is on this machine: a proxy of the environment has no part in it.
            session.trust_env = False
            try:
                url = f"{address_of(self.product_url)}{_PATH}"
                answer = session.post(url, data=body, headers=headers, timeout=ANSWER_SECONDS, allow_redirects=False)
            except requests.RequestException:
                return None
        return answer.status_code

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                number = self._waiting.get(timeout=60)
            except Empty:
                continue
            if number is not None:
                self._deliver(number)

    def _deliver(self, number: int) -> None:
        telling = self._tellings.get(number)
        while telling is not None and not telling.over and not self._ended.is_set():
            status = self.send(telling.body)
            tries = telling.tries + 1
            again = status is None or status == _TOO_MANY or status >= _SERVICE_ERROR
            telling = replace(telling, tries=tries, status=status, over=not again or tries >= _MOST_TRIES)
            with self._ledger.changed:
                self._tellings[number] = telling
                self._ledger.touch()
            if not telling.over:
                self._ended.wait(PAUSES[min(tries, len(PAUSES)) - 1])

    def _event(self, alert: PagerDutyAlert, event: Event, kind: str, user: User | None) -> JsonObject:
        return {
            "id": uuid.uuid4().hex[:26].upper(),
            "event_type": kind,
            "resource_type": "incident",
            "occurred_at": _time(event.at),
            "agent": _reference(user.pagerduty_id, "user", user.real_name) if user else None,
            "client": None,
            "data": self._incident(alert),
        }

    def _incident(self, alert: PagerDutyAlert) -> JsonObject:
        return {
            "id": incident_id(alert),
            "type": "incident",
            "self": f"https://api.pagerduty.com/incidents/{incident_id(alert)}",
            "html_url": f"https://sandbox.pagerduty.com/incidents/{incident_id(alert)}",
            "number": alert.number,
            "status": alert.state.value,
            "incident_key": alert.dedup_key if self.tells_keys else None,
            "created_at": _time(alert.opened_at),
            "title": alert.latest.payload.get("summary", ""),
            "service": _reference(f"PS{alert.routing_key[:5].upper()}", "service", "Sandbox"),
            "assignees": [],
            "escalation_policy": _reference("PESCALATE", "escalation_policy", "Sandbox"),
            "teams": [],
            "priority": None,
            "urgency": "high",
            "conference_bridge": None,
            "resolve_reason": None,
        }


def incident_id(alert: PagerDutyAlert) -> str:
    """PagerDuty's id of the incident that an alert is in: here each has one of its own."""
    return f"Q{alert.number:013d}"


def _reference(name: str, kind: str, summary: str) -> JsonObject:
    api, web = f"https://api.pagerduty.com/{kind}s/{name}", f"https://sandbox.pagerduty.com/{kind}s/{name}"
    return {"id": name, "type": f"{kind}_reference", "summary": summary, "self": api, "html_url": web}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
