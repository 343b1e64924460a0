"""The closed set of timeline entries.

An incident is its entries, numbered 1, 2, 3, …; its state is their fold. An entry holds facts only:
deadlines as absolute instants, never durations, so that no later table can falsify them.
The sentence is made when it is shown (``sentence.py``).
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import ClassVar

from incidentd.tier import Tier


class Told(Enum):
    """How an entry reaches people."""

    NO = "no"
    QUIETLY = "quietly"
    LOUDLY = "loudly"


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope rule: ``regions`` regions at ``minimum`` or worse make the incident ``tier``."""

    minimum: Tier
    regions: int
    tier: Tier


@dataclass(frozen=True, slots=True)
class Member:
    """One alert of an incident, in its latest episode (``fingerprint``, ``starts_at``).

    ``closed_at`` is when its resolved notification was received; ``counts_at`` the instant from which
    a firing copy counts that came too soon after it, or in a grace: until then it is not ``firing`` here;
    ``expires_at`` the end of an alert that nobody resolves.
    ``announced`` says that a firing notification of this episode has been heard. ``observed``: the rules only observe
    its system, so by itself it tells nobody.
    """

    fingerprint: str
    starts_at: datetime
    firing: bool
    tier: Tier
    row: str
    reason: str
    title: str
    region: str | None = None
    scope: Scope | None = None
    destinations: tuple[str, ...] = ()
    announced: bool = True
    closed_at: datetime | None = None
    counts_at: datetime | None = None
    expires_at: datetime | None = None
    observed: bool = False


class Ended(StrEnum):
    """Why an acknowledgement ended, or why the levels start over."""

    LAPSED = "lapsed"
    VOIDED = "voided"
    UNANSWERED = "unanswered"
    WITHDRAWN = "withdrawn"
    RESOLVED_BY_AUTOMATION = "resolved by automation"
    ENFORCED = "enforced"


