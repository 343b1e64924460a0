"""What can be asked of an incident. A tick is the empty command."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from incidentd.tier import Tier
from incidentd.timeline import Fact, Member, Observation


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a new incident: given by the classification of the alert that opens it."""

    id: str
    key: str
    system: str
    slo: str


@dataclass(frozen=True, slots=True)
class AlertsHeard:
    """Alerts of this incident's key, as just received and classified. ``identity`` serves an opening."""

    alerts: tuple[Member, ...]
    identity: Identity


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person answers. ``until`` makes it a snooze.

    ``dated_at`` is when a third party says it was done, ``round`` the round whose page it was done to (model 28).
    """

    by: str
    via: str = "api"
    until: datetime | None = None
    episode: int | None = None
    dated_at: datetime | None = None
    round: int | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A person takes the incident from whoever has it."""

    by: str
    via: str = "api"
    episode: int | None = None


@dataclass(frozen=True, slots=True)
class Resolve:
    """A person says that it is over. ``dated_at`` and ``round`` are as in ``Acknowledge``."""

    by: str
    via: str = "api"
    episode: int | None = None
    dated_at: datetime | None = None
    round: int | None = None


@dataclass(frozen=True, slots=True)
class Escalate:
    """A person wants the next level told now."""

    by: str
    via: str = "api"
    episode: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeTier:
    """A person sets the tier, either way, with a reason."""

    by: str
    tier: Tier
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A person writes something down. ``dated_at`` is as in ``Acknowledge``."""

    by: str
    text: str
    dated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StartOver:
    """A third party withdrew an acknowledgement, or resolved by automation while alerts fire (model 28).

    ``dated_at`` and ``round`` are as in ``Acknowledge``. Pages of earlier rounds are resolved by ourselves.
    """

    by: str
    automation: bool
    dated_at: datetime | None = None
    round: int | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery came to something for the first time: written down as it is, told to nobody."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class CorrectDeadlines:
    """The clock was ``by`` ahead and has been set back; these ``deadlines`` are ones that it had set (model 40)."""

    by: timedelta
    deadlines: frozenset[str]


@dataclass(frozen=True, slots=True)
class Observed:
    """Something was found out of its alerts without a notification: written down while it is open."""

    fact: Observation


@dataclass(frozen=True, slots=True)
class Enforce:
    """The rules no longer only observe its system."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Command = (
    AlertsHeard
    | Acknowledge
    | TakeOver
    | Resolve
    | Escalate
    | ChangeTier
    | Note
    | StartOver
    | Delivered
    | CorrectDeadlines
    | Observed
    | Enforce
    | Tick
)
