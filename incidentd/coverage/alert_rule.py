"""What Prometheus's rule files say, as far as it matters for who is told."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alerting rule; label and annotation texts may be Go templates."""

    file: str
    line: int
    name: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """The alerting rules of some files, and the labels that recording rules set, by the name that they record."""

    files: tuple[str, ...]
    alerts: tuple[AlertRule, ...]
    recorded: Mapping[str, tuple[Mapping[str, str], ...]]
