"""A system's source: its objectives, what is measured beside them, and when alerts fire."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from incidentd.classify.span import parse_span
from incidentd.objective import Objective, load_objectives

ROOT = Path(__file__).parent
SYSTEMS = ("avalo", "chat-backend", "agentmesh", "astudio", "user-metadata")
PERIOD = "period"

UNITS = {
    "availability": "percent", "error_rate": "percent", "over_target": "percent", "pass_rate": "percent",
    "budget_consumed": "percent", "daily_budget_consumed": "percent", "traffic_change": "percent",
    "latency_p95": "ms", "latency_p99": "ms", "latency_ratio": "ratio", "burn_rate": "ratio",
    "outage": "bool", "failures": "count", "activations": "count", "incidents": "count",
    "build_time_p95": "minutes", "review_time": "minutes", "breach_eta": "hours", "age_days": "days",
    "bundle_size": "kilobytes", "bundle_total": "kilobytes",
}  # fmt: skip
"""The unit of each indicator; both stand in the name of what is recorded."""


def recorded(sli: str) -> str:
    """The name under which an indicator is recorded."""
    return f"sli:{sli}:{UNITS[sli]}"


@dataclass(frozen=True, slots=True)
class Derived:
    """An indicator that follows from objectives. ``slos`` empty: from each of them."""

    sli: str
    over: str
    slos: tuple[str, ...] = ()
    unlabelled: bool = False


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator with PromQL of its own."""

    slo: str
    sli: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison, such as ``>= 14.4``."""

    operator: str
    limit: float

    def __str__(self) -> str:
        return f"{self.operator} {plain(self.limit)}"


@dataclass(frozen=True, slots=True)
class Still:
    """The second window of a burn alert: it must hold as well."""

    labels: Mapping[str, str]
    when: Condition


@dataclass(frozen=True)
class AlertSpec:
    """One threshold. ``of`` are labels of the series; ``where`` further matchers; ``samples`` what is tested."""

    name: str
    of: Mapping[str, str]
    where: tuple[str, ...]
    when: Condition
    lasts: str
    severity: str
    summary: str
    samples: tuple[Mapping[str, str], ...]
    still: Still | None

    @cached_property
    def minutes(self) -> int:
        """How long it must hold."""
        span = parse_span(self.lasts) if self.lasts else timedelta(0)
        return int((span or timedelta(0)).total_seconds() // 60)


@dataclass(frozen=True, slots=True)
class Source:
    """All of one system."""

    system: str
    runbook: str
    dashboard: str
    objectives: tuple[Objective, ...]
    derived: tuple[Derived, ...]
    indicators: tuple[Indicator, ...]
    alerts: tuple[AlertSpec, ...]

    def followed(self, derived: Derived) -> Iterator[Objective]:
        """The objectives that an indicator is derived from."""
        return (each for each in self.objectives if not derived.slos or each.name in derived.slos)


def plain(number: float) -> str:
    """A plain decimal, as alerts give their value."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


def read(system: str, root: Path = ROOT) -> Source:
    """A system's source."""
    content: dict[str, Any] = yaml.safe_load((root / system / "alerts.yaml").read_text("utf-8"))
    return Source(
        system=content["system"],
        runbook=content["runbook"],
        dashboard=content["dashboard"],
        objectives=load_objectives(root / system),
        derived=tuple(Derived(**{**each, "slos": tuple(each.get("slos", ()))}) for each in content["derived"]),
        indicators=tuple(Indicator(**each) for each in content["indicators"]),
        alerts=tuple(_alert(each) for each in content["alerts"]),
    )


def _alert(content: Mapping[str, Any]) -> AlertSpec:
    still = dict(content.get("still", {}))
    return AlertSpec(
        name=content["alert"],
        of=content["of"],
        where=tuple(content.get("where", ())),
        when=_condition(content["when"]),
        lasts=content.get("for", ""),
        severity=content["severity"],
        summary=content["summary"],
        samples=tuple(content.get("samples", [content.get("sample", {})])),
        still=Still({k: v for k, v in still.items() if k != "when"}, _condition(still["when"])) if still else None,
    )


def _condition(text: str) -> Condition:
    found = re.fullmatch(r"(<=|>=|<|>) (-?[0-9.]+)", text)
    if not found:
        raise ValueError(f"{text!r} is no condition")
    return Condition(found[1], float(found[2]))
