"""The shadow table's differences as the API's JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

from incidentd.store.shadow import Comparison, Difference
from incidentd.tier import Tier


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VerdictJson(_Shape):
    """The row and the tier that one of the tables gives."""

    row: str
    tier: Tier


class DifferenceJson(_Shape):
    """How often the two verdicts were these. ``example`` is the last such alert: its labels, and both reasons."""

    kind: str
    before: VerdictJson
    after: VerdictJson
    alerts: int
    first_at: datetime
    last_at: datetime
    example: dict[str, Any]

    @classmethod
    def of(cls, found: Difference) -> Self:
        """As stored."""
        return cls(
            kind=found.kind,
            before=VerdictJson(row=found.from_row, tier=found.from_tier),
            after=VerdictJson(row=found.to_row, tier=found.to_tier),
            alerts=found.alerts,
            first_at=found.first_at,
            last_at=found.last_at,
            example=from_json(found.example),
        )


class ShadowJson(_Shape):
    """``shadow`` null: there is no second table. ``alerts`` were compared since ``since``."""

    in_force: str
    shadow: str | None
    since: datetime | None
    alerts: int
    differing: int
    differences: list[DifferenceJson]

    @classmethod
    def of(
        cls, in_force: str, shadow: str | None, comparison: Comparison | None, differences: Sequence[Difference]
    ) -> Self:
        """As stored."""
        return cls(
            in_force=in_force,
            shadow=shadow,
            since=comparison.since if comparison else None,
            alerts=comparison.alerts if comparison else 0,
            differing=comparison.differing if comparison else 0,
            differences=[DifferenceJson.of(each) for each in differences],
        )
