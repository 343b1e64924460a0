"""One objective: what is promised, over which window, and how it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Query:
    """One query in PromQL. ``part`` is what it measures, such as ``total``."""

    part: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective as loaded.

    ``target`` is a share, such as 0.999. ``good`` or ``bad``, and ``total``, are PromQL; empty where a threshold is
    measured instead. ``stated`` is what somebody wrote down as the budget, in minutes, by period. ``queries`` are all
    that Prometheus is asked for it.
    """

    name: str
    service: str
    target: float
    window: timedelta
    written: str
    good: str = ""
    bad: str = ""
    total: str = ""
    stated: Mapping[timedelta, float] = field(default_factory=dict)
    queries: tuple[Query, ...] = ()
    file: str = ""
    line: int = 0

    def budget(self, period: timedelta) -> timedelta:
        """How long nothing may work within a period before the objective is broken, if all else goes well."""
        return period * (1 - self.target)
