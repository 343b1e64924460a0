"""Error budgets that somebody states in minutes, against what target and window give."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from incidentd.objective.objective import Objective

_ROUNDED = 0.01
"""What is stated may be rounded: 43 minutes for 43.2. By so much of the computed one it may differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A stated budget that is not the computed one. Both in minutes for each ``period``."""

    objective: Objective
    period: timedelta
    stated: float
    computed: float

    def __str__(self) -> str:
        hours = self.period.total_seconds() / 3600
        period = f"{hours / 24:g} d" if hours >= 24 else f"{hours:g} h"
        each = self.objective
        return (
            f"{each.file}:{each.line}: [{each.name}] {self.stated:g} min in {period} are stated as its error budget; "
            f"{each.target * 100:g} % leave {self.computed:.4g} min"
        )


def compare(objectives: Iterable[Objective]) -> Iterator[Difference]:
    """Where what is stated and what is computed differ by more than rounding."""
    for objective in objectives:
        for period, stated in objective.stated.items():
            computed = objective.budget(period).total_seconds() / 60
            if abs(stated - computed) > _ROUNDED * computed:
                yield Difference(objective, period, stated, computed)


def show_objectives(objectives: Iterable[Objective]) -> str:
    """How many there are, and each stated budget that is not the computed one."""
    objectives = list(objectives)
    lines = [f"warning: {each}" for each in compare(objectives)]
    stated = sum(len(each.stated) for each in objectives)
    counted = (
        f"Objectives: {len(objectives)}. Stated budgets: {stated}, of which {len(lines)} differ from target and window."
    )
    return "\n".join([counted, *lines])
