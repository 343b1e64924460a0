"""While a notification can't be stored, the P0s in it are paged all the same, from memory.

Each page is kept in a folder, on disk before it is sent. When the database is back its alerts are taken in as if they
had come just then. The incident that they open or meet goes on with the page as its own where it is the same alert at
the receiver; every other one is resolved there. All this may happen twice, after a crash, and does no harm then.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from random import random

import structlog
from sqlalchemy.engine import Connection

from incidentd.channels.backoff import next_try
from incidentd.channels.channel import Channel, Receipt
from incidentd.errors import DeliveryError, IncidentdError, TransientError, UncertainError
from incidentd.incident.command import Delivered
from incidentd.jobs import Work
from incidentd.lifecycle.direct_page import DirectPage, direct_pages, dump, ended, is_own, load
from incidentd.lifecycle.heard import Heard, heard
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.pace import Pace
from incidentd.lifecycle.parcel import Packer, specification
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Webhook
from incidentd.meter import Meter
from incidentd.process.spool import Spool
from incidentd.store import cursors, entries
from incidentd.store.engine import Store
from incidentd.tier import Tier
from incidentd.timeline import PagedDirectly

LOOK_SECONDS = 1.0
REPLAY_SECONDS = 3.0
_WIDTH = 8
_REMEMBERED = 20_000

log = structlog.get_logger("incidentd.direct")


class DirectPager:
    """Belongs to a web process. ``submit`` is the way into the store, ``hand_over`` takes what is to be done next."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        packer: Packer,
        channels: Mapping[str, Channel],
        spool: Spool,
        now: Callable[[], datetime],
        submit: "Callable[[Webhook], Future[bool]]",
        hand_over: Callable[[Work], None],
        meter: Meter,
        pace: Pace,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._packer = packer
        self._channels = channels
        self._spool = spool
        self._now = now
        self._submit = submit
        self._hand_over = hand_over
        self._meter = meter
        self._pace = pace
        self._tries: dict[str, tuple[int, datetime]] = {}
        self._accepted: set[str] = set()
        self._in_hand: set[str] = set()
        self._lock = threading.Lock()
        self._stored: set[tuple[str, datetime]] = set()
        self._pool = ThreadPoolExecutor(_WIDTH, "direct-page")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look after the folder from now on; there may be pages of an earlier process in it."""
        self._thread = threading.Thread(target=self._run, name="direct", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what is being sent; the rest stays in the folder for the next start."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        self._pool.shutdown()

    def remember(self, stored: Iterable[Heard]) -> None:
        """These alerts are stored: whom they wake is decided already, also while the database is away."""
        urgent = {(h.alert.fingerprint, h.alert.starts_at) for h in stored if h.verdict.tier is Tier.P0}
        if urgent:
            if len(self._stored) > _REMEMBERED:
                self._stored.clear()
            self._stored |= urgent

    def page(self, webhook: Webhook) -> None:
        """Page the P0s of a notification that could not be stored. Never blocks; never fails."""
        self._pool.submit(self._page, webhook)

    def _page(self, webhook: Webhook) -> None:
        try:
            self._page_all(webhook)
        except Exception:  # the edge of a thread whose result nobody asks for
            log.exception("direct_page_failed")

    def _page_all(self, webhook: Webhook) -> None:
        now = self._now()
        unstored = [h for h in heard(webhook, self._rulebook.classifier, now) if _place(h) not in self._stored]
        for page in direct_pages(unstored, webhook.source, self._rulebook, now):
            with self._alone_with(page.name) as alone:
                if alone and self._is_first(page):
                    self._try(page, refused=True)

    def _is_first(self, page: DirectPage) -> bool:
        """Whether nobody on this machine has sent it yet.

        Without a folder to write to it is sent all the same: with each notification of it, until it is accepted.
        """
        try:
            return self._spool.put(page.name, dump(page))
        except OSError as error:
            log.error("direct_page_not_kept", cause=type(error).__name__, destination=page.destination)  # noqa: TRY400
            return page.name not in self._accepted

    def _try(self, page: DirectPage, *, refused: bool) -> None:
        """Send it, and keep what came of it. ``refused``: so was every earlier try, if there was one."""
        attempts, _ = self._tries.get(page.name, (0, self._now()))
        came_to = self._sent(page)
        if isinstance(came_to, Receipt):
            self._tries[page.name] = (attempts, self._now())
            self._note_accepted(page)
            self._meter.direct_pages.add("accepted")
            self._keep(replace(page, paged_at=self._now()))
            log.warning("direct_page", outcome="accepted", destination=page.destination, key=page.incident.key)
            return
        if refused and not isinstance(came_to, UncertainError):
            self._keep(replace(page, refused=True))
        wait = came_to.retry_after if isinstance(came_to, TransientError) else None
        self._tries[page.name] = (attempts + 1, next_try(attempts + 1, wait, self._now(), random))
        self._meter.direct_pages.add("failed")
        log.warning("direct_page", outcome="failed", destination=page.destination, cause=str(came_to))

    def _note_accepted(self, page: DirectPage) -> None:
        if len(self._accepted) > _REMEMBERED:
            self._accepted.clear()
        self._accepted.add(page.name)

    def _keep(self, page: DirectPage) -> None:
        try:
            self._spool.replace(page.name, dump(page))
        except OSError as error:
            log.error("direct_page_not_kept", cause=type(error).__name__, destination=page.destination)  # noqa: TRY400

    def _sent(self, page: DirectPage, *, end: bool = False) -> Receipt | DeliveryError | None:
        """What came of telling the receiver; ``end`` resolves the page. None: there is no such destination."""
        spec = specification(self._rulebook, page.incident, page.destination)
        destination = self._packer.resolve(spec) if spec else None
        if destination is None:
            return None
        now = self._now()
        shown = heard(Webhook(page.alerts, page.source), self._rulebook.classifier, now)
        news = self._packer.unstored(ended(page.incident, now) if end else page.incident, page.slot, shown)
        if end:
            news = replace(news, reference={"dedup_key": page.dedup_key, "sent": "trigger"})
        try:
            return self._channels[destination.kind].deliver(destination, news, seconds=self._pace.http_seconds)
        except DeliveryError as error:
            return error
        except Exception as error:  # a fault of ours in one page holds up no other
            log.exception("channel failed", kind=destination.kind)
            return UncertainError(f"incidentd itself failed ({type(error).__name__})")

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except (IncidentdError, TimeoutError) as error:
                log.warning("direct_pages_wait", cause=type(error).__name__)
            except Exception:
                log.exception("direct_pages_wait")

    def look(self) -> None:
        """Settle all with the database when it is back; while it is away, send again what was not accepted yet.

        In that order: of what is stored, the incident knows whether its page is still to be sent.

        Raises:
            StoreUnavailableError: the database is still away.
            TransientError: a receiver is, which holds up no page of another one.
        """
        away: Exception | None = None
        waits: TransientError | None = None
        for name in self._spool.names():
            with self._alone_with(name) as alone:
                page = self._kept(name) if alone and not self._stopping.is_set() else None
                failure = (away or self._unsettled(page)) if page else None
                if isinstance(failure, TransientError):
                    waits = failure
                elif page and failure:
                    away = failure
                    self._try_again_if_due(page)
        if failure := away or waits:
            raise failure

    def _unsettled(self, page: DirectPage) -> Exception | None:
        """What kept a page from being settled. Whatever it is, the page is sent from here meanwhile."""
        try:
            self._settle(page)
        except Exception as error:  # noqa: BLE001 - raised once all are looked at
            return error
        return None

    def _try_again_if_due(self, page: DirectPage) -> None:
        """Not what was accepted, as far as its note and this process know.

        The note says beforehand that it may be accepted: nobody knows what becomes of its sender.
        """
        due = self._tries.get(page.name, (0, self._now()))[1]
        accepted = page.paged_at is not None or page.name in self._accepted
        if accepted or due > self._now():
            return
        if page.refused:
            self._keep(replace(page, refused=False))
        self._try(replace(page, refused=False), refused=page.refused)

    @contextmanager
    def _alone_with(self, name: str) -> Iterator[bool]:
        """Whether no other thread has this page in hand: whoever comes second would send it again."""
        with self._lock:
            alone = name not in self._in_hand
            self._in_hand.add(name)
        try:
            yield alone
        finally:
            if alone:
                with self._lock:
                    self._in_hand.remove(name)

    def _kept(self, name: str) -> DirectPage | None:
        """A page as its note says. One that can't be read is of an older version: it was sent when it was made."""
        note = self._spool.note(name)
        try:
            return None if note is None else load(note)
        except ValueError:
            log.error("direct_page_unreadable", note=name)  # noqa: TRY400 - the text may hold what nobody may read
            self._spool.remove(name)
            return None

    def _settle(self, page: DirectPage) -> None:
        """Take its alerts in, and see whose page it was.

        Raises:
            StoreUnavailableError: the database is still away.
            TransientError: its page is to be resolved, and the receiver does not take that now.
        """
        self._submit(Webhook(page.alerts, page.source)).result(REPLAY_SECONDS)
        if not page.refused:
            if not self._store.read(lambda tx: self._is_own(tx, page)):
                self._end(page)
            self._hand_over(self._store.write(lambda tx: self._note(tx, page)))
        self._spool.remove(page.name)
        self._tries.pop(page.name, None)

    def _end(self, page: DirectPage) -> None:
        """Resolve it at its receiver.

        Raises:
            TransientError: the receiver does not take that now.
        """
        came_to = self._sent(page, end=True)
        if isinstance(came_to, TransientError):
            raise came_to
        self._meter.direct_pages.add("resolved")
        log.warning("direct_page", outcome="resolved", destination=page.destination, key=page.incident.key)

    def _ledger(self, tx: Connection, page: DirectPage) -> Ledger:
        ledger = Ledger(tx, self._rulebook, self._now(), self._pace.mark)
        ledger.load(keys={page.incident.key})
        return ledger

    def _is_own(self, tx: Connection, page: DirectPage) -> bool:
        return is_own(self._ledger(tx, page).holder(page.incident.key), page)

    def _note(self, tx: Connection, page: DirectPage) -> Work:
        """An entry in the incident that holds the key now, once."""
        ledger = self._ledger(tx, page)
        holder = ledger.holder(page.incident.key)
        if holder is not None and not _is_noted(tx, holder.id, page):
            own, at = is_own(holder, page), page.paged_at or page.incident.opened_at
            fact = PagedDirectly(page.destination, page.dedup_key, at, own, uncertain=page.paged_at is None)
            ledger.decide(holder.id, Delivered(fact))
            if own:
                cursors.doubt(tx, (holder.id, page.destination, page.slot), self._now())
        return ledger.flush()


def _place(heard: Heard) -> tuple[str, datetime]:
    return (heard.alert.fingerprint, heard.alert.starts_at)


def _is_noted(tx: Connection, incident_id: str, page: DirectPage) -> bool:
    facts = (entry.data for entry in entries.load(tx, incident_id))
    return any(isinstance(fact, PagedDirectly) and fact.dedup_key == page.dedup_key for fact in facts)
