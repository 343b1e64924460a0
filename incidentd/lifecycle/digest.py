"""Telling a digest: what it stands for is read once it is leased, sent, and then written to each of its incidents.

A crash after the receiver's answer loses nothing: the digest's cursor is due again, and whoever has it next goes on
writing to incidents where this one stopped.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import random
from typing import Any

import structlog
from sqlalchemy.engine import Connection

from incidentd.channels.backoff import next_try
from incidentd.channels.channel import Channel, Destination, Person, Receipt
from incidentd.channels.digest import Call, DigestChannel, DigestNews, Named
from incidentd.errors import (
    ConflictError,
    DeliveryError,
    PermanentError,
    StoreUnavailableError,
    TransientError,
    UncertainError,
)
from incidentd.incident.command import Delivered
from incidentd.incident.slot import PAGE, parse_page_slot
from incidentd.incident.state import State
from incidentd.jobs import Work
from incidentd.lifecycle.claim import Bundle
from incidentd.lifecycle.digest_lock import lock_leased, lock_with_members
from incidentd.lifecycle.heard import internal
from incidentd.lifecycle.ledger import Ledger, work_of
from incidentd.lifecycle.pace import Pace
from incidentd.lifecycle.parcel import Packer
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.stand_in import TOO_LONG, missing_stand_in
from incidentd.lifecycle.work import Complaint
from incidentd.meter import Meter
from incidentd.process.failpoint import failpoint
from incidentd.store import buckets, cursors, deliveries, digests, unpaged
from incidentd.store.cursors import Settled
from incidentd.store.deliveries import Delivery, Outcome
from incidentd.store.digests import Digest, Foremost, Gathered
from incidentd.store.engine import Store
from incidentd.timeline import Accepted, FellBack

SHOWN = 8
CALLS_APART = timedelta(minutes=1)
"""Loud news of a storm are told in one sum, so far apart."""
FALLBACK_AFTER = 2
_CHUNK = 100
_PAUSE_SECONDS = 0.5

log = structlog.get_logger("incidentd.deliver")


@dataclass(frozen=True, slots=True)
class _Told:
    """One sending, ended."""

    bundle: Bundle
    destination: Destination | None
    news: DigestNews
    came_to: Receipt | DeliveryError
    ended_at: datetime


class DigestSender:
    """Sends the digests that a process has leased. Safe for use by several threads."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        packer: Packer,
        channels: Mapping[str, Channel],
        now: Callable[[], datetime],
        new_id: NewId,
        pace: Pace,
        hand_over: Callable[[Work], None],
        meter: Meter,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._packer = packer
        self._channels = channels
        self._now = now
        self._new_id = new_id
        self._pace = pace
        self._hand_over = hand_over
        self._meter = meter

    def send(self, bundle: Bundle) -> None:
        """Tell it, write what came of it, and write to its incidents that they were told.

        Raises:
            StoreUnavailableError, ConflictError: it is told again, or written on, once it is due again.
        """
        gathered, notice = self._gather(bundle.digest)
        destination, news = self._destination(bundle.digest), replace(self._news(bundle, gathered), notice=notice)
        came_to = self._try(destination, news)
        failpoint("send.after")
        told = _Told(bundle, destination, news, came_to, self._now())
        if not self._keep(told):
            return
        self._count(told)
        if isinstance(came_to, Receipt):
            self._spread(partial(self._accept, told=told))
        elif _fails_for_long(told):
            self._spread(partial(self._fall_back, told=told, after=[""]))

    def _gather(self, digest: Digest) -> tuple[Gathered, str]:
        """What it stands for, and its notice: asked for again and again, as else it would wait until its lease is over.

        For half of what a request leaves of the lease: the other half is for the last answer.
        """
        end = time.monotonic() + (self._pace.lease.total_seconds() - self._pace.http_seconds) / 2
        while True:
            try:
                return self._store.read(lambda tx: (digests.gather(tx, digest, SHOWN), self._notice(tx, digest)))
            except StoreUnavailableError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _destination(self, digest: Digest) -> Destination | None:
        spec = self._rulebook.in_force.destinations.get(digest.destination)
        return self._packer.resolve(spec) if spec else None

    def _news(self, bundle: Bundle, gathered: Gathered) -> DigestNews:
        digest, base = bundle.digest, self._packer.base_url
        people = self._rulebook.in_force.people
        may_call = _may_call(digest, self._now())

        def named(each: Foremost) -> Named:
            return Named(each.number, each.tier, each.title, each.state, f"{base}/incidents/{each.incident_id}")

        return DigestNews(
            id=digest.id,
            turn=digest.turn,
            level=parse_page_slot(f"e1.{digest.wave}").level if digest.wave else 0,
            opened_at=digest.opened_at,
            counts=gathered.counts,
            foremost=[named(each) for each in gathered.foremost],
            calls=[Call(c.turn, c.level, c.tier, c.count) for c in gathered.calls] if may_call else [],
            called=[named(each) for each in gathered.called],
            people={level: Person(person.name, person.mention) for level, person in people.items()},
            url=f"{base}/?digest={digest.id}",
            reference=bundle.cursor.reference,
            uncertain=bundle.cursor.uncertain,
        )

    def _notice(self, tx: Connection, digest: Digest) -> str:
        """Which pages of its incidents this stands in for."""
        specs = self._rulebook.in_force.destinations
        if not any(spec.fallback == digest.destination for spec in specs.values()):
            return ""
        lacking = unpaged.of_digest(tx, digest, FALLBACK_AFTER, self._now() - TOO_LONG)
        here = [name for name in lacking if name in specs and specs[name].fallback == digest.destination]
        return f"This stands in for pages that could not be delivered to {', '.join(here)}." if here else ""

    def _try(self, destination: Destination | None, news: DigestNews) -> Receipt | DeliveryError:
        if destination is None:
            return PermanentError("the rules have no such destination any more, or its secret is not set")
        channel = self._channels[destination.kind]
        if not isinstance(channel, DigestChannel):
            return PermanentError(f"{destination.kind} can't tell several incidents in one message")
        failpoint("send.before")
        try:
            return channel.deliver_digest(destination, news, seconds=self._pace.http_seconds)
        except DeliveryError as error:
            return error
        except Exception as error:  # the edge of a sender's thread: a fault of ours loses no page
            log.exception("channel failed", kind=destination.kind)
            return UncertainError(f"incidentd itself failed ({type(error).__name__})")

    def _keep(self, told: _Told) -> bool:
        """Record it, again and again until the lease is over. False: another sender has it by now."""
        end = time.monotonic() + self._pace.lease.total_seconds()
        while True:
            try:
                kept, work = self._store.write(lambda tx: self._record(tx, told))
            except (StoreUnavailableError, ConflictError):
                if time.monotonic() > end:
                    log.exception("delivery not recorded", digest=told.bundle.digest.id)
                    return False
                time.sleep(_PAUSE_SECONDS)
            else:
                self._hand_over(work)
                return kept

    def _record(self, tx: Connection, told: _Told) -> tuple[bool, Work]:
        """What else is to be changed is locked before the digest, in the order of ``incidentd.store``."""
        if not cursors.is_leased(tx, told.bundle.cursor, told.bundle.token):
            return False, {}
        work: Work = {}
        if isinstance(told.came_to, Receipt):
            self._record_success(tx, told, told.came_to)
        else:
            work = self._record_failure(tx, told, told.came_to)
        failpoint("cursor.before_commit")
        return True, work

    def _record_success(self, tx: Connection, told: _Told, receipt: Receipt) -> None:
        now, cursor, digest = self._now(), told.bundle.cursor, told.bundle.digest
        changes: dict[str, datetime | None] = {"told_at": told.ended_at} if receipt.sent else {}
        called = receipt.reference.get("called") == str(digest.turn)
        # Loud news of what was answered meanwhile call nobody.
        hushing = called or (not told.news.calls and _may_call(digest, now))
        over = _is_answered(told.news, receipt) if digest.wave else not told.news.of(*_OPEN)
        closing = over and told.news.total > 0
        lock_with_members(tx, told.bundle, hushing=hushing, closing=closing)
        if hushing:
            digests.hush(tx, digest.id, digest.turn)
        if called:
            changes["replied_at"] = told.ended_at
        if closing:
            changes["closed_at"] = told.ended_at
            digests.release(tx, digest.id, digest.turn, now)
            buckets.storm_is_over(tx, digest.id)
        digests.note(tx, digest.id, **changes)
        digests_due = self._due_again(tx, digest, now, receipt)
        settled = Settled(
            cursor=cursor,
            token=told.bundle.token,
            # What it says already holds for whoever joined since, too.
            told=digest.turn if receipt.reference else cursor.told,
            due_at=digests_due,
            attempts=0,
            uncertain=cursor.uncertain and not receipt.asked,
            echo=False,
            accepted_at=cursor.accepted_at or (told.ended_at if receipt.sent else None),
            failed=cursor.failed,
            given_up=None,
            reference=receipt.reference,
        )
        cursors.settle(tx, [settled])

    def _due_again(self, tx: Connection, digest: Digest, now: datetime, receipt: Receipt) -> datetime | None:
        """After each change it is looked at once more, so that nothing that came meanwhile is missed.

        So it is while its incidents don't say that they were told: the database may be away while that is written.
        """
        unwritten = bool(receipt.reference) and digests.has_unaccepted(tx, digest.id, digest.turn)
        if receipt.sent or unwritten or digests.has_untold(tx, digest.id, digest.turn):
            return now + digests.pause_after(now - digest.opened_at)
        if digests.has_loud(tx, digest.id):
            return max(now + digests.pause_after(now - digest.opened_at), (digest.replied_at or now) + CALLS_APART)
        return None

    def _record_failure(self, tx: Connection, told: _Told, error: DeliveryError) -> Work:
        now, cursor, digest = self._now(), told.bundle.cursor, told.bundle.digest
        final = isinstance(error, PermanentError) and not digests.has_untold(tx, digest.id, digest.turn)
        work = self._alarm(tx, digest, error) if final else {}
        lock_leased(tx, told.bundle)
        if final and digests.has_untold(tx, digest.id, digest.turn):
            raise ConflictError("somebody joined the digest meanwhile")
        retry_after = error.retry_after if isinstance(error, TransientError) else None
        due = None if final else next_try(cursor.attempts + 1, retry_after, now, random)
        settled = Settled(
            cursor=cursor,
            token=told.bundle.token,
            told=cursor.told,
            due_at=due,
            attempts=cursor.attempts + 1,
            uncertain=cursor.uncertain or isinstance(error, UncertainError),
            echo=False,
            accepted_at=cursor.accepted_at,
            failed=True,
            given_up=str(error) if final else None,
            reference=cursor.reference,
        )
        cursors.settle(tx, [settled])
        return work

    def _alarm(self, tx: Connection, digest: Digest, error: DeliveryError) -> Work:
        ledger = Ledger(tx, self._rulebook, self._now(), self._pace.mark)
        complaint = Complaint("delivery", f"destination {digest.destination} refuses for good: {error}")
        receive(ledger, [[internal(complaint, digest.destination, ledger.now)]], self._new_id)
        return ledger.flush()

    def _count(self, told: _Told) -> None:
        kind = told.destination.kind if told.destination else ""
        came_to = told.came_to
        outcome = "failed" if isinstance(came_to, DeliveryError) else "accepted" if came_to.sent else "silent"
        self._meter.deliveries.add(kind, outcome)
        if outcome == "accepted" and told.bundle.cursor.accepted_at is None:
            self._meter.digests.add(kind)
        about = {"digest": told.bundle.digest.id, "destination": told.bundle.digest.destination}
        log.info("digest", outcome=outcome, incidents=told.news.total, turn=told.news.turn, **about)

    def _spread(self, step: Callable[[Connection], tuple[bool, Work]]) -> None:
        """Write to the incidents, a few in each transaction, so that webhooks need not wait."""
        more = True
        while more:
            more, work = self._store.write(step)
            self._hand_over(work)

    def _accept(self, tx: Connection, *, told: _Told) -> tuple[bool, Work]:
        """Each incident's timeline says that it was told, and in which digest."""
        digest, kind = told.bundle.digest, told.destination.kind if told.destination else ""
        turn = digest.turn if isinstance(told.came_to, Receipt) and told.came_to.reference else 0
        ids = digests.unaccepted(tx, digest.id, turn, _CHUNK)
        if not ids:
            return False, {}
        ledger = Ledger(tx, self._rulebook, self._now(), self._pace.mark)
        ledger.load(ids=ids)
        rows = digests.lock_unaccepted(tx, digest.id, turn, ids)
        mine = [row for row in rows if row.queue != PAGE or _needs_page(ledger, row)]
        for row in mine:
            ledger.decide(row.incident_id, Delivered(self._accepted(row, told)))
        work = ledger.flush()
        reference = told.came_to.reference if isinstance(told.came_to, Receipt) else {}
        digests.accept(tx, mine, told.ended_at, reference.get("dedup_key"))
        kept = {id(row) for row in mine}
        _forget(tx, [row for row in rows if id(row) not in kept])
        deliveries.insert(tx, [_delivery(row, told) for row in mine])
        self._meter.folded.add(kind, amount=len(mine))
        paged = {
            (row.incident_id, row.slot) for row in mine if row.queue == PAGE and parse_page_slot(row.slot).round > 1
        }
        again = cursors.wake_pages(tx, paged, ledger.now)
        return True, _joined(work, work_of(again, {}))

    def _accepted(self, row: Any, told: _Told) -> Accepted:
        since = row.behind_since - self._pace.mark if row.behind_since else told.bundle.started_at
        paging = row.queue == PAGE
        return Accepted(
            destination=row.destination,
            slot=row.slot,
            paged=paging,
            round=parse_page_slot(row.slot).round if paging else 0,
            took_ms=max(0, (told.ended_at - since) // timedelta(milliseconds=1)),
            attempts=told.bundle.cursor.attempts + 1,
            answers=row.told,
            digest=told.bundle.digest.id,
        )

    def _fall_back(self, tx: Connection, *, told: _Told, after: list[str]) -> tuple[bool, Work]:
        """Pages that nobody has got, and that somebody still has to, go out elsewhere too.

        ``after`` holds the incident behind which this step begins, and then the one for the next.
        """
        digest = told.bundle.digest
        ids = digests.unaccepted(tx, digest.id, digest.turn, _CHUNK, after[0])
        ledger = Ledger(tx, self._rulebook, self._now(), self._pace.mark)
        ledger.load(ids=ids)
        for row in digests.lock_unaccepted(tx, digest.id, digest.turn, ids):
            if fallback := missing_stand_in(self._rulebook, ledger.get(row.incident_id), row.destination):
                ledger.decide(row.incident_id, Delivered(FellBack(row.destination, fallback, str(told.came_to))))
        after[0] = ids[-1] if ids else ""
        return len(ids) == _CHUNK, ledger.flush()


_OPEN = (State.TRIGGERED, State.ACKNOWLEDGED, State.RECOVERING)


def _may_call(digest: Digest, now: datetime) -> bool:
    return digest.replied_at is None or now >= digest.replied_at + CALLS_APART


def _is_answered(news: DigestNews, receipt: Receipt) -> bool:
    """Whether the shared page wakes nobody any more."""
    return receipt.reference.get("sent") in ("acknowledge", "resolve") or not news.of(*_OPEN)


def _fails_for_long(told: _Told) -> bool:
    if told.bundle.digest.queue != PAGE or told.bundle.cursor.accepted_at is not None:
        return False
    return isinstance(told.came_to, PermanentError) or told.bundle.cursor.attempts + 1 >= FALLBACK_AFTER


def _needs_page(ledger: Ledger, row: Any) -> bool:
    incident = ledger.get(row.incident_id)
    return incident is not None and incident.state is State.TRIGGERED


def _forget(tx: Connection, rows: Sequence[Any]) -> None:
    """Pages that nobody needs any more: they were answered before they were told."""
    for row in rows:
        digests.drop(tx, row.incident_id, row.destination, row.slot)


def _delivery(row: Any, told: _Told) -> Delivery:
    bundle = told.bundle
    detail = f"in a digest of {told.news.total}"
    return Delivery(
        incident_id=row.incident_id,
        destination=row.destination,
        slot=row.slot,
        upto=row.told,
        attempt=bundle.cursor.attempts + 1,
        started_at=bundle.started_at,
        ended_at=told.ended_at,
        outcome=Outcome.ACCEPTED,
        detail=detail,
    )


def _joined(one: Work, other: Work) -> Work:
    return {queue: [*one.get(queue, ()), *other.get(queue, ())] for queue in {*one, *other}}
