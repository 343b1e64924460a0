"""Every request that came, and the lock under which the stand-ins' state changes."""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from incidentd.sandbox.answer import Answer, JsonObject
from incidentd.sandbox.journal import Journal

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request exactly as it came.

    ``received_monotonic`` is in seconds and 0 for requests of an earlier process. ``status`` is None while there is no
    answer, and stays None where none is given; ``accepted`` says whether it changed anything; ``fault`` names the
    injected one.
    """

    number: int
    service: str
    verb: str
    path: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: datetime
    received_monotonic: float
    status: int | None = None
    accepted: bool = False
    fault: str = ""


class Ledger:
    """The newest ``keep`` requests (all, where None), in memory and, all of them, in the journal."""

    def __init__(self, journal: Journal | None, keep: int | None) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = 0
        self._journal = journal
        self._keep = keep
        self._requests: dict[int, Recorded] = {}
        self._last = 0

    def replay(self, apply: Callable[[str, JsonObject], None]) -> None:
        """Reads the journal: requests come back, and ``apply`` gets each effect with its service's name."""
        if self._journal is None:
            return
        for line in self._journal.lines():
            self._keep_newest(_from_json(line))
            if line["effect"] is not None:
                apply(line["service"], line["effect"])

    def begin(self, recorded: Recorded) -> Recorded:
        """Keeps a request that has no answer yet, and numbers it."""
        with self.changed:
            numbered = replace(recorded, number=self._last + 1)
            self._keep_newest(numbered)
            self.touch()
            return numbered

    def settle(self, recorded: Recorded, answer: Answer | None, *, told: bool = True) -> None:
        """Keeps what became of it: in the journal before anybody is told."""
        status = answer.status if answer is not None and told else None
        effect = answer.effect if answer is not None else None
        with self.changed:
            settled = replace(recorded, status=status, accepted=effect is not None)
            if self._journal is not None:
                self._journal.append(_to_json(settled, effect))
            if settled.number in self._requests:
                self._requests[settled.number] = settled
            self.touch()

    def touch(self) -> None:
        """Tells everybody who waits that something changed."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    def requests(self, service: str) -> tuple[Recorded, ...]:
        """The service's requests, oldest first."""
        with self.changed:
            return tuple(request for request in self._requests.values() if request.service == service)

    def newest(self, count: int) -> list[Recorded]:
        """The ``count`` newest requests of all services, newest first."""
        with self.changed:
            return [request for _, request in zip(range(count), reversed(self._requests.values()), strict=False)]

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Waits for ``until`` to hold, asked again after each change; False if it doesn't within ``seconds``."""
        with self.changed:
            return self.changed.wait_for(until, seconds)

    def close(self) -> None:
        """Closes the journal's file."""
        if self._journal is not None:
            self._journal.close()

    def _keep_newest(self, recorded: Recorded) -> None:
        self._last = max(self._last, recorded.number)
        self._requests[recorded.number] = recorded
        if self._keep is not None and len(self._requests) > self._keep:
            del self._requests[next(iter(self._requests))]


def _to_json(recorded: Recorded, effect: JsonObject | None) -> JsonObject:
    headers = [[name, "redacted" if name in _SECRET_HEADERS else value] for name, value in recorded.headers]
    return {
        "number": recorded.number,
        "service": recorded.service,
        "verb": recorded.verb,
        "path": recorded.path,
        "method": recorded.method,
        "headers": headers,
        "body": base64.b64encode(recorded.body).decode(),
        "received_at": recorded.received_at.isoformat(),
        "status": recorded.status,
        "fault": recorded.fault,
        "effect": effect,
    }


def _from_json(line: dict[str, Any]) -> Recorded:
    return Recorded(
        number=line["number"],
        service=line["service"],
        verb=line["verb"],
        path=line["path"],
        method=line["method"],
        headers=tuple((name, value) for name, value in line["headers"]),
        body=base64.b64decode(line["body"]),
        received_at=datetime.fromisoformat(line["received_at"]),
        received_monotonic=0.0,
        status=line["status"],
        accepted=line["effect"] is not None,
        fault=line["fault"],
    )
