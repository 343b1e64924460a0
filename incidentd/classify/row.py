"""One row of a table: whom it takes, and what it says of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from incidentd.alert import Alert
from incidentd.classify.condition import Condition
from incidentd.classify.line import one_line
from incidentd.classify.matcher import Matcher
from incidentd.classify.naming import Naming, key_of
from incidentd.tier import Tier
from incidentd.timeline import Scope

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
_LONGEST_TITLE = 200


class Fit(Enum):
    """Whether a row takes an alert; UNREADABLE: but for a number that can't be read, it would."""

    NO = "no"
    UNREADABLE = "unreadable"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Row:
    """A row as loaded. ``name`` is ``<file stem>/<row name>``; ``key`` empty means the naming's own."""

    name: str
    line: int
    matchers: tuple[Matcher, ...]
    conditions: tuple[Condition, ...]
    tier: Tier
    policy: str
    naming: Naming
    key: tuple[str, ...] = ()
    scope: Scope | None = None
    destinations: tuple[str, ...] = ()
    title: str = ""
    runbook: str = ""

    def fit(self, alert: Alert, left: tuple[Matcher, ...] | None = None) -> Fit:
        """Whether this row takes the alert. ``left`` are those of its matchers that nobody has asked yet."""
        for matcher in self.matchers if left is None else left:
            if not matcher.matches(alert.labels):
                return Fit.NO
        fit = Fit.YES
        for condition in self.conditions:
            holds = condition.holds(alert)
            if holds is False:
                return Fit.NO
            if holds is None:
                fit = Fit.UNREADABLE
        return fit

    def incident_key(self, system: str, slo: str, labels: Mapping[str, str]) -> str:
        """The key of the incident that the alert belongs to."""
        return key_of(self.key, labels) if self.key else self.naming.key(system, slo, labels)


def title_of(template: str, alert: Alert) -> str:
    """The row's title with its placeholders filled, else the alert's summary, title or name; one line."""
    fallback = alert.annotations.get("summary") or alert.annotations.get("title") or alert.labels.get("alertname")
    text = _PLACEHOLDER.sub(lambda found: _filled(found, alert), template) if template else fallback or ""
    return one_line(text, _LONGEST_TITLE) or "An alert without a name"


def _filled(found: re.Match[str], alert: Alert) -> str:
    name = found[1]
    if name is None:
        return found[0][0]
    return alert.labels.get(name) or alert.annotations.get(name, "")
