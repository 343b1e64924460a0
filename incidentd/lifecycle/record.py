"""What deliveries came to, written as it arrives: cursors, attempts, and the first of each kind as an entry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from incidentd.channels.backoff import next_try
from incidentd.channels.channel import Receipt
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError
from incidentd.incident.command import Delivered
from incidentd.incident.slot import PAGE, TELL, parse_episode, parse_page_slot
from incidentd.incident.state import Incident
from incidentd.jobs import Work
from incidentd.lifecycle.heard import INTERNAL_SYSTEM, internal
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.parcel import Parcel
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.stand_in import missing_stand_in
from incidentd.lifecycle.work import Complaint
from incidentd.store import cursors, deliveries
from incidentd.store.cursors import Cursor, Settled
from incidentd.store.deliveries import Delivery, Outcome
from incidentd.tier import Tier
from incidentd.timeline import Accepted, DeliveryFailed, FellBack, GaveUp

FALLBACK_AFTER = 2
ECHO_AFTER = timedelta(seconds=10)
"""A frozen sender's late request may follow ours: the final state is told once more (model 36)."""


@dataclass(frozen=True, slots=True)
class Result:
    """One attempt, ended."""

    parcel: Parcel
    came_to: Receipt | DeliveryError
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: the work that follows, and (incident, queue) to be looked at again.

    ``deliveries`` leaves out the results that changed nothing; ``opened`` are the tiers of new incidents.
    """

    work: Work
    again: set[tuple[str, str]]
    deliveries: list[tuple[Result, Outcome]]
    opened: list[Tier]


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes results in the transaction of a ledger."""

    new_id: NewId
    random: Callable[[], float]

    def record(self, ledger: Ledger, results: Sequence[Result]) -> Recorded:
        """Write what still counts. A result whose lease another sender has taken changes nothing."""
        ledger.load(ids={result.parcel.cursor.incident_id for result in results})
        held = cursors.tokens(ledger.tx, [result.parcel.cursor for result in results])
        counting = [r for r in results if held.get(cursors.name(r.parcel.cursor)) == r.parcel.token]
        final = [result for result in counting if _is_final(ledger, result)]
        for result in counting:
            self._write_facts(ledger, result, final=result in final)
        work = ledger.flush()
        settled = [self._settled(ledger, result, final=result in final) for result in counting]
        cursors.settle(ledger.tx, settled)
        again = _close_old_rounds(ledger, counting) | _point_on(ledger, counting)
        rows = [_delivery(result, final=result in final) for result in counting]
        deliveries.insert(ledger.tx, rows)
        again |= {(s.cursor.incident_id, s.cursor.queue) for s in settled if s.due_at == ledger.now}
        outcomes = [(result, row.outcome) for result, row in zip(counting, rows, strict=True)]
        return Recorded(work, again, outcomes, ledger.opened)

    def _write_facts(self, ledger: Ledger, result: Result, *, final: bool) -> None:
        cursor, came_to = result.parcel.cursor, result.came_to
        if isinstance(came_to, Receipt):
            if came_to.sent and cursor.accepted_at is None:
                ledger.decide(cursor.incident_id, Delivered(_accepted(result)))
            return
        if final:
            ledger.decide(cursor.incident_id, Delivered(GaveUp(cursor.destination, cursor.slot, str(came_to))))
            self._alarm(ledger, result)
        elif not cursor.failed:
            ledger.decide(cursor.incident_id, Delivered(DeliveryFailed(cursor.destination, cursor.slot, str(came_to))))
        if isinstance(came_to, PermanentError) or cursor.attempts + 1 >= FALLBACK_AFTER:
            self._fall_back(ledger, cursor, str(came_to))

    def _fall_back(self, ledger: Ledger, cursor: Cursor, cause: str) -> None:
        """A page that nobody has got yet, and that somebody still has to, goes out elsewhere too."""
        if cursor.queue != PAGE or cursor.accepted_at is not None:
            return
        if fallback := missing_stand_in(ledger.rulebook, ledger.get(cursor.incident_id), cursor.destination):
            ledger.decide(cursor.incident_id, Delivered(FellBack(cursor.destination, fallback, cause)))

    def _alarm(self, ledger: Ledger, result: Result) -> None:
        """Giving up is an incident of its own, told elsewhere; not for our own incidents, or it would never end."""
        if result.parcel.news.incident.system != INTERNAL_SYSTEM:
            name = result.parcel.cursor.destination
            complaint = Complaint("delivery", f"destination {name} refuses for good: {result.came_to}")
            receive(ledger, [[internal(complaint, name, ledger.now)]], self.new_id)

    def _settled(self, ledger: Ledger, result: Result, *, final: bool) -> Settled:
        if isinstance(result.came_to, Receipt):
            return _settled_well(ledger, result, result.came_to)
        settled = _settled_badly(result, result.came_to, ledger.now, self.random)
        return replace(settled, due_at=None, behind_since=None, given_up=str(result.came_to)) if final else settled


def unrecorded(result: Result, now: datetime, random: Callable[[], float]) -> Settled:
    """What is left of a cursor whose result can't be written: it is tried again later and later.

    What was accepted is not told again, though its entry is missing.
    """
    cursor, came_to = result.parcel.cursor, result.came_to
    if not isinstance(came_to, Receipt):
        return _settled_badly(result, came_to, now, random)
    settled = _settled_badly(result, TransientError("not recorded"), now, random)
    return replace(
        settled,
        told=result.parcel.upto,
        behind_since=None,
        uncertain=cursor.uncertain and not came_to.asked,
        failed=cursor.failed,
        reference=came_to.reference,
    )


