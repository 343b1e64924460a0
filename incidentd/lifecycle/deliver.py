"""Delivering: lease cursors, send side by side, write each acceptance as it arrives."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import random

import structlog
from sqlalchemy.engine import Connection

from incidentd.channels.channel import Channel, Receipt
from incidentd.errors import (
    ConflictError,
    DeliveryError,
    PermanentError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
    UncertainError,
)
from incidentd.jobs import Work
from incidentd.lifecycle.claim import Bundle, Claim, Survey, put_off, relieve, survey, survey_folded, take
from incidentd.lifecycle.digest import DigestSender
from incidentd.lifecycle.heard import internal
from incidentd.lifecycle.ledger import Ledger, work_of
from incidentd.lifecycle.limit import give_back
from incidentd.lifecycle.pace import Pace
from incidentd.lifecycle.parcel import Packer, Parcel
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.record import Recorded, Recorder, Result, unrecorded
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.tally import tally
from incidentd.lifecycle.work import Complaint
from incidentd.meter import Meter
from incidentd.process.failpoint import failpoint
from incidentd.process.group_commit import GroupCommit
from incidentd.process.log import together
from incidentd.store import cursors, incidents
from incidentd.store.engine import Store
from incidentd.tier import Tier

WIDTH = 128
_RECORD_PAUSE_SECONDS = 0.5
# In a storm most of what a claim costs is the same for one and for many.
_ROOM_SECONDS = 0.1
_LOOKS = 3
AT_ONCE = 1
"""Of so many incidents, what there is to tell is looked up and leased in one transaction."""
# Where a claim has room for more than it finds, nobody has to look again: few incidents have so much to tell at once.
_SLOTS = 4
_NOTHING = Claim([], more=False)

log = structlog.get_logger("incidentd.deliver")


class Sender:
    """The sender of one process. ``deliver`` returns when all that it claimed is on its way; ``close`` waits for it."""

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
        self._recorder = Recorder(new_id, random)
        self._digests = DigestSender(store, rulebook, packer, channels, now, new_id, pace, hand_over, meter)
        self._results: GroupCommit[Result, None] = GroupCommit(self._record, name="recorder")
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="sender")
        self._free = threading.Semaphore(WIDTH)
        self._winding_down = False

    def deliver(self, queue: str, ids: Sequence[str]) -> None:
        """Send what these incidents have to tell in this queue. One that can't be told holds up no other.

        A few at a time: others may have got the same ids, and whoever comes second is to find something else to do.

        What is left after ``wind_down`` is found again once its mark is over.

        Raises:
            StoreUnavailableError: nothing more can be claimed now; what was claimed is on its way.
        """
        if len(ids) > WIDTH:
            self._relieve(queue, ids)
        for start in range(0, len(ids), WIDTH):
            self._deliver(queue, ids[start : start + WIDTH])

    def _relieve(self, queue: str, ids: Sequence[str]) -> None:
        """What needs no sender of its own, of all of them at once: in a storm that is nearly all."""
        now, packer, new_id = self._now(), self._packer, self._new_id
        try:
            folded = self._store.read(lambda tx: survey_folded(tx, packer, ids, queue=queue, now=now, new_id=new_id))
            self._store.write(lambda tx: relieve(tx, packer, folded, ids, queue=queue, now=now))
        except (StoreError, SchemaError):
            raise
        except Exception:  # whatever is wrong with one is found where they are taken a few at a time
            log.exception("not relieved", incidents=len(ids), queue=queue)

    def _deliver(self, queue: str, ids: Sequence[str]) -> None:
        more = True
        while more:
            room = self._wait_for_room(len(ids))
            if self._winding_down:
                self._free.release(room)
                return
            claimed: Claim | None = None
            try:
                claimed = self._claim_sound(queue, ids, room)
            finally:
                if unused := room - (len(claimed.parcels) + len(claimed.bundles) if claimed else 0):
                    self._free.release(unused)
            if claimed is None:
                self._part(queue, ids)
                return
            for parcel in claimed.parcels:
                self._pool.submit(self._send, parcel)
            for bundle in claimed.bundles:
                self._pool.submit(self._send_digest, bundle)
            more = claimed.more

    def _claim_sound(self, queue: str, ids: Sequence[str], room: int) -> Claim | None:
        """None: there is one among them of which nothing can be made."""
        try:
            return self._claim(queue, ids, room)
        except (StoreError, SchemaError):
            raise
        except Exception:  # whatever is wrong with one, the others are to be told
            log.exception("can't be told", incidents=len(ids), first=ids[0], queue=queue)
            return None

    def _part(self, queue: str, ids: Sequence[str]) -> None:
        """Halve until the one is found."""
        half = len(ids) // 2
        if half:
            self._deliver(queue, ids[:half])
            self._deliver(queue, ids[half:])
        else:
            self._put_off(queue, ids[0])

    def wind_down(self) -> None:
        """Claim nothing more. Waits for nothing, and may be called from a signal handler."""
        self._winding_down = True

    def close(self) -> None:
        """Finish what is on its way, and record it."""
        self.wind_down()
        end = time.monotonic() + self._pace.lease.total_seconds()
        finished = [self._free.acquire(timeout=max(0.0, end - time.monotonic())) for _ in range(WIDTH)]
        # Whoever waits for room, or closes again, is to wait for nobody.
        for _ in range(sum(finished)):
            self._free.release()
        self._pool.shutdown(wait=True)
        self._results.close()

    def _put_off(self, queue: str, incident_id: str) -> None:
        """Nothing can be made of this incident: try again later and later, and say so once."""
        found = self._store.write(lambda tx: put_off(tx, incident_id, queue, self._now(), random))
        if any(cursor.attempts == 0 for cursor in found):
            self._complain(f"incident {incident_id} can't be told to {found[0].destination}")

    def _complain(self, detail: str) -> None:
        """An incident of our own, the same for all: whatever is wrong with it too must not raise another."""

        def work(tx: Connection) -> tuple[Work, list[Tier]]:
            ledger = Ledger(tx, self._rulebook, self._now(), self._pace.mark)
            receive(ledger, [[internal(Complaint("delivery", detail), "sender", ledger.now)]], self._new_id)
            return ledger.flush(), ledger.opened

        try:
            following, opened = self._store.write(work)
            self._hand_over(following)
            self._count_opened(opened)
        except Exception:  # what it complains of may befall it too; all that was to be done is done
            log.exception("not complained", detail=detail)

    def _count_opened(self, tiers: Sequence[Tier]) -> None:
        for tier in tiers:
            self._meter.opened.add(tier)

    def _wait_for_room(self, incidents: int) -> int:
        """Room for one of each, or what there is of it a moment after there is some: claims cost by the claim.

        What is free beyond that is taken too.
        """
        self._free.acquire()
        end = time.monotonic() + _ROOM_SECONDS
        room = 1
        while room < min(incidents, WIDTH) and self._free.acquire(timeout=max(0.0, end - time.monotonic())):
            room += 1
        while room < min(incidents * _SLOTS, WIDTH) and self._free.acquire(blocking=False):
            room += 1
        return room

    def _claim(self, queue: str, ids: Sequence[str], limit: int) -> Claim:
        claim = self._claim_at_once if len(ids) <= AT_ONCE else self._claim_in_two
        for _ in range(_LOOKS):
            claimed = claim(queue, ids, limit)
            if claimed.parcels or claimed.bundles or not claimed.overtaken:
                return claimed
        # What all others tell of one incident changes it again and again; the timekeeper would come after seconds only.
        claimed = self._store.write(partial(self._survey_and_take, ids=ids, queue=queue, limit=limit, alone=True))
        failpoint("claim.after_commit")
        return claimed if claimed.parcels or claimed.bundles else replace(claimed, more=False)

    def _claim_at_once(self, queue: str, ids: Sequence[str], limit: int) -> Claim:
        """For few incidents a transaction costs more than that others wait for it."""
        claimed = self._store.write(partial(self._survey_and_take, ids=ids, queue=queue, limit=limit))
        failpoint("claim.after_commit")
        return claimed

    def _claim_in_two(self, queue: str, ids: Sequence[str], limit: int) -> Claim:
        """Many are packed before anything is locked."""
        found = self._store.read(partial(self._survey, ids=ids, queue=queue, limit=limit))
        if not found.cursors:
            return _NOTHING
        claimed = self._store.write(partial(self._take, surveyed=found, queue=queue, limit=limit))
        failpoint("claim.after_commit")
        return claimed

    def _survey_and_take(
        self, tx: Connection, *, ids: Sequence[str], queue: str, limit: int, alone: bool = False
    ) -> Claim:
        """``alone``: nobody else changes these incidents meanwhile; they may be many, and digests among them."""
        if alone:
            incidents.lock(tx, ids=ids)
        found = self._survey(tx, ids=ids, queue=queue, limit=limit, locking=not alone)
        return self._take(tx, surveyed=found, queue=queue, limit=limit) if found.cursors else _NOTHING

    def _survey(self, tx: Connection, *, ids: Sequence[str], queue: str, limit: int, locking: bool = False) -> Survey:
        return survey(
            tx,
            self._packer,
            self._channels,
            ids,
            queue=queue,
            limit=limit,
            now=self._now(),
            new_id=self._new_id,
            locking=locking,
        )

    def _take(self, tx: Connection, *, surveyed: Survey, queue: str, limit: int) -> Claim:
        # Not the time of the survey: whoever was frozen in between would take a lease that is over already.
        return take(
            tx,
            self._packer,
            surveyed,
            queue=queue,
            limit=limit,
            now=self._now(),
            lease=self._pace.lease,
            new_id=self._new_id,
        )

    def _send_digest(self, bundle: Bundle) -> None:
        try:
            self._digests.send(bundle)
        except (StoreUnavailableError, ConflictError) as error:
            log.warning("digest waits", cause=type(error).__name__, **_named(bundle))
        except Exception:  # the edge of a sender's thread; once the lease is over the digest is found again
            log.exception("digest failed", **_named(bundle))
        finally:
            self._free.release()

    def _send(self, parcel: Parcel) -> None:
        try:
            came_to = parcel.silent or self._try(parcel)
            failpoint("send.after")
            self._hand_in(Result(parcel, came_to, self._now()))
        except Exception:  # the edge of a sender's thread, where nobody waits for what it raises
            log.exception("sender failed", incident=parcel.cursor.incident_id, destination=parcel.cursor.destination)
            self._free.release()

    def _try(self, parcel: Parcel) -> Receipt | DeliveryError:
        destination = parcel.destination
        if destination is None:
            return PermanentError("the rules have no such destination any more, or its secret is not set")
        failpoint("send.before")
        try:
            return self._channels[destination.kind].deliver(destination, parcel.news, seconds=self._pace.http_seconds)
        except DeliveryError as error:
            return error
        except Exception as error:  # the edge of a sender's thread: a fault of ours loses no page
            log.exception("channel failed", kind=destination.kind)
            return UncertainError(f"incidentd itself failed ({type(error).__name__})")

    def _hand_in(self, result: Result) -> None:
        """To be recorded. Nobody waits for that: to wake a thread for each is a good part of what a page costs."""
        try:
            self._results.submit(result).add_done_callback(partial(self._handed_in, result))
        except StoreUnavailableError:
            self._keep(result)

    def _handed_in(self, result: Result, recorded: "Future[None]") -> None:
        if recorded.exception() is None:
            self._free.release()
        else:
            self._pool.submit(self._keep, result)

    def _keep(self, result: Result) -> None:
        """Record, again and again until the lease is over: what was accepted is not to be sent twice."""
        try:
            self._insist(result)
        except Exception:  # the edge of a sender's thread, where nobody waits for what it raises
            log.exception("delivery not recorded", **_about(result))
        finally:
            self._free.release()

    def _insist(self, result: Result) -> None:
        end = time.monotonic() + self._pace.lease.total_seconds()
        while True:
            time.sleep(_RECORD_PAUSE_SECONDS)
            try:
                self._results.submit(result).result()
            except (StoreUnavailableError, ConflictError):
                if time.monotonic() > end:
                    raise
            except Exception:  # whatever is wrong with its incident: the cursor at least is to know
                log.exception("delivery not recorded", **_about(result))
                self._store.write(lambda tx: cursors.settle(tx, [unrecorded(result, self._now(), random)]))
                return
            else:
                return

    def _record(self, results: list[Result]) -> list[None]:
        now = self._now()

        def work(tx: Connection) -> Recorded:
            ledger = Ledger(tx, self._rulebook, now, self._pace.mark)
            recorded = self._recorder.record(ledger, results)
            failpoint("cursor.before_commit")
            return recorded

        recorded = self._store.write(work)
        failpoint("cursor.after_commit")
        self._hand_over(recorded.work)
        self._hand_over(work_of(recorded.again, {}))
        tally(self._meter, recorded.deliveries, self._pace.mark)
        self._count_opened(recorded.opened)
        self._give_back([result.parcel for result in results if _came_to_nothing(result.came_to)])
        with together():
            for result in results:
                _tell_log(result)
        return [None] * len(results)

    def _give_back(self, refused: Sequence[Parcel]) -> None:
        """After the results are written, not with them: whoever claims waits for a bucket, and not for those."""
        if any(parcel.cursor.is_new for parcel in refused):
            # Their places come free by themselves within a minute.
            with suppress(StoreError):
                self._store.write(lambda tx: give_back(tx, refused))


def _came_to_nothing(came_to: Receipt | DeliveryError) -> bool:
    return isinstance(came_to, DeliveryError) and not isinstance(came_to, UncertainError)


def _tell_log(result: Result) -> None:
    if isinstance(result.came_to, Receipt):
        log.info("delivery", outcome="accepted" if result.came_to.sent else "nothing to say", **_about(result))
    else:
        log.warning("delivery", outcome="failed", cause=str(result.came_to), **_about(result))


def _named(bundle: Bundle) -> dict[str, object]:
    return {"digest": bundle.digest.id, "destination": bundle.digest.destination}


def _about(result: Result) -> dict[str, object]:
    cursor = result.parcel.cursor
    return {
        "incident": cursor.incident_id,
        "destination": cursor.destination,
        "slot": cursor.slot,
        "upto": result.parcel.upto,
        "attempt": cursor.attempts + 1,
        "ms": (result.ended_at - result.parcel.started_at) // timedelta(milliseconds=1),
    }
