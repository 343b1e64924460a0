"""A recording, played through one table: classify, decide, apply and wake_at, as they run in the product."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count, groupby
from operator import itemgetter

from incidentd.classify import Rules, Verdict
from incidentd.errors import RefusedError
from incidentd.incident.command import Acknowledge, Command, Enforce, Note, Resolve, StartOver, TakeOver, Tick
from incidentd.incident.state import State
from incidentd.incident.wake import wake_at
from incidentd.lifecycle.heard import weighed
from incidentd.lifecycle.receive import Reception
from incidentd.replay.book import Book, Step
from incidentd.replay.judge import Judged, alert_of, judge
from incidentd.replay.recording import Answer, Did, Hearing, Recording
from incidentd.store.alerts import Known

__all__ = ["Player", "Step", "play"]

Event = tuple[datetime, int, Hearing | None]
"""When; the alert's or the answer's number; what was heard, or None for an answer."""


def play(recording: Recording, rules: Rules) -> Iterator[Step]:
    """All that would have happened under this table, in the order of time."""
    return Player(recording, rules).steps()


class Player:
    """One run. ``incidents`` and ``signs`` grow while ``steps`` is read.

    ``incidents`` are those that each alert of the recording came to, by its number in it; ``signs`` are the alerts
    that the table takes for a sign of life, which never are an incident. ``judged`` is what the table says of each
    alert, where that is known already. Updates are left out unless ``updates``: they are many, and change nothing.
    """

    def __init__(
        self, recording: Recording, rules: Rules, judged: Sequence[Judged] | None = None, *, updates: bool = False
    ) -> None:
        self._recording = recording
        self._judged = judge(recording, rules) if judged is None else judged
        self._book = Book(rules if updates else rules.without_updates, recording.since)
        self._known: dict[str, Known] = {}
        self._successors: dict[str, dict[str, None]] = {}
        self._waking: dict[str, datetime] = {}
        self._ends: set[tuple[datetime, str]] = set()
        self._heap: list[tuple[datetime, str]] = []
        self._numbers = count(1)
        self.incidents: dict[int, str] = {}
        self.signs: set[int] = set()

    def steps(self, progress: Callable[[int], None] = lambda _: None) -> Iterator[Step]:
        """Each decision that came to something, in the order of time.

        ``progress`` is called with how many hearings and answers were played since it was called last.
        """
        for at, together in groupby(_events(self._recording), itemgetter(0)):
            yield from self._ticks(at)
            self._book.now = at
            events = list(together)
            self._hear([(number, hearing) for _, number, hearing in events if hearing is not None])
            for _, number, hearing in events:
                if hearing is None:
                    self._answer(self._recording.answers[number])
            yield from self._done()
            progress(len(events))
        yield from self._ticks(self._recording.until)

    def _ticks(self, before: datetime) -> Iterator[Step]:
        """What time alone brings until then: what happens at a deadline itself is settled by what happens there."""
        while self._heap and self._heap[0][0] < before:
            at, incident_id = heapq.heappop(self._heap)
            self._book.now = at
            if (at, incident_id) in self._ends:
                self._ends.remove((at, incident_id))
                self._enforce(incident_id)
            elif self._waking.get(incident_id) == at:
                del self._waking[incident_id]
                self._book.decide(incident_id, Tick())
            yield from self._done()

    def _enforce(self, incident_id: str) -> None:
        """Observing of its system is over: from now on people are told of what still fires."""
        incident = self._book.get(incident_id)
        if incident is not None and incident.observed and incident.firing:
            self._book.decide(incident_id, Enforce())

    def _done(self) -> Iterator[Step]:
        for step in self._book.taken():
            self._set_alarm(step)
            yield step

    def _set_alarm(self, step: Step) -> None:
        at = wake_at(step.after)
        if at is None:
            self._waking.pop(step.after.id, None)
        elif self._waking.get(step.after.id) != at:
            self._waking[step.after.id] = at
            heapq.heappush(self._heap, (at, step.after.id))

    def _hear(self, hearings: list[tuple[int, Hearing]]) -> None:
        """One notification of all that was heard at this instant."""
        notification = []
        for number, hearing in hearings:
            judged = self._judged[number]
            if judged.is_sign and hearing.firing:
                self.signs.add(number)
            else:
                alert = alert_of(self._recording.alerts[number], hearing)
                notification.append((number, weighed(alert, judged.verdicts[hearing.value].at(hearing.at))))
        prints = {heard.alert.fingerprint for _, heard in notification}
        known = {each: self._as_it_is(self._known[each]) for each in prints if each in self._known}
        reception = Reception(self._book, self._new_id, known)
        reception.take([heard for _, heard in notification])
        self._known.update(reception.known)
        for number, heard in notification:
            known_now = self._known.get(heard.alert.fingerprint)
            self._note(number, known_now)
            self._note_end(heard.verdict, known_now)

    def _as_it_is(self, known: Known) -> Known:
        incident = self._book.get(known.incident_id) if known.incident_id else None
        return known._replace(open=incident is not None and incident.state is not State.RESOLVED)

    def _note(self, number: int, known: Known | None) -> None:
        if known is None or known.incident_id is None:
            return
        self.incidents.setdefault(number, known.incident_id)
        before = self._recording.alerts[number].incident
        if before is not None:
            self._successors.setdefault(before, {})[known.incident_id] = None

    def _note_end(self, verdict: Verdict, known: Known | None) -> None:
        """When its incident is no longer only observed."""
        until = verdict.observing.until if verdict.observing else None
        if until is not None and known is not None and known.incident_id is not None:
            end = (until, known.incident_id)
            if end not in self._ends:
                self._ends.add(end)
                heapq.heappush(self._heap, end)

    def _answer(self, answer: Answer) -> None:
        """What a person did counts for each open incident that has become of that person's."""
        for incident_id in self._successors.get(answer.incident, ()):
            incident = self._book.get(incident_id)
            if incident is None or incident.state is State.RESOLVED:
                continue
            try:
                self._book.decide(incident_id, _command(answer))
            except RefusedError:
                # Under this table it comes too late, or somebody else has answered.
                continue

    def _new_id(self) -> str:
        return f"incident-{next(self._numbers)}"


def _events(recording: Recording) -> Iterable[Event]:
    heard = [(each.at, number, each) for number, alert in enumerate(recording.alerts) for each in alert.hearings]
    answered: list[Event] = [(each.at, number, None) for number, each in enumerate(recording.answers)]
    return sorted([*heard, *answered], key=itemgetter(0))


def _command(answer: Answer) -> Command:
    match answer.did:
        case Did.ACKNOWLEDGED:
            return Acknowledge(answer.by, until=answer.until)
        case Did.TAKEN_OVER:
            return TakeOver(answer.by)
        case Did.NOTED:
            return Note(answer.by, "")
        case Did.RESOLVED:
            return Resolve(answer.by)
        case Did.WITHDRAWN:
            return StartOver(answer.by, automation=False)
        case Did.ENDED_BY_AUTOMATION:
            return StartOver(answer.by, automation=True)
