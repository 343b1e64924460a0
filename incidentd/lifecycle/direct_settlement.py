"""What becomes of a page that was sent without the database when that is back."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.incident.command import Delivered
from incidentd.jobs import Work
from incidentd.lifecycle.direct_page import DirectPage, is_own
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.page_folder import Kept, PageFolder
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Webhook
from incidentd.store import alerts, cursors, entries
from incidentd.store.engine import Store
from incidentd.timeline import PagedDirectly

REPLAY_SECONDS = 3.0


class DirectSettlement:
    """``submit`` is the way into the store, ``hand_over`` takes what is to be done next; ``mark`` is their lease.

    A try without an end is waited for during ``lease``: what is resolved before it arrives is open for good.
    """

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        folder: PageFolder,
        now: Callable[[], datetime],
        submit: "Callable[[Webhook], Future[bool]]",
        hand_over: Callable[[Work], None],
        lease: timedelta,
        mark: timedelta,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._folder = folder
        self._now = now
        self._submit = submit
        self._hand_over = hand_over
        self._lease = lease
        self._mark = mark
        self._stored: set[str] = set()

    def take_in(self, kept: Kept) -> None:
        """Store its alerts, once. Of one that is known to have ended since, the end counts.

        Raises:
            StoreUnavailableError: the database is still away.
            TimeoutError: nobody knows whether they are stored.
        """
        if kept.stored or kept.page.name in self._stored:
            return
        if left := self._store.read(lambda tx: _not_ended(tx, kept.page.alerts)):
            self._submit(Webhook(left, kept.page.source)).result(REPLAY_SECONDS)
        # The note may fail, on a full disk; then this process knows at least.
        self._stored.add(kept.page.name)
        self._folder.note_stored(kept.page)

    def settle(self, kept: Kept, end: Callable[[DirectPage], None]) -> None:
        """See whose page it was, once its alerts are stored. ``end`` resolves it at its receiver.

        Raises:
            StoreUnavailableError: the database is away again.
            TransientError: its page is to be resolved, and the receiver does not take that now.
        """
        page, since = kept.page, kept.under_way_since
        if since and self._now() < since + self._lease:
            return
        if kept.paged_at:
            own = self._store.read(lambda tx: self._is_own(tx, page))
            if own is None:
                return
            if not own:
                end(page)
            self._hand_over(self._store.write(lambda tx: self._note(tx, kept, own=own)))
        self._folder.forget(kept)
        self._stored.discard(page.name)

    def _ledger(self, tx: Connection, page: DirectPage) -> Ledger:
        ledger = Ledger(tx, self._rulebook, self._now(), self._mark)
        ledger.load(keys={page.incident.key})
        return ledger

    def _is_own(self, tx: Connection, page: DirectPage) -> bool | None:
        """Whether an incident goes on with it, as its own page was accepted under the same key. None: not known yet.

        Where somebody answers before its own is sent, that never is: nothing would ever end this one.
        """
        holder = self._ledger(tx, page).holder(page.incident.key)
        if holder is None or not is_own(holder, page):
            return False
        carrier = cursors.carrier(tx, (holder.id, page.destination, page.slot))
        if carrier is None:
            return False
        if carrier.page_key == page.dedup_key:
            return True
        if carrier.page_key or carrier.digest:
            return False
        return False if holder.acknowledgement and not carrier.may_be_sent else None

    def _note(self, tx: Connection, kept: Kept, *, own: bool) -> Work:
        """An entry in the incident that holds the key now, once."""
        page, ledger = kept.page, self._ledger(tx, kept.page)
        holder = ledger.holder(page.incident.key)
        if holder is not None and kept.paged_at and not _is_noted(tx, holder.id, page):
            uncertain = kept.accepted_at is None
            fact = PagedDirectly(page.destination, page.dedup_key, kept.paged_at, own, uncertain)
            ledger.decide(holder.id, Delivered(fact))
        return ledger.flush()


def _not_ended(tx: Connection, fired: Sequence[Alert]) -> tuple[Alert, ...]:
    """Of these episodes, those that may still go on; one that is known to may have risen to another tier."""
    known = alerts.latest(tx, {alert.fingerprint for alert in fired})
    return tuple(alert for alert in fired if not _has_ended(alert, known.get(alert.fingerprint)))


def _has_ended(alert: Alert, known: alerts.Known | None) -> bool:
    if known is None or known.starts_at < alert.starts_at:
        return False
    return known.starts_at > alert.starts_at or not known.firing


def _is_noted(tx: Connection, incident_id: str, page: DirectPage) -> bool:
    facts = [entry.data for entry in entries.load(tx, incident_id) if isinstance(entry.data, PagedDirectly)]
    return (page.destination, page.dedup_key) in {(fact.destination, fact.dedup_key) for fact in facts}
