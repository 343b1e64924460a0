"""A rules table as loaded: sound, complete, and fixed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from incidentd.calendars import Calendar
from incidentd.classify.destination import DestinationSpec
from incidentd.classify.drill import DrillSpec
from incidentd.classify.escalation import PersonSpec
from incidentd.classify.grading import Grading
from incidentd.classify.heartbeat import HeartbeatSpec
from incidentd.classify.index import Candidate, Index
from incidentd.classify.observing import Observing
from incidentd.classify.row import Row
from incidentd.classify.table import SYSTEM, Table
from incidentd.errors import Fault
from incidentd.policy import Policy


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything under ``rules/``. ``version`` is the hash of ``files``, the texts by file name.

    ``warnings`` are what is sound, yet hardly meant. ``by_system`` are the tables of known systems, ``observing`` says
    by system which of them are only observed.
    """

    version: str
    files: Mapping[str, str]
    grading: Grading
    tables: Mapping[str, Table]
    people: Mapping[int, PersonSpec]
    policies: Mapping[str, Policy]
    destinations: Mapping[str, DestinationSpec]
    calendars: Mapping[str, Calendar]
    index: Index
    by_system: Mapping[str, Table]
    warnings: tuple[Fault, ...] = ()
    heartbeats: Mapping[str, HeartbeatSpec] = field(default_factory=dict)
    drills: Mapping[str, DrillSpec] = field(default_factory=dict)
    observing: Mapping[str, Observing] = field(default_factory=dict)

    def observed(self, now: datetime) -> frozenset[str]:
        """The systems that are only observed at this instant."""
        return frozenset(name for name, observing in self.observing.items() if observing.lasts(now))

    @property
    def without_updates(self) -> "Rules":
        """These rules where what holds is never said again."""
        return replace(self, policies={name: policy.without_updates for name, policy in self.policies.items()})

    @property
    def secret_names(self) -> frozenset[str]:
        """The variables that hold the destinations' secrets."""
        return frozenset(name for spec in self.destinations.values() for name in spec.variables)

    def in_doubt(self, variables: Collection[str]) -> frozenset[str]:
        """The destinations that are told only if they are set up, where only these variables are known to be set."""
        return frozenset(name for name, spec in self.destinations.items() if spec.is_in_doubt(variables))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row, in the order in which they are asked."""
        return tuple(row for table in self.tables.values() for row in table.rows)

    def rows_for(self, labels: Mapping[str, str]) -> tuple[Row, ...]:
        """The rows that are asked about these labels, in their order: those of their system, and those of any."""
        return self.index.by_system.get(labels.get(SYSTEM, ""), self.index.other)

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Candidate]:
        """Of the rows that are asked those alone that may take these labels, in their order."""
        return self.index.candidates(labels)

    def table_of(self, row: Row) -> Table:
        """The table that a row stands in."""
        return self.tables[row.name.partition("/")[0]]

    def table_for(self, labels: Mapping[str, str]) -> Table | None:
        """The table of the known system that the label ``system`` names."""
        return self.by_system.get(labels.get(SYSTEM, ""))

    def objective(self, system: str, slo: str) -> str:
        """What an objective promises, as its table words it; empty when none does."""
        return next((t.objectives[slo] for t in self.tables.values() if t.system == system and slo in t.objectives), "")
