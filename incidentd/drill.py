"""What marks the alert of a drill: it goes the whole way of a real one, and never meets one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from incidentd.alert import Alert
from incidentd.tier import Tier

DRILL_SYSTEM = "incidentd-drill"
"""The system of every drill's incident, and of nothing else."""

MARK, TIER, SYSTEM = "incidentd_drill", "incidentd_drill_tier", "incidentd_drill_system"
"""Labels: the drill's id, and whose destinations are drilled."""

MACHINE_ANSWER = "incidentd drill"
"""Who answers where a drill answers itself: a machine, named as one."""

_ID = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True)
class DrillMark:
    """What a drill's alert says of itself. ``system`` empty: one that has no table of its own."""

    id: str
    tier: Tier
    system: str

    @property
    def key(self) -> str:
        """The key of its incident: another one for each drill."""
        return key_of(self.id)

    @property
    def title(self) -> str:
        """What everybody reads first."""
        return f"DRILL: {whose(self.tier, self.system)}, nothing is wrong"


def mark_of(alert: Alert) -> DrillMark | None:
    """Which drill an alert belongs to; None for every other alert, and for one that only looks like one."""
    labels = alert.labels
    known = labels.get("system") == DRILL_SYSTEM and labels.get(TIER) in tuple(Tier)
    if not known or not _ID.fullmatch(labels.get(MARK, "")):
        return None
    return DrillMark(labels[MARK], Tier(labels[TIER]), labels.get(SYSTEM, ""))


def labels_of(mark: DrillMark, name: str | None) -> Mapping[str, str]:
    """The labels of a drill's alert.

    No severity and no label of the drilled system: an inhibition rule of Alertmanager's must not let a drill
    silence a real alert.
    """
    found = {
        "alertname": "IncidentdDrill",
        "system": DRILL_SYSTEM,
        "slo": name or "by-hand",
        MARK: mark.id,
        TIER: mark.tier.value,
    }
    return {**found, SYSTEM: mark.system} if mark.system else found


def is_drill(system: str) -> bool:
    """Whether an incident of this system is a drill's."""
    return system == DRILL_SYSTEM


def key_of(drill_id: str) -> str:
    """The key of a drill's incident."""
    return f"{DRILL_SYSTEM}/{drill_id}"


def whose(tier: Tier, system: str) -> str:
    """``P1 of avalo``; ``P1`` without a system."""
    return f"{tier} of {system}" if system else tier.value
