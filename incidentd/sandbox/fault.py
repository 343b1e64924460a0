"""Failures on demand: which request is to go wrong, and how."""

import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import ConfigDict

Service = Literal["pagerduty", "pagerduty-api", "slack"]


class FaultKind(StrEnum):
    """The ways in which a receiver fails."""

    RATE_LIMIT = "rate_limit"
    """429; with a Retry-After header if ``retry_after`` is set, whatever it says."""
    STATUS = "status"
    """The HTTP status ``status``, nothing accepted."""
    ERROR = "error"
    """Slack only: 200 with ``ok: false`` and the error ``error``."""
    HANG = "hang"
    """Silence for ``seconds``, then the ordinary answer."""
    DRIP = "drip"
    """The ordinary answer, head and all, one byte each ``seconds``."""
    DROP_REPLY = "drop_reply"
    """Accepted, then the connection closes without a byte of an answer."""
    DROP = "drop"
    """The connection closes, nothing accepted."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One order to fail, for the next ``times`` requests that fit, or until cleared where that is None.

    ``method`` is Slack's (``chat.postMessage``) or PagerDuty's ``event_action``; ``target`` a channel (name or ID) or
    a routing key; None fits all. With ``accept`` a hanging request is accepted before the silence instead of after it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    service: Service
    kind: FaultKind
    times: int | None = 1
    method: str | None = None
    target: str | None = None
    status: int = 500
    retry_after: str | None = None
    error: str = "internal_error"
    seconds: float = 1.0
    accept: bool = False

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1, or null for until cleared")
        if not 400 <= self.status <= 599:
            raise ValueError("status must be 400 to 599")
        if not 0 < self.seconds <= 86_400:
            raise ValueError("seconds must be above 0 and at most a day")
        if self.retry_after is not None and not (self.retry_after.isascii() and self.retry_after.isprintable()):
            raise ValueError("retry_after must be printable ASCII: it travels in a header")
        if self.kind is FaultKind.ERROR and self.service != "slack":
            raise ValueError("only Slack answers ok: false")

    def fits(self, service: str, method: str, targets: frozenset[str]) -> bool:
        """Whether a request to this service, method and any of these targets is to fail."""
        return (
            self.service == service
            and self.method in (None, method)
            and (self.target is None or self.target.removeprefix("#") in targets)
        )


class FaultBoard:
    """The orders in force, oldest first. Safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[InjectedFault] = []

    @property
    def active(self) -> tuple[InjectedFault, ...]:
        """What is still to come, oldest first."""
        with self._lock:
            return tuple(self._faults)

    def inject(self, fault: InjectedFault) -> None:
        """Adds an order; it takes effect when those before it that fit are used up."""
        with self._lock:
            self._faults.append(fault)

    def clear(self, service: str | None = None) -> None:
        """Forgets every order, or those of one service."""
        with self._lock:
            self._faults = [fault for fault in self._faults if service not in (None, fault.service)]

    def take(self, service: str, method: str, targets: frozenset[str]) -> InjectedFault | None:
        """The first order that fits, one time less of it left; None if this request is to go well."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.fits(service, method, targets):
                    self._use(index, fault)
                    return fault
        return None

    def _use(self, index: int, fault: InjectedFault) -> None:
        if fault.times == 1:
            del self._faults[index]
        elif fault.times is not None:
            self._faults[index] = replace(fault, times=fault.times - 1)
