"""Retention: what is older than it must be goes, and reports stay true."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

from sqlalchemy.engine import Connection

from incidentd.classify import parse
from incidentd.errors import RulesError
from incidentd.store import digests, drills, prune
from incidentd.store import rules as stored
from incidentd.store.engine import Store
from incidentd.store.intake import BODIES_KEPT

SHORTEST = timedelta(days=1)
"""Less is never removed: it may be opened again, and somebody may still be reading it."""

AT_ONCE = 20
"""Incidents in one transaction: a few milliseconds, for which webhooks wait."""

PAUSE_SECONDS = 0.02
"""Between two transactions, for those who wait."""

T = TypeVar("T")


@dataclass(slots=True)
class Pruned:
    """How much was removed, or would be."""

    incidents: int = 0
    episodes: int = 0
    bodies: int = 0
    tables: int = 0
    drills: int = 0


class Pruner:
    """Removes in small steps what is older than ``keep``, or with ``dry`` only counts it."""

    def __init__(
        self, store: Store, now: datetime, keep: timedelta, *, dry: bool, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._dry = dry
        self._pause = pause
        self._before = min(now - max(keep, SHORTEST), now - self._reopen_window())
        self._bodies_before = now - min(keep, BODIES_KEPT)
        self.pruned = Pruned()

    def run(self) -> Pruned:
        """All of it; what was removed until then stays removed, should it be stopped.

        Raises:
            StoreUnavailableError: the database can't be used now. What is left goes next time.
        """
        self._prune_incidents()
        self._prune_episodes()
        self.pruned.bodies = self._step(lambda tx: prune.bodies(tx, self._bodies_before, remove=not self._dry))
        self._step(lambda tx: digests.prune(tx, self._before, remove=not self._dry))
        used = self._versions_in_use()
        self.pruned.tables = self._step(lambda tx: prune.tables(tx, self._before, used, remove=not self._dry))
        self.pruned.drills = self._step(lambda tx: drills.prune(tx, self._before, remove=not self._dry))
        return self.pruned

    def _reopen_window(self) -> timedelta:
        """The longest of the table in force."""
        version = self._store.read(stored.in_force)
        texts = self._store.read(lambda tx: stored.files(tx, version)) if version else None
        try:
            policies = parse(texts).policies.values() if texts else ()
        except RulesError:
            policies = ()
        return max((each.reopen_window for each in policies), default=timedelta(0))

    def _prune_incidents(self) -> None:
        after: int | None = 0
        while after is not None:
            seen = self._store.read(partial(prune.look, before=self._before, after=after))
            for some in _parts(seen.found.items(), AT_ONCE):
                versions = dict(some)
                if self._dry:
                    self.pruned.incidents += len(versions)
                else:
                    self.pruned.incidents += self._write(partial(prune.remove, versions=versions, before=self._before))
            after = seen.after

    def _prune_episodes(self) -> None:
        after: prune.Episode | None = ("", 0)
        while after is not None:
            found, after = self._store.read(partial(prune.episodes, before=self._before, after=after))
            for some in _parts(found, 5 * AT_ONCE):
                if self._dry:
                    self.pruned.episodes += len(some)
                else:
                    self.pruned.episodes += self._write(partial(prune.remove_episodes, found=some, before=self._before))

    def _versions_in_use(self) -> set[str]:
        used: set[str] = set()
        after: int | None = 0
        while after is not None:
            found, after = self._store.read(partial(prune.versions_in_use, after=after))
            used |= found
        return used

    def _step(self, work: Callable[[Connection], int]) -> int:
        return self._store.read(work) if self._dry else self._write(work)

    def _write(self, work: Callable[[Connection], int]) -> int:
        removed = self._store.write(work)
        self._pause(PAUSE_SECONDS)
        return removed


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
