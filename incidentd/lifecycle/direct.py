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
from incidentd.store import entries
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
        self._uncertain: dict[str, datetime] = {}
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
                    self._try(page)

    def _is_first(self, page: DirectPage) -> bool:
        """Whether nobody on this machine has sent it yet.

        Without a folder to write to it is sent all the same: with each notification of it, until it is accepted.
        """
        try:
            return self._spool.put(page.name, dump(page))
        except OSError as error:
            log.error("direct_page_not_kept", cause=type(error).__name__, destination=page.destination)  # noqa: TRY400
            return page.name not in self._accepted

    def _try(self, page: DirectPage) -> None:
        """Send it, and keep that it was accepted."""
        attempts, _ = self._tries.get(page.name, (0, self._now()))
        came_to = self._sent(page)
        if isinstance(came_to, Receipt):
            self._tries[page.name] = (attempts, self._now())
            self._note_accepted(page)
            self._meter.direct_pages.add("accepted")
            self._keep(replace(page, paged_at=self._now()))
            log.warning("direct_page", outcome="accepted", destination=page.destination, key=page.incident.key)
            return
        if isinstance(came_to, UncertainError):
            self._uncertain[page.name] = self._now()
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
        """Send again what was not accepted yet; settle all with the database when it is back.

        Raises:
            StoreUnavailableError: the database is still away.
            TransientError: a receiver is, which holds up no page of another one.
        """
        notes = self._spool.notes()
        pages = {name: page for name, text in notes.items() if (page := self._readable(name, text))}
        for page in pages.values():
            with self._alone_with(page.name) as alone:
                if alone and self._is_due(page):
                    self._try(page)
        failure: TransientError | None = None
        for page in pages.values():
            if not self._stopping.is_set():
                try:
                    self._settle_alone(page)
                except TransientError as error:
                    failure = error
        if failure is not None:
            raise failure

    def _is_due(self, page: DirectPage) -> bool:
        """Whether it was not accepted, as far as its note and this process know, and is to be sent now."""
        due = self._tries.get(page.name, (0, self._now()))[1]
        accepted = page.paged_at is not None or page.name in self._accepted
        return not accepted and due <= self._now() and not self._stopping.is_set()

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

    def _readable(self, name: str, text: str) -> DirectPage | None:
        """One that can't be read is of an older version: it was sent when it was made."""
        try:
            return load(text)
        except ValueError:
            log.error("direct_page_unreadable", note=name)  # noqa: TRY400 - the text may hold what nobody may read
            self._spool.remove(name)
            return None

    def _settle_alone(self, page: DirectPage) -> None:
        """Not while it is on its way: what comes of it decides."""
        with self._alone_with(page.name) as alone:
            if alone:
                self._settle(page)

    def _settle(self, page: DirectPage) -> None:
        """Take its alerts in, and see whose page it was.

        Raises:
            StoreUnavailableError: the database is still away.
            TransientError: its page is to be resolved, and the receiver does not take that now.
        """
        self._submit(Webhook(page.alerts, page.source)).result(REPLAY_SECONDS)
        note = self._spool.notes().get(page.name)
        latest = (self._readable(page.name, note) if note else None) or page
        # One whose answer was lost counts as accepted: it may wake somebody, and has to end.
        lost_at = None if latest.paged_at else self._uncertain.get(page.name)
        latest = replace(latest, paged_at=latest.paged_at or lost_at)
        if latest.paged_at and not self._store.read(lambda tx: self._is_own(tx, latest)):
            came_to = self._sent(latest, end=True)
            if isinstance(came_to, TransientError):
                raise came_to
            self._meter.direct_pages.add("resolved")
            log.warning("direct_page", outcome="resolved", destination=page.destination, key=page.incident.key)
        if latest.paged_at:
            self._hand_over(self._store.write(lambda tx: self._note(tx, latest, uncertain=lost_at is not None)))
        self._spool.remove(page.name)
        self._tries.pop(page.name, None)
        self._uncertain.pop(page.name, None)

    def _ledger(self, tx: Connection, page: DirectPage) -> Ledger:
        ledger = Ledger(tx, self._rulebook, self._now(), self._pace.mark)
        ledger.load(keys={page.incident.key})
        return ledger

    def _is_own(self, tx: Connection, page: DirectPage) -> bool:
        return is_own(self._ledger(tx, page).holder(page.incident.key), page)

    def _note(self, tx: Connection, page: DirectPage, *, uncertain: bool) -> Work:
        """An entry in the incident that holds the key now, once."""
        ledger = self._ledger(tx, page)
        holder = ledger.holder(page.incident.key)
        if holder is not None and page.paged_at and not _is_noted(tx, holder.id, page):
            own = is_own(holder, page)
            fact = PagedDirectly(page.destination, page.dedup_key, page.paged_at, own, uncertain)
            ledger.decide(holder.id, Delivered(fact))
        return ledger.flush()


def _place(heard: Heard) -> tuple[str, datetime]:
    return (heard.alert.fingerprint, heard.alert.starts_at)


def _is_noted(tx: Connection, incident_id: str, page: DirectPage) -> bool:
    facts = (entry.data for entry in entries.load(tx, incident_id))
    return any(isinstance(fact, PagedDirectly) and fact.dedup_key == page.dedup_key for fact in facts)
