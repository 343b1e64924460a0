"""What one Alertmanager showed in one look."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidentd.alert import Alert

ACTIVE = "active"
"""The state of an alert that is told to receivers; the others are ``suppressed`` and ``unprocessed``."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Who keeps alerts quiet, why, and until when."""

    by: str
    comment: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One alert. ``alert`` is None where it can't be understood: it is there all the same."""

    fingerprint: str
    starts_at: datetime
    state: str
    receivers: frozenset[str]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    alert: Alert | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether a silence or an inhibition keeps it from receivers."""
        return bool(self.silenced_by or self.inhibited_by)


@dataclass(frozen=True, slots=True)
class View:
    """All that it lists, by fingerprint. ``is_whole``: each alert's name was understood, so what is absent isn't there.

    ``started_at`` and ``up_for`` go by its own clock, which is ``ahead`` of ours. ``mutes``: its configuration has
    intervals of time in which alerts that it lists as active are not told.
    """

    name: str
    version: str
    started_at: datetime
    up_for: timedelta
    ahead: timedelta
    listed: Mapping[str, Listed]
    is_whole: bool
    silences: Mapping[str, Silence]
    mutes: bool = False
