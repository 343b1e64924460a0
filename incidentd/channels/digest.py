"""What a channel gets to tell of many incidents in one message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from incidentd.channels.channel import Channel, Destination, Person, Receipt
from incidentd.incident.state import State
from incidentd.tier import Tier


@dataclass(frozen=True, slots=True)
class Named:
    """One of the incidents that a digest names, and the address of its page."""

    number: int
    tier: Tier
    title: str
    state: State
    url: str


@dataclass(frozen=True, slots=True)
class Call:
    """So many triggered incidents of a tier are loud news for the people of a level. ``turn``: of their last."""

    turn: int
    level: int
    tier: Tier
    count: int


@dataclass(frozen=True, slots=True)
class DigestNews:
    """All that telling a digest needs.

    ``level`` is that of a shared page, 0 where people read. ``counts`` are incidents by tier and state. ``foremost``
    are the most urgent ones, ``called`` those of ``calls``. ``people`` is by level. ``url`` lists all of them.
    ``reference`` and ``uncertain`` are as in ``News``; ``notice`` is set where it stands in for pages, and says so.
    """

    id: str
    turn: int
    level: int
    opened_at: datetime
    counts: Mapping[tuple[Tier, State], int]
    foremost: Sequence[Named]
    calls: Sequence[Call]
    called: Sequence[Named]
    people: Mapping[int, Person]
    url: str
    reference: Mapping[str, str] = field(default_factory=dict)
    uncertain: bool = False
    notice: str = ""

    @property
    def total(self) -> int:
        """How many incidents it stands for."""
        return sum(self.counts.values())

    def of(self, *states: State) -> int:
        """How many of them are in these states."""
        return sum(count for (_, state), count in self.counts.items() if state in states)

    @property
    def tier(self) -> Tier:
        """The most urgent tier that is triggered, else of all."""
        triggered = [tier for (tier, state), count in self.counts.items() if state is State.TRIGGERED and count]
        return min(triggered or [tier for tier, _ in self.counts] or [Tier.P3])


@runtime_checkable
class DigestChannel(Channel, Protocol):
    """A kind of destination that can tell of many incidents in one message, kept up to date."""

    def deliver_digest(self, destination: Destination, news: DigestNews, *, seconds: float) -> Receipt:
        """Bring the one message up to date. ``calls`` were told if the receipt's reference says ``called``: its turn.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel.deliver``.
        """
        ...
