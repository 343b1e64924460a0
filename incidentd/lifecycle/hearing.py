"""When firing alerts were last heard of: noted in memory as notifications come, stored now and then.

A repeat writes nothing; so this is what tells an alert that is repeated from one of which nothing is heard any more.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from incidentd.lifecycle.heard import Heard
from incidentd.store import hearings
from incidentd.store.engine import Store

LONGEST_PAUSE = timedelta(minutes=10)
_MOST = 200_000
"""Fingerprints kept between two times of storing; more than that are a storm, and news by themselves."""


class Hearing:
    """Safe for use by several threads. ``pause``: how much later than heard an alert may be stored as heard."""

    def __init__(self, store: Store, now: Callable[[], datetime], patience: timedelta) -> None:
        self._store = store
        self._now = now
        self.pause = min(LONGEST_PAUSE, patience / 10)
        self._lock = threading.Lock()
        self._heard: dict[str, datetime] = {}
        self._stored_at: datetime | None = None

    def note(self, heard: Iterable[Heard]) -> None:
        """These were in a notification that is stored, or that said nothing new."""
        self.note_all(each.alert.fingerprint for each in heard if each.alert.firing and each.quiet is None)

    def note_all(self, fingerprints: Iterable[str]) -> None:
        """These fire, whoever says so."""
        now = self._now()
        heard = dict.fromkeys(fingerprints, now)
        with self._lock:
            if len(self._heard) < _MOST:
                self._heard |= heard

    def store(self) -> None:
        """Store what was heard, if it is time.

        Raises:
            StoreError: it can't be stored; the next time it is.
        """
        now = self._now()
        if self._stored_at is None:
            self._stored_at = now
        if timedelta(0) <= now - self._stored_at < self.pause:
            return
        with self._lock:
            heard, self._heard = self._heard, {}
        try:
            if heard:
                self._store.write(lambda tx: hearings.note(tx, heard))
            self._stored_at = now
        except BaseException:
            with self._lock:
                self._heard = heard | self._heard
            raise
