"""What a proof finds."""

from dataclasses import dataclass
from enum import StrEnum

from incidentd.errors import Fault


class Kind(StrEnum):
    """What is wrong, or worth a look."""

    UNCOVERED = "uncovered"
    UNPROVEN = "unproven"
    UNREADABLE = "unreadable"
    NO_RUNBOOK = "no-runbook"
    NOBODY = "nobody"
    HIDDEN_ROW = "hidden-row"
    DEAD_ROW = "dead-row"
    UNUSED_DESTINATION = "unused-destination"
    UNUSED_POLICY = "unused-policy"
    SILENT_OBJECTIVE = "silent-objective"


_FAULTS = frozenset((Kind.UNCOVERED, Kind.UNREADABLE, Kind.NO_RUNBOOK, Kind.NOBODY, Kind.HIDDEN_ROW))


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them: where, and what was expected there."""

    kind: Kind
    place: Fault

    @property
    def is_fault(self) -> bool:
        """Whether the proof fails by it."""
        return self.kind in _FAULTS

    def __str__(self) -> str:
        return str(self.place)