@dataclass(frozen=True, slots=True)
class Opened:
    """The incident, or a further episode of it, begins.

    ``alerts`` are those that fire, the deciding one first, then those heard of that are over already. ``observed``:
    it is only recorded, and nobody is told of it.
    """

    kind: ClassVar[str] = "opened"
    told: ClassVar[Told] = Told.LOUDLY
    incident: str
    key: str
    title: str
    system: str
    slo: str
    tier: Tier
    row: str
    reason: str
    policy: str
    version: str
    episode: int
    round: int
    origin: datetime
    alerts: tuple[Member, ...]
    level: int = 0
    skipped: tuple[int, ...] = ()
    next_at: datetime | None = None
    respond_by: datetime | None = None
    observed: bool = False
    update_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertsChanged:
    """Alerts joined, changed or ended. ``joined`` are regions that the incident had not seen."""

    kind: ClassVar[str] = "alerts"
    told: ClassVar[Told] = Told.QUIETLY
    alerts: tuple[Member, ...]
    joined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prolonged:
    """Alerts that end by themselves were heard again: they live on, and nothing else changed."""

    kind: ClassVar[str] = "prolonged"
    told: ClassVar[Told] = Told.NO
    alerts: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class TierRose:
    """The tier rose by itself. Levels stay; clocks only come closer. ``held``: pages wait for the opening."""

    kind: ClassVar[str] = "tier_rose"
    told: ClassVar[Told] = Told.LOUDLY
    before: Tier
    tier: Tier
    row: str
    reason: str
    level: int
    next_at: datetime | None
    respond_by: datetime | None
    skipped: tuple[int, ...] = ()
    held: bool = False
    update_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TierSet:
    """A person set the tier. ``held``: pages wait for the opening."""

    kind: ClassVar[str] = "tier_set"
    told: ClassVar[Told] = Told.LOUDLY
    before: Tier
    tier: Tier
    reason: str
    level: int
    next_at: datetime | None
    respond_by: datetime | None
    acknowledged_until: datetime | None = None
    skipped: tuple[int, ...] = ()
    held: bool = False
    update_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody answered. ``until`` None: for as long as it takes. ``in_time`` None: already decided."""

    kind: ClassVar[str] = "acknowledged"
    told: ClassVar[Told] = Told.QUIETLY
    via: str
    until: datetime | None
    in_time: bool | None
    snoozed: bool = False


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Another person took the incident over from the one who had it."""

    kind: ClassVar[str] = "taken_over"
    told: ClassVar[Told] = Told.QUIETLY
    before: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RoundBegan:
    """The levels begin anew. ``difference`` says what the ended acknowledgement did not cover.

    ``respond_by`` counts where observing ended (``why`` is ENFORCED): until then nobody was asked to answer.
    """

    kind: ClassVar[str] = "round"
    told: ClassVar[Told] = Told.LOUDLY
    why: Ended
    round: int
    attempt: int
    policy: str
    version: str
    level: int
    skipped: tuple[int, ...]
    next_at: datetime | None
    difference: str = ""
    respond_by: datetime | None = None
    update_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LevelReached:
    """The next level is told. ``repeat`` counts how often a person had a level told again.

    ``held``: its pages wait for the calendar to open at ``next_at``; the same level then follows without ``held``.
    """

    kind: ClassVar[str] = "level"
    told: ClassVar[Told] = Told.LOUDLY
    level: int
    name: str
    round: int
    next_at: datetime | None
    skipped: tuple[int, ...] = ()
    repeat: int = 0
    by_person: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The last level's time is over and nobody answered. ``last``: there is no further round."""

    kind: ClassVar[str] = "unanswered"
    told: ClassVar[Told] = Told.LOUDLY
    round: int
    last: bool
    next_at: datetime | None
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reminded:
    """All rounds are over; a reminder while nobody answers."""

    kind: ClassVar[str] = "reminder"
    told: ClassVar[Told] = Told.LOUDLY
    count: int
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Updated:
    """What holds, said again while the incident is open; the next time at ``next_at``.

    ``since`` is when this episode began, ``by`` who has it (empty: nobody), ``snoozed_until`` until when that one put
    it off. ``alerts`` counts those that fire, in ``regions``; ``reason`` is the number that decided.
    """

    kind: ClassVar[str] = "update"
    told: ClassVar[Told] = Told.QUIETLY
    count: int
    next_at: datetime | None
    tier: Tier
    since: datetime
    level: int
    by: str = ""
    snoozed_until: datetime | None = None
    alerts: int = 0
    regions: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResponseMissed:
    """Nobody answered within the tier's response time."""

    kind: ClassVar[str] = "response_missed"
    told: ClassVar[Told] = Told.QUIETLY


@dataclass(frozen=True, slots=True)
class Recovering:
    """No alert fires any more; resolved at ``hold_until`` unless one fires again."""

    kind: ClassVar[str] = "recovering"
    told: ClassVar[Told] = Told.QUIETLY
    hold_until: datetime