def _is_final(ledger: Ledger, result: Result) -> bool:
    """Whether this is given up: refused for good, and all that there is to tell was in it (model 35)."""
    incident = ledger.get(result.parcel.cursor.incident_id)
    outdated = incident is not None and incident.news > result.parcel.upto
    return isinstance(result.came_to, PermanentError) and not outdated


def _settled_badly(result: Result, error: DeliveryError, now: datetime, random: Callable[[], float]) -> Settled:
    cursor = result.parcel.cursor
    retry_after = error.retry_after if isinstance(error, TransientError) else None
    return Settled(
        cursor=cursor,
        token=result.parcel.token,
        told=cursor.told,
        due_at=next_try(cursor.attempts + 1, retry_after, now, random),
        behind_since=cursor.behind_since,
        attempts=cursor.attempts + 1,
        uncertain=cursor.uncertain or isinstance(error, UncertainError),
        echo=cursor.echo,
        accepted_at=cursor.accepted_at,
        failed=True,
        given_up=None,
        reference=cursor.reference,
    )


def _close_old_rounds(ledger: Ledger, counting: Sequence[Result]) -> set[tuple[str, str]]:
    """The first page of a round was accepted: those of earlier rounds can now be resolved (model 34)."""
    accepted = {
        (r.parcel.cursor.incident_id, r.parcel.cursor.slot)
        for r in counting
        if _is_first(r, PAGE) and parse_page_slot(r.parcel.cursor.slot).round > 1
    }
    return cursors.wake_pages(ledger.tx, accepted, ledger.now)


def _point_on(ledger: Ledger, counting: Sequence[Result]) -> set[tuple[str, str]]:
    """A new episode's card is there: the cards of earlier ones can now point to it (model 33).

    An earlier one may have been on its way just then, without knowing of it.
    """
    fresh = {cursors.name(r.parcel.cursor) for r in counting if _is_first(r, TELL)}
    unaware = {
        (cursor.incident_id, cursor.destination, f"e{incident.episode}")
        for r in counting
        if (cursor := r.parcel.cursor).queue == TELL
        and (incident := ledger.get(cursor.incident_id)) is not None
        and parse_episode(cursor.slot) < incident.episode
        and "ts" not in r.parcel.news.successor
    }
    found = cursors.references(ledger.tx, unaware - fresh)
    newest = {name for name in fresh if parse_episode(name[2]) > 1} | {name for name in found if "ts" in found[name]}
    return cursors.wake_older(ledger.tx, newest, ledger.now)


def _is_first(result: Result, queue: str) -> bool:
    """Whether this is the first that a receiver of this queue accepted of its slot."""
    cursor, came_to = result.parcel.cursor, result.came_to
    return cursor.queue == queue and cursor.accepted_at is None and isinstance(came_to, Receipt) and came_to.sent


def _knew_too_little(result: Result, incident: Incident) -> bool:
    """Whether a newer round's page was accepted while this older one was on its way: it is to be resolved now."""
    cursor, known = result.parcel.cursor, result.parcel.news.incident.paged_round
    return cursor.queue == PAGE and known <= parse_page_slot(cursor.slot).round < incident.paged_round


def _settled_well(ledger: Ledger, result: Result, receipt: Receipt) -> Settled:
    cursor = result.parcel.cursor
    incident = ledger.get(cursor.incident_id)
    behind = incident is not None and (incident.news > result.parcel.upto or _knew_too_little(result, incident))
    echo = cursor.echo and not result.parcel.news.again
    later = ledger.now + ECHO_AFTER if echo else None
    return Settled(
        cursor=cursor,
        token=result.parcel.token,
        told=result.parcel.upto,
        due_at=ledger.now if behind else later,
        behind_since=ledger.now if behind else None,
        attempts=0,
        uncertain=cursor.uncertain and not receipt.asked,
        echo=echo,
        accepted_at=cursor.accepted_at or (result.ended_at if receipt.sent else None),
        failed=cursor.failed,
        given_up=None,
        reference=receipt.reference,
    )


def _accepted(result: Result) -> Accepted:
    parcel, cursor = result.parcel, result.parcel.cursor
    since = parcel.news.entries[-1].at if parcel.news.entries else parcel.started_at
    paging = cursor.queue == PAGE
    return Accepted(
        destination=cursor.destination,
        slot=cursor.slot,
        paged=paging,
        round=parse_page_slot(cursor.slot).round if paging else 0,
        took_ms=max(0, (result.ended_at - since) // timedelta(milliseconds=1)),
        attempts=cursor.attempts + 1,
        answers=parcel.upto,
    )


def _delivery(result: Result, *, final: bool) -> Delivery:
    parcel, came_to = result.parcel, result.came_to
    if isinstance(came_to, Receipt):
        outcome, detail = (Outcome.ACCEPTED if came_to.sent else Outcome.SILENT), came_to.detail
    else:
        outcome, detail = (Outcome.GAVE_UP if final else Outcome.FAILED), str(came_to)
    return Delivery(
        incident_id=parcel.cursor.incident_id,
        destination=parcel.cursor.destination,
        slot=parcel.cursor.slot,
        upto=parcel.upto,
        attempt=parcel.cursor.attempts + 1,
        started_at=parcel.started_at,
        ended_at=result.ended_at,
        outcome=outcome,
        detail=detail,
    )
