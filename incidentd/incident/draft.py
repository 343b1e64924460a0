"""A decision in the making: entries, and the state they lead to."""

from dataclasses import dataclass, field
from datetime import datetime

from incidentd.incident.apply import apply
from incidentd.incident.state import Incident
from incidentd.policy import Policy, TierPolicy
from incidentd.timeline import MACHINE, Data, Entry


@dataclass(slots=True)
class Draft:
    """Collects entries and applies each at once, so that the next step sees the state after it."""

    before: Incident | None
    policy: Policy
    now: datetime
    entries: list[Entry] = field(default_factory=list)
    _state: Incident | None = None

    def __post_init__(self) -> None:
        self._state = self.before

    @property
    def after(self) -> Incident | None:
        """The state that the entries lead to; None where nothing has begun."""
        return self._state

    @property
    def incident(self) -> Incident:
        """The state so far; there is one once the story has begun."""
        if self._state is None:
            raise ValueError("the story has not begun")
        return self._state

    def add(self, data: Data, actor: str = MACHINE, due_at: datetime | None = None) -> None:
        """Append a fact that happens now."""
        number = self._state.last + 1 if self._state else 1
        entry = Entry(number, self.now, actor, data, due_at)
        self._state = apply(self._state, entry)
        self.entries.append(entry)

    @property
    def tier(self) -> TierPolicy:
        """What the present tier asks under the policy of this round."""
        return self.policy.tiers[self.incident.tier]

    def lapse(self, tier_policy: TierPolicy | None = None) -> datetime | None:
        """When an acknowledgement lapses, counted from now on wall time (model 27, 16).

        While recovering it stands still: counted from its beginning, for ``FiringAgain`` to move all alike.
        """
        lapse = (tier_policy or self.tier).acknowledgement
        return None if lapse is None else (self.incident.recovering_at or self.now) + lapse
