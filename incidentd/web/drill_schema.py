"""Drills and heartbeats as the API's JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from incidentd.classify import DrillSpec, HeartbeatSpec
from incidentd.lifecycle.drill import HINTS
from incidentd.store.drill_schedules import Planned
from incidentd.store.drills import Drill, Step
from incidentd.store.heartbeats import Heartbeat
from incidentd.tier import Tier
from incidentd.web.schema import Search

_HOUR = 3600
RUNNING = "running"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DrillBody(_Shape):
    """What a drill by hand is to be: one of the rules' own by its ``name``, or of a ``tier`` and a ``system``.

    Times are in seconds. ``answer`` 0: nobody is asked to acknowledge. Left out, they are the rules' drill's own, or
    60 and 300.
    """

    name: Search | None = None
    tier: Tier | None = None
    system: Search | None = None
    within: int | None = Field(None, ge=5, le=_HOUR)
    answer: int | None = Field(None, ge=0, le=4 * _HOUR)

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.name is None) == (self.tier is None):
            raise ValueError("give the name of a drill, or a tier")
        if self.name is not None and self.system is not None:
            raise ValueError("a drill that is named has its system")
        return self


class StepJson(_Shape):
    """A step that was seen. ``ms`` counts from what caused it; ``note`` says who, or by which way."""

    step: Step
    at: datetime
    ms: int
    note: str


class DrillJson(_Shape):
    """A drill. ``outcome`` is ``running`` until it is known; ``ended_at`` is null while anything is left to be done.

    ``waits_for`` is the step that is to be seen next. ``look_at`` says where to look if it failed.
    """

    id: str
    name: str | None
    by_hand: bool
    tier: Tier
    system: str | None
    due_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str
    failed: Step | None
    why: str
    look_at: str
    incident: str | None
    within: int
    answer: int | None
    waits_for: Step | None
    steps: list[StepJson]

    @classmethod
    def of(cls, drill: Drill, waits_for: Step | None) -> Self:
        """As stored, with what its incident says it waits for."""
        return cls(
            id=drill.id,
            name=drill.name,
            by_hand=drill.by_hand,
            tier=drill.tier,
            system=drill.system or None,
            due_at=drill.due_at,
            started_at=drill.started_at,
            ended_at=drill.ended_at,
            outcome=drill.outcome.value if drill.outcome else RUNNING,
            failed=drill.failed,
            why=drill.why if drill.outcome else "",
            look_at=HINTS[drill.failed] if drill.failed else "",
            incident=drill.incident_id,
            within=int(drill.within.total_seconds()),
            answer=int(drill.answer.total_seconds()) if drill.answer else None,
            waits_for=waits_for,
            steps=[
                StepJson(step=s.step, at=s.at, ms=round(s.took.total_seconds() * 1000), note=s.note)
                for s in drill.steps
            ],
        )


class PlannedJson(_Shape):
    """A drill of the rules, and its last outcome; null before the first."""

    name: str
    tier: Tier
    system: str | None
    schedule: str
    next_at: datetime | None
    last_outcome: str | None
    last_due_at: datetime | None

    @classmethod
    def of(cls, spec: DrillSpec, planned: Planned | None, last: Drill | None) -> Self:
        """As the rules have it, with what is stored of it."""
        return cls(
            name=spec.name,
            tier=spec.tier,
            system=spec.system or None,
            schedule=spec.shown,
            next_at=planned.next_at if planned else None,
            last_outcome=last.outcome.value if last and last.outcome else None,
            last_due_at=last.due_at if last else None,
        )


class DrillsJson(_Shape):
    """The newest drills, and those of the rules."""

    drills: list[DrillJson]
    planned: list[PlannedJson]


class ToldJson(_Shape):
    """One destination of a drill. ``level`` 0: told at once. ``real`` False: it is the sandbox."""

    destination: str
    kind: str
    level: int
    pages: bool
    real: bool


class PlanJson(_Shape):
    """Who would be told of a drill, and when."""

    tier: Tier
    system: str | None
    within: int
    answer: int | None
    told: list[ToldJson]


class HeartbeatJson(_Shape):
    """An expected heartbeat. ``every`` is in seconds; ``heard_at`` null: never; ``reports``: ``alert`` or ``job``."""

    name: str
    tier: Tier
    reports: str
    every: int
    heard_at: datetime | None
    due_at: datetime | None
    missing: bool
    missing_since: datetime | None

    @classmethod
    def of(cls, spec: HeartbeatSpec, stored: Heartbeat | None) -> Self:
        """As the rules have it, with what is stored of it."""
        return cls(
            name=spec.name,
            tier=spec.tier,
            reports="alert" if spec.matchers else "job",
            every=int(spec.every.total_seconds()),
            heard_at=stored.heard_at if stored else None,
            due_at=stored.counts_from + stored.every if stored else None,
            missing=bool(stored and stored.missing_since),
            missing_since=stored.missing_since if stored else None,
        )


class HeartbeatsJson(_Shape):
    """Every heartbeat that the rules expect, by name."""

    heartbeats: list[HeartbeatJson]


def heartbeats_json(expected: Mapping[str, HeartbeatSpec], rows: list[Heartbeat]) -> list[HeartbeatJson]:
    """The missing ones first, then by name."""
    known = {row.name: row for row in rows}
    found = [HeartbeatJson.of(spec, known.get(name)) for name, spec in sorted(expected.items())]
    return sorted(found, key=lambda each: not each.missing)
