"""Delivering: lease cursors, send side by side, write each acceptance as it arrives."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random

import structlog
from sqlalchemy.engine import Connection

from incidentd.channels.channel import Channel, Receipt
from incidentd.errors import DeliveryError, PermanentError, StoreError, UncertainError
from incidentd.failpoint import failpoint
from incidentd.group_commit import GroupCommit
from incidentd.jobs import Work
from incidentd.lifecycle.claim import Claim, claim
from incidentd.lifecycle.ledger import Ledger, work_of
from incidentd.lifecycle.parcel import Packer, Parcel
from incidentd.lifecycle.receive import NewId
from incidentd.lifecycle.record import Recorder, Result
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.store.engine import Store

WIDTH = 32
_RECORD_PAUSE_SECONDS = 0.5

log = structlog.get_logger("incidentd.deliver")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a sender may hold a cursor, and one request may take in all."""

    lease: timedelta
    mark: timedelta
    http_seconds: float


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
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._packer = packer
        self._channels = channels
        self._now = now
        self._new_id = new_id
        self._pace = pace
        self._hand_over = hand_over
        self._recorder = Recorder(new_id, random)
        self._results: GroupCommit[Result, None] = GroupCommit(self._record, name="recorder")
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="sender")
        self._free = threading.Semaphore(WIDTH)

    def deliver(self, queue: str, ids: Sequence[str]) -> None:
        """Send what these incidents have to tell in this queue.

        Raises:
            StoreUnavailableError: nothing more can be claimed now; what was claimed is on its way.
        """
        more = True
        while more:
            room = self._wait_for_room()
            try:
                claimed = self._claim(queue, ids, room)
            except BaseException:
                self._free.release(room)
                raise
            if room > len(claimed.parcels):
                self._free.release(room - len(claimed.parcels))
            for parcel in claimed.parcels:
                self._pool.submit(self._send, parcel)
            more = claimed.more

    def close(self) -> None:
        """Finish what is on its way, and record it."""
        self._pool.shutdown(wait=True)
        self._results.close()

    def _wait_for_room(self) -> int:
        self._free.acquire()
        room = 1
        while room < WIDTH and self._free.acquire(blocking=False):
            room += 1
        return room

    def _claim(self, queue: str, ids: Sequence[str], limit: int) -> Claim:
        claimed = self._store.write(
            lambda tx: claim(
                tx,
                self._packer,
                ids,
                queue=queue,
                limit=limit,
                now=self._now(),
                lease=self._pace.lease,
                new_id=self._new_id,
            )
        )
        failpoint("claim.after_commit")
        return claimed

    def _send(self, parcel: Parcel) -> None:
        try:
            came_to = self._try(parcel)
            failpoint("send.after")
            self._keep(Result(parcel, came_to, self._now()))
        except Exception:  # the edge of a sender's thread, where nobody waits for what it raises
            log.exception("sender failed", incident=parcel.cursor.incident_id, destination=parcel.cursor.destination)
        finally:
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

    def _keep(self, result: Result) -> None:
        """Record, again and again until the lease is over: what was accepted is not to be sent twice."""
        end = time.monotonic() + self._pace.lease.total_seconds()
        while True:
            try:
                self._results.submit(result).result()
                break
            except StoreError:
                if time.monotonic() > end:
                    log.exception("delivery not recorded", **_about(result))
                    return
                time.sleep(_RECORD_PAUSE_SECONDS)
        _tell_log(result)

    def _record(self, results: list[Result]) -> list[None]:
        now = self._now()

        def work(tx: Connection) -> tuple[Work, set[tuple[str, str]]]:
            ledger = Ledger(tx, self._rulebook, now, self._pace.mark)
            recorded = self._recorder.record(ledger, results)
            failpoint("cursor.before_commit")
            return recorded

        following, again = self._store.write(work)
        failpoint("cursor.after_commit")
        self._hand_over(following)
        self._hand_over(work_of(again, {}))
        return [None] * len(results)


def _tell_log(result: Result) -> None:
    if isinstance(result.came_to, Receipt):
        log.info("delivery", outcome="accepted" if result.came_to.sent else "nothing to say", **_about(result))
    else:
        log.warning("delivery", outcome="failed", cause=str(result.came_to), **_about(result))


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