@dataclass(frozen=True, slots=True)
class FiringAgain:
    """An alert fired during the hold-down: all goes on as before."""

    kind: ClassVar[str] = "firing_again"
    told: ClassVar[Told] = Told.QUIETLY
    acknowledged_until: datetime | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The matter is over. ``by_person`` starts the grace. ``in_time`` None: nobody was asked in vain."""

    kind: ClassVar[str] = "resolved"
    told: ClassVar[Told] = Told.QUIETLY
    by_person: bool
    in_time: bool | None = None
    grace_until: datetime | None = None
    via: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """A person wrote a note."""

    kind: ClassVar[str] = "note"
    told: ClassVar[Told] = Told.QUIETLY
    text: str
    acknowledged_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClockSetBack:
    """Deadlines that a clock had set while it was ``seconds`` ahead, as they stand by the true time (model 40).

    Those that it had not set stand as they were. ``alerts`` are those that wait or ended by the false time.
    """

    kind: ClassVar[str] = "clock_set_back"
    told: ClassVar[Told] = Told.QUIETLY
    seconds: int
    next_at: datetime | None
    respond_by: datetime | None
    acknowledged_until: datetime | None
    hold_until: datetime | None
    grace_until: datetime | None
    alerts: tuple[Member, ...] = ()
    update_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A receiver accepted the first message of this slot. ``took_ms`` counts from the newest told entry.

    ``digest`` is the one that stands for this incident there among others; empty where it has a message of its own.
    """

    kind: ClassVar[str] = "accepted"
    told: ClassVar[Told] = Told.NO
    destination: str
    slot: str
    paged: bool
    round: int
    took_ms: int
    attempts: int
    answers: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """The first failure of a slot; further tries are rows in ``deliveries``."""

    kind: ClassVar[str] = "delivery_failed"
    told: ClassVar[Told] = Told.NO
    destination: str
    slot: str
    cause: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A receiver refused for good; the next news, a reload or a test tries again."""

    kind: ClassVar[str] = "gave_up"
    told: ClassVar[Told] = Told.NO
    destination: str
    slot: str
    cause: str


@dataclass(frozen=True, slots=True)
class FellBack:
    """A page failed twice and goes out on another destination too."""

    kind: ClassVar[str] = "fell_back"
    told: ClassVar[Told] = Told.LOUDLY
    destination: str
    fallback: str
    cause: str


@dataclass(frozen=True, slots=True)
class PagedDirectly:
    """While the database was away this was paged without it. ``took_over``: the page goes on as the incident's own.

    Else it was one too many, and was resolved at the receiver. ``at`` is when the receiver accepted it; ``uncertain``:
    when it was last sent, of which no answer came.
    """

    kind: ClassVar[str] = "paged_directly"
    told: ClassVar[Told] = Told.NO
    destination: str
    dedup_key: str
    at: datetime
    took_over: bool
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Reconciled:
    """An Alertmanager knows better than what was told. ``alerts`` are fingerprints.

    ``over``: it has had none of these since ``since``, and no resolved came; else it has them firing, and no
    notification said so.
    """

    kind: ClassVar[str] = "reconciled"
    told: ClassVar[Told] = Told.QUIETLY
    over: bool
    alerts: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Silenced:
    """Alertmanager tells nobody of ``alerts``, fingerprints of some that fire; none: it tells of all again."""

    kind: ClassVar[str] = "silenced"
    told: ClassVar[Told] = Told.QUIETLY
    alerts: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing was heard of any alert since ``heard_at``, so people are asked whether it still fires."""

    kind: ClassVar[str] = "stale"
    told: ClassVar[Told] = Told.QUIETLY
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a newer version wrote and this one can't read: its kind, or a value in it. ``text`` is its JSON.

    The state that it led to is stored beside it, so nothing depends on reading it.
    """

    told: ClassVar[Told] = Told.QUIETLY
    kind: str
    text: str


Observation = Reconciled | Silenced | Stale
"""What is found out of alerts without a notification."""

Fact = Accepted | DeliveryFailed | GaveUp | FellBack | PagedDirectly
"""What a delivery can come to."""

Known = (
    Opened
    | AlertsChanged
    | Prolonged
    | TierRose
    | TierSet
    | Acknowledged
    | TakenOver
    | RoundBegan
    | LevelReached
    | Unanswered
    | Reminded
    | Updated
    | ResponseMissed
    | Recovering
    | FiringAgain
    | Resolved
    | Noted
    | ClockSetBack
    | Observation
    | Fact
)
"""What this version writes."""

Data = Known | Unknown

KINDS: dict[str, type[Known]] = {
    kind.kind: kind
    for kind in (
        Opened, AlertsChanged, Prolonged, TierRose, TierSet, Acknowledged, TakenOver, RoundBegan, LevelReached,
        Unanswered, Reminded, Updated, ResponseMissed, Recovering, FiringAgain, Resolved, Noted, ClockSetBack,
        Accepted, DeliveryFailed, GaveUp, FellBack, PagedDirectly, Reconciled, Silenced, Stale,
    )
}  # fmt: skip

MACHINE = "incidentd"
MACHINES = frozenset({MACHINE, "alertmanager"})
"""Actors that are no people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One numbered fact. ``at`` is when it happened, ``due_at`` when it was due, where time was the cause."""

    number: int
    at: datetime
    actor: str
    data: Data
    due_at: datetime | None = field(default=None)

    @property
    def kind(self) -> str:
        """The entry's kind, one of ``KINDS`` unless a newer version wrote it."""
        return self.data.kind
