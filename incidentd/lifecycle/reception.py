"""How each destination receives, from its newest attempts: a process remembers what one look no longer shows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection

from incidentd.classify import DestinationSpec
from incidentd.lifecycle.degraded import PRODUCTS, Receiver
from incidentd.store import reception
from incidentd.store.deliveries import Outcome
from incidentd.store.reception import Attempt


@dataclass(frozen=True, slots=True)
class Course:
    """What came of what one destination was sent. ``failing_since`` is the first failure after ``accepted_at``."""

    accepted_at: datetime | None = None
    failing_since: datetime | None = None
    refused_at: datetime | None = None
    cause: str = ""

    def after(self, attempt: Attempt) -> "Course":
        """With one attempt more, or once more the same; in whatever order they are read."""
        if self.accepted_at and attempt.at <= self.accepted_at:
            return self
        if attempt.outcome is Outcome.ACCEPTED:
            gone = self.failing_since is None or self.failing_since <= attempt.at
            return Course(attempt.at) if gone else replace(self, accepted_at=attempt.at)
        refused_at = self.refused_at
        if attempt.outcome is Outcome.GAVE_UP:
            refused_at = max(refused_at or attempt.at, attempt.at)
        return replace(
            self,
            failing_since=min(self.failing_since or attempt.at, attempt.at),
            refused_at=refused_at,
            cause=attempt.detail,
        )


class Reception:
    """Not safe for use by several threads."""

    def __init__(self) -> None:
        self._courses: dict[str, Course] = {}

    def look(self, tx: Connection, destinations: Mapping[str, DestinationSpec]) -> tuple[Receiver, ...]:
        """What is known of each of these destinations now."""
        return self.reckon(reception.newest(tx), reception.untold(tx), destinations)

    def reckon(
        self,
        attempts: Iterable[Attempt],
        untold: Mapping[str, reception.Untold],
        destinations: Mapping[str, DestinationSpec],
    ) -> tuple[Receiver, ...]:
        """As ``look``, from what was read."""
        for attempt in attempts:
            if attempt.destination in destinations:
                before = self._courses.get(attempt.destination, Course())
                self._courses[attempt.destination] = before.after(attempt)
        nothing = reception.Untold(0, 0)
        return tuple(
            _receiver(spec, self._courses.get(name, Course()), untold.get(name, nothing), destinations)
            for name, spec in destinations.items()
        )

    def accepted_at(self, name: str) -> datetime | None:
        """When this destination last accepted something, as far as was seen."""
        return self._courses.get(name, Course()).accepted_at


def place(spec: DestinationSpec) -> str:
    """How people call a destination: ``Slack #incidents``, ``PagerDuty (page-oncall)``."""
    product = PRODUCTS.get(spec.kind, spec.kind)
    where = spec.options.get("channel") or f"({spec.name})"
    return f"{product} {where}"


def _receiver(
    spec: DestinationSpec, course: Course, untold: reception.Untold, destinations: Mapping[str, DestinationSpec]
) -> Receiver:
    stand_in = destinations.get(spec.fallback or "")
    return Receiver(
        name=spec.name,
        kind=spec.kind,
        place=place(spec),
        pages=spec.pages,
        stand_in=place(stand_in) if stand_in else "",
        failing_since=course.failing_since,
        refused_at=course.refused_at,
        cause=course.cause,
        waits=untold.count,
        tries=untold.attempts,
    )
