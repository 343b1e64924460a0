"""Whether what was told still holds: compared with Alertmanager, or asked about, in a thread beside the timekeeper."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import structlog

from incidentd.channels.alertmanager import Alertmanager
from incidentd.errors import StoreError
from incidentd.jobs import Work
from incidentd.lifecycle.amend import Amender
from incidentd.lifecycle.comparison import Patience
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.hearing import Hearing
from incidentd.lifecycle.receive import NewId
from incidentd.lifecycle.reconcile import Manner, Reconciler
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.stale import Asker
from incidentd.meter import Meter
from incidentd.settings import Settings
from incidentd.store.engine import Store

LOOK_SECONDS = 1.0
LET_ALONE_SECONDS = 30.0
LOOKS_UNTIL_GONE = 2

log = structlog.get_logger("incidentd.reconcile")


class Truth:
    """Every process notes what it hears; those with a timekeeper compare and ask, from ``begin`` on."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        rulebook: Rulebook,
        now: Callable[[], datetime],
        new_id: NewId,
        mark: timedelta,
        hand_over: Callable[[Work], None],
        meter: Meter,
    ) -> None:
        patience = timedelta(seconds=settings.stale_seconds)
        self.hearing = Hearing(store, now, patience)
        amender = Amender(store, rulebook, new_id, mark, hand_over, meter)
        token = settings.alertmanager_token.get_secret_value() if settings.alertmanager_token else None
        self.reconciler = Reconciler(
            [Alertmanager(address, token, now) for address in settings.alertmanagers()],
            _manner(settings),
            store,
            rulebook,
            now,
            amender,
            self.hearing.note_all,
        )
        self.asker = Asker(store, rulebook, now, patience, self.hearing.pause, mark, hand_over, meter)
        self._stopping = threading.Event()
        self._interval = min(LOOK_SECONDS, settings.reconcile_seconds)
        self._thread: threading.Thread | None = None

    def note(self, heard: Iterable[Heard]) -> None:
        """These were just told, news or not."""
        self.hearing.note(heard)

    def begin(self) -> None:
        """A timekeeper goes round in this process: compare and ask from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Compare no more. A look that is on its way ends by itself."""
        self._stopping.set()
        if self._thread is None:
            self.reconciler.close()

    def look(self) -> None:
        """One round of all that is due.

        Raises:
            StoreError: the database can't be asked or written; the next look does it.
        """
        self.reconciler.look()
        # What Alertmanager lists was heard of: nobody is asked about that.
        self.hearing.store()
        self.asker.look()

    def _run(self) -> None:
        failing = False
        while not self._stopping.wait(self._interval):
            try:
                self.look()
                failing = False
            except StoreError as error:
                if not failing:
                    log.warning("not_reconciling", cause=type(error).__name__)
                failing = True
            except Exception:
                log.exception("reconciling_crashed")
                self._stopping.wait(LET_ALONE_SECONDS)
        self.reconciler.close()


def _manner(settings: Settings) -> Manner:
    interval = timedelta(seconds=settings.reconcile_seconds)
    patience = Patience(
        gone=LOOKS_UNTIL_GONE * interval,
        untold=timedelta(seconds=settings.reconcile_untold_seconds),
        settled=timedelta(seconds=settings.reconcile_settle_seconds),
    )
    return Manner(settings.receivers(), interval, settings.http_seconds, patience)
