"""While a notification can't be stored, the P0s in it are paged all the same, from memory.

Each page is kept in a folder, on disk before it is sent. When the database is back its alerts are taken in as if they
had come just then. The incident that they open goes on with the page as its own, once its own page is the same alert at
the receiver; every other one is resolved there. After a crash it is taken in, sent or resolved once more.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from random import random

import structlog

from incidentd.channels.backoff import next_try
from incidentd.channels.channel import Channel, Receipt
from incidentd.errors import DeliveryError, IncidentdError, StoreUnavailableError, TransientError, UncertainError
from incidentd.incident.state import Incident
from incidentd.lifecycle.direct_page import DirectPage, direct_pages, ended
from incidentd.lifecycle.direct_settlement import DirectSettlement
from incidentd.lifecycle.heard import Heard, heard
from incidentd.lifecycle.pace import Pace
from incidentd.lifecycle.page_folder import Kept, PageFolder
from incidentd.lifecycle.parcel import Packer, specification
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Webhook
from incidentd.meter import Meter
from incidentd.tier import Tier

LOOK_SECONDS = 1.0
_WIDTH = 8
_REMEMBERED = 20_000
_FORGET_AFTER = timedelta(minutes=1)

log = structlog.get_logger("incidentd.direct")


class DirectPager:
    """Belongs to a web process. ``settlement`` is what it comes to when the database is back."""

    def __init__(
        self,
        settlement: DirectSettlement,
        rulebook: Rulebook,
        packer: Packer,
        channels: Mapping[str, Channel],
        folder: PageFolder,
        now: Callable[[], datetime],
        meter: Meter,
        pace: Pace,
    ) -> None:
        self._settlement = settlement
        self._rulebook = rulebook
        self._packer = packer
        self._channels = channels
        self._folder = folder
        self._now = now
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
                attempt = self._begun(page) if alone else None
                if attempt is not None:
                    self._try(page, attempt)

    def _begun(self, page: DirectPage) -> str | None:
        """The name of the first try; None where somebody on this machine has sent it.

        Empty without a folder to write to: then it is sent with each notification of it, until it is accepted.
        """
        try:
            return self._folder.put(page, self._now())
        except OSError as error:
            log.error("direct_page_not_kept", cause=type(error).__name__, destination=page.destination)  # noqa: TRY400
            return None if page.name in self._accepted else ""

    def _try(self, page: DirectPage, attempt: str) -> None:
        """Send it, and keep what came of it."""
        attempts, _ = self._tries.get(page.name, (0, self._now()))
        came_to = self._sent(page)
        if isinstance(came_to, Receipt):
            self._tries[page.name] = (attempts, self._now())
            self._note_accepted(page)
            self._meter.direct_pages.add("accepted")
            log.warning("direct_page", outcome="accepted", destination=page.destination, key=page.incident.key)
        else:
            self._put_off(page, came_to)
            self._meter.direct_pages.add("failed")
            log.warning("direct_page", outcome="failed", destination=page.destination, cause=str(came_to))
        if attempt:
            self._keep(page, attempt, came_to)

    def _put_off(self, page: DirectPage, error: DeliveryError | None) -> None:
        attempts, _ = self._tries.get(page.name, (0, self._now()))
        wait = error.retry_after if isinstance(error, TransientError) else None
        self._tries[page.name] = (attempts + 1, next_try(attempts + 1, wait, self._now(), random))

    def _keep(self, page: DirectPage, attempt: str, came_to: Receipt | DeliveryError | None) -> None:
        match came_to:
            case Receipt():
                self._folder.note_accepted(page, attempt, self._now())
            case UncertainError():
                self._folder.note_uncertain(page, attempt, self._now())
            case _:
                self._folder.note_refused(attempt)

    def _note_accepted(self, page: DirectPage) -> None:
        if len(self._accepted) > _REMEMBERED:
            self._accepted.clear()
        self._accepted.add(page.name)

    def _sent(self, page: DirectPage, *, end: bool = False) -> Receipt | DeliveryError | None:
        """What came of telling the receiver; ``end`` resolves the page. None: there is no such destination."""
        now, page = self._now(), replace(page, incident=self._readable(page.incident))
        spec = specification(self._rulebook, page.incident, page.destination)
        destination = self._packer.resolve(spec) if spec else None
        if destination is None:
            return None
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

    def _readable(self, incident: Incident) -> Incident:
        """By the table in force, where the one that it was made by can't be read now."""
        try:
            self._rulebook.version(incident.version)
        except StoreUnavailableError:
            return replace(incident, version=self._rulebook.in_force.version)
        return incident

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
        first: Exception | None = None
        kept_notes = self._folder.notes()
        self._forget_tries(kept_notes)
        for name, notes in kept_notes.items():
            if self._stopping.is_set():
                return
            with self._alone_with(name) as alone:
                kept = self._folder.read(name, notes) if alone else None
                failure = self._go_on(kept, away) if kept else None
            first = first or failure
            if isinstance(failure, StoreUnavailableError | TimeoutError):
                away = failure
        if first:
            raise first

    def _go_on(self, kept: Kept, away: Exception | None) -> Exception | None:
        """What keeps a page from its end. Until its alerts are stored it is sent from here, whatever the cause."""
        failure = away or _failure(lambda: self._settlement.take_in(kept))
        if failure is None:
            return _failure(lambda: self._settlement.settle(kept, self._end))
        if self._is_due(kept):
            return _failure(lambda: self._try(kept.page, self._folder.note_try(kept.page, self._now()))) or failure
        return failure

    def _is_due(self, kept: Kept) -> bool:
        """Whether it is to be sent now: neither stored nor accepted, as far as its notes and this process know."""
        accepted = kept.accepted_at is not None or kept.page.name in self._accepted
        return not kept.stored and not accepted and self._may_be_sent(kept.page)

    def _may_be_sent(self, page: DirectPage) -> bool:
        """Whether its receiver may be asked again."""
        return self._tries.get(page.name, (0, self._now()))[1] <= self._now()

    def _forget_tries(self, kept: Collection[str]) -> None:
        """Of what was settled; what has no note may have been made just now."""
        for name, (_, due) in list(self._tries.items()):
            if name not in kept and due + _FORGET_AFTER < self._now():
                self._tries.pop(name, None)

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

    def _end(self, page: DirectPage) -> None:
        """Resolve it at its receiver.

        Raises:
            TransientError: the receiver does not take that now, or did not a moment ago.
        """
        if not self._may_be_sent(page):
            raise TransientError("its receiver is given time")
        came_to = self._sent(page, end=True)
        if isinstance(came_to, TransientError):
            self._put_off(page, came_to)
            raise came_to
        self._meter.direct_pages.add("resolved")
        log.warning("direct_page", outcome="resolved", destination=page.destination, key=page.incident.key)


def _failure(step: Callable[[], None]) -> Exception | None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - raised once all pages are looked after
        return error
    return None


def _place(heard: Heard) -> tuple[str, datetime]:
    return (heard.alert.fingerprint, heard.alert.starts_at)
