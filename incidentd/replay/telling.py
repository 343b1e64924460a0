"""Who is told what by a decision, where every receiver accepts at once."""

from dataclasses import dataclass
from enum import StrEnum

from incidentd.incident.audience import audience
from incidentd.incident.slot import Slot, parse_page_slot
from incidentd.incident.state import Incident, State
from incidentd.policy import Policy
from incidentd.replay.book import Step
from incidentd.timeline import Told


class How(StrEnum):
    """How a destination is told: a page wakes, a call is seen at once, an update when somebody looks."""

    PAGE = "page"
    FIRST = "first message"
    CALL = "call"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Telling:
    """``level`` is whose page it is, or whom a message concerns; 0 where nobody is named."""

    destination: str
    how: How
    level: int


class Teller:
    """Remembers what each incident's destinations have been told.

    With ``first_only`` it leaves out all but pages and first messages.
    """

    def __init__(self, *, first_only: bool = False) -> None:
        self._first_only = first_only
        self._told: dict[str, set[Slot]] = {}

    def after(self, step: Step) -> list[Telling]:
        """What this step tells, pages first, in the order of destinations."""
        incident = step.after
        told = self._told.setdefault(incident.id, set())
        fresh = self._fresh(incident, step.policy, told)
        pages = [Telling(each.destination, How.PAGE, parse_page_slot(each.name).level) for each in fresh if each.paging]
        level = incident.told_level or incident.level
        first = [Telling(each.destination, How.FIRST, level) for each in fresh if not each.paging]
        later = [] if self._first_only else self._later(step, told - set(fresh), level)
        return [*pages, *sorted([*first, *later], key=lambda each: each.destination)]

    @staticmethod
    def _fresh(incident: Incident, policy: Policy, told: set[Slot]) -> list[Slot]:
        slots = {each for each in audience(incident, policy) if not each.paging or _is_due(incident, each)}
        fresh = sorted(slots - told, key=lambda each: (each.destination, each.name))
        told.update(fresh)
        return fresh

    @staticmethod
    def _later(step: Step, told: set[Slot], level: int) -> list[Telling]:
        news = [entry.data.told for entry in step.entries if entry.data.told is not Told.NO]
        if not news:
            return []
        calls = Told.LOUDLY in news and step.after.state is State.TRIGGERED
        how = How.CALL if calls else How.UPDATE
        present = f"e{step.after.episode}"
        return [Telling(each.destination, how, level) for each in told if not each.paging and each.name == present]


def _is_due(incident: Incident, slot: Slot) -> bool:
    """A page goes out while nobody has answered, and belongs to the present round (model 32)."""
    page = parse_page_slot(slot.name)
    is_present = (page.episode, page.round) == (incident.episode, incident.round)
    return is_present and incident.state is State.TRIGGERED
