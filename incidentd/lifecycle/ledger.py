"""One transaction's incidents: loaded at need, decided in memory, written in a handful of statements."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.drill import is_drill
from incidentd.incident.audience import audience
from incidentd.incident.command import Command
from incidentd.incident.decide import decision
from incidentd.incident.slot import Slot
from incidentd.incident.state import Incident
from incidentd.jobs import Work
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.policy import Policy
from incidentd.store import cursors, entries, incidents
from incidentd.tier import Tier
from incidentd.timeline import Entry


@dataclass(slots=True)
class Page:
    """One incident in this transaction: as read, as it is now, and what was decided on the way."""

    incident: Incident | None
    read_version: int = 0
    read_news: int = 0
    read_tier: Tier | None = None
    entries: list[Entry] = field(default_factory=list)
    slots: set[Slot] = field(default_factory=set)

    @property
    def is_new(self) -> bool:
        """Whether the incident was opened in this transaction."""
        return self.read_version == 0


class Ledger:
    """Keeps the working copies; ``flush`` writes them all and says what is to be done next."""

    def __init__(self, tx: Connection, rulebook: Rulebook, now: datetime, mark: timedelta) -> None:
        self.tx = tx
        self.rulebook = rulebook
        self.now = now
        self._mark = mark
        self._pages: dict[str, Page] = {}
        self._holders: dict[str, str] = {}
        self._released: set[str] = set()

    def load(self, *, ids: Collection[str] = (), keys: Collection[str] = ()) -> None:
        """Read and lock incidents in one statement; those read already are left as they are."""
        new_ids = {id_ for id_ in ids if id_ not in self._pages}
        new_keys = {key for key in keys if key not in self._holders}
        for held in incidents.lock(self.tx, ids=new_ids, keys=new_keys):
            incident = held.incident
            if incident.id not in self._pages:
                slots = audience(incident, self.rulebook.policy(incident))
                self._pages[incident.id] = Page(incident, incident.last, incident.news, incident.tier, [], slots)
            if held.holds:
                self._holders[incident.key] = incident.id

    def get(self, incident_id: str) -> Incident | None:
        """The incident as it is now, if it was loaded or opened here."""
        page = self._pages.get(incident_id)
        return page.incident if page else None

    def holder(self, key: str) -> Incident | None:
        """The incident that holds a key, if one does."""
        holder = self._holders.get(key)
        return self.get(holder) if holder else None

    def supersede(self, incident: Incident) -> None:
        """A resolved incident lets go of its key, for a new one to take."""
        self._holders.pop(incident.key, None)
        if not self._pages[incident.id].is_new:
            self._released.add(incident.id)

    def decide(self, incident_id: str, command: Command, policy: Policy | None = None) -> list[Entry]:
        """Decide on the present state and keep the outcome. ``policy`` is needed for an opening only.

        Raises:
            RefusedError: as ``decide`` does; nothing is kept then.
        """
        page = self._pages.setdefault(incident_id, Page(None))
        policy = policy or self.rulebook.policy(_present(page))
        draft = decision(page.incident, command, policy, self.now)
        page.incident, decided = draft.after, draft.entries
        page.entries.extend(decided)
        if page.incident is None:
            del self._pages[incident_id]
        elif page.is_new and decided:
            self._holders[page.incident.key] = incident_id
        return decided

    @property
    def opened(self) -> list[Tier]:
        """The tiers of the incidents that were opened in this transaction; drills are none."""
        return [incident.tier for incident in self._new() if not is_drill(incident.system)]

    @property
    def observed(self) -> list[Tier]:
        """The tiers of those of them that are only observed."""
        return [incident.tier for incident in self._new() if incident.observed]

    def _new(self) -> list[Incident]:
        return [_present(page) for page in self._pages.values() if page.is_new and page.entries]

    def flush(self) -> Work:
        """Write all that was decided. Incidents first, then entries, then cursors: one order for all writers.

        Among them the order of their keys: two writers that open the same incidents never wait for each other.
        """
        changed = [(page, _present(page)) for page in self._pages.values() if page.entries]
        pairs = sorted(changed, key=lambda pair: (pair[1].key, pair[1].id))
        incidents.release(self.tx, self._released)
        incidents.insert(self.tx, [incident for page, incident in pairs if page.is_new])
        incidents.update(
            self.tx, sorted(((p.read_version, i) for p, i in pairs if not p.is_new), key=lambda x: x[1].id)
        )
        entries.insert(self.tx, ((incident.id, entry) for page, incident in pairs for entry in page.entries))
        return self._tell(pairs)

    def _tell(self, pairs: list[tuple[Page, Incident]]) -> Work:
        until = self.now + self._mark
        opened = [
            (incident.id, incident.tier, slot)
            for page, incident in pairs
            for slot in sorted(audience(incident, self.rulebook.policy(incident)) - page.slots, key=_name)
        ]
        woken = {
            incident.id: incident.tier for page, incident in pairs if not page.is_new and incident.news > page.read_news
        }
        cursors.retier(self.tx, {i.id: i.tier for page, i in pairs if page.read_tier not in (None, i.tier)})
        marked = cursors.wake(self.tx, woken, until)
        again = cursors.existing(self.tx, {id_ for id_, _, _ in opened if not self._pages[id_].is_new})
        fresh = [each for each in opened if (each[0], each[2].destination, each[2].name) not in again]
        cursors.open_slots(self.tx, fresh, until)
        marked |= {(id_, slot.queue) for id_, _, slot in fresh}
        return work_of(marked, {incident.id: incident.tier for _, incident in pairs})


def work_of(marked: Collection[tuple[str, str]], urgency: dict[str, Tier]) -> Work:
    """(incident, queue) as work by queue, the most urgent incident first."""
    by_queue: dict[str, list[str]] = {}
    for incident_id, queue in sorted(marked, key=lambda each: (urgency.get(each[0], Tier.P3), each[0])):
        by_queue.setdefault(queue, []).append(incident_id)
    return by_queue


def _name(slot: Slot) -> tuple[str, str]:
    return (slot.destination, slot.name)


def _present(page: Page) -> Incident:
    if page.incident is None:
        raise ValueError("this incident is not opened yet")
    return page.incident
