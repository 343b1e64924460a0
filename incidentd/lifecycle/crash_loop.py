"""A supervisor tells, through the database, of a child that dies again and again; web parts say so."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from queue import SimpleQueue

from incidentd.errors import SchemaError, StoreError
from incidentd.store import pings
from incidentd.store.engine import Store

LASTS = timedelta(seconds=30)
"""For so long a death is remembered: longer than the pause before the next one."""


def looping(crashes: dict[str, datetime], now: datetime) -> tuple[str, ...]:
    """The children that die again and again now, sorted."""
    return tuple(sorted(name for name, at in crashes.items() if now - LASTS < at <= now + LASTS))


def in_words(names: tuple[str, ...]) -> str:
    """``escalate and page end as soon as they start``."""
    *others, last = names
    verb = "end as soon as they start" if others else "ends as soon as it starts"
    return f"{', '.join(others)}{' and ' if others else ''}{last} {verb}"


class CrashBook:
    """Writes each death down in a thread of its own: the supervisor must never wait for a database."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._deaths: SimpleQueue[str] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def note(self, child: str) -> None:
        """A child died once more as soon as it had started. Never waits."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="crash-book", daemon=True)
            self._thread.start()
        self._deaths.put(child)

    def _run(self) -> None:
        while True:
            self._write(self._deaths.get())

    def _write(self, child: str) -> None:
        try:
            self._store.write(lambda tx: pings.note_crash(tx, self._now(), child))
        except (StoreError, SchemaError):
            # The next death is written down when the database is back.
            return
