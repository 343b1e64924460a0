"""``python -m tests.fault.mutant <mutant> <module> <arguments>``: a part with a fault that the suite must notice.

``split`` writes cursors in a transaction of their own, after the incident's. ``early`` moves a cursor before it sends.
``unleased`` records what came of a delivery, whoever holds its lease by then. ``unread`` sends what it has looked up,
whatever was answered meanwhile. ``deaf`` sends a page although it knows of the answer. ``forgetful`` tells no fallback
of a page that fails again and again.

``sound`` has no fault. Each of them waits with a page that it has looked up for as long as the file is there that
``HOLD`` names: what happens meanwhile is for the test to say.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd import jobs
from incidentd.channels import pagerduty
from incidentd.channels.pagerduty_event import Action, action
from incidentd.incident.slot import PAGE, Slot
from incidentd.incident.state import Incident
from incidentd.lifecycle import claim, deliver
from incidentd.lifecycle.claim import Claim, Survey, take
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.parcel import Parcel
from incidentd.lifecycle.record import Recorded, Recorder, Result
from incidentd.store import cursors, engine
from incidentd.store.cursors import THIS, Cursor
from incidentd.store.tables import CURSORS
from incidentd.tier import Tier

HOLD = "MUTANT_HOLD"
_PAUSE_SECONDS = 0.05

_opened: list[tuple[list[tuple[str, Tier, Slot]], datetime]] = []
_stores: list[engine.Store] = []
_looked_up: dict[cursors.Name, Parcel] = {}


def split() -> None:
    """Cursors are opened when the work is handed over: after the incident's commit, and after the point behind it."""
    open_slots, put, begin = cursors.open_slots, jobs.EnqueueThread.put, engine.Store.__init__

    def later(_tx: Connection, slots: Iterable[tuple[str, Tier, Slot]], due_at: datetime) -> None:
        _opened.append((list(slots), due_at))

    def remember(self: engine.Store, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        _stores.append(self)

    def put_with_cursors(self: jobs.EnqueueThread, work: jobs.Work) -> None:
        while _opened:
            slots, due_at = _opened.pop(0)
            _stores[-1].write(lambda tx: open_slots(tx, slots, due_at))  # noqa: B023 - run at once
        put(self, work)

    setattr(cursors, "open_slots", later)  # noqa: B010
    setattr(engine.Store, "__init__", remember)  # noqa: B010
    setattr(jobs.EnqueueThread, "put", put_with_cursors)  # noqa: B010


def early() -> None:
    """What is claimed counts as told."""
    told = sa.update(CURSORS).where(THIS).values(told=sa.bindparam("upto"), due_at=None, behind_since=None)

    def take_and_move(tx: Connection, *arguments: Any, **options: Any) -> Claim:
        claimed = take(tx, *arguments, **options)
        for parcel in claimed.parcels:
            tx.execute(told, cursors.key(parcel.cursor) | {"upto": parcel.upto})
        return claimed

    setattr(deliver, "take", take_and_move)  # noqa: B010


def unleased() -> None:
    """The token in the WHERE is ignored: whoever comes last has it."""
    record = Recorder.record

    def seize(self: Recorder, ledger: Ledger, results: Sequence[Result]) -> Recorded:
        for result in results:
            whose = sa.update(CURSORS).where(THIS).values(token=sa.bindparam("mine"))
            ledger.tx.execute(whose, cursors.key(result.parcel.cursor) | {"mine": result.parcel.token})
        return record(self, ledger, results)

    setattr(Recorder, "record", seize)  # noqa: B010


def unread() -> None:
    """What was surveyed is as it was: nobody looks again, even where another had its row for a moment."""

    def as_surveyed(_tx: Connection, asking: Sequence[Cursor], surveyed: Survey) -> list[Parcel]:
        names = [cursors.name(cursor) for cursor in asking]
        packed = [_looked_up.pop(name, None) or surveyed.parcels.get(name) for name in names]
        return [parcel for parcel in packed if parcel]

    setattr(claim, "_current", as_surveyed)  # noqa: B010


def deaf() -> None:
    """Whoever has answered, a page that was not sent yet is."""

    def unanswered(incident: Incident, *arguments: Any, **options: Any) -> Action | None:
        return action(replace(incident, acknowledgement=None), *arguments, **options)

    setattr(pagerduty, "action", unanswered)  # noqa: B010


def forgetful() -> None:
    """However often a page fails, nobody else is told."""
    setattr(Recorder, "_fall_back", lambda *_: None)  # noqa: B010


def sound() -> None:
    """Nothing is changed."""


def hold() -> None:
    """Wait between looking a page up and taking it, as a busy machine might have it."""
    read, held = engine.Store.read, Path(os.environ[HOLD])

    def read_and_wait(self: engine.Store, work: Callable[[Connection], Any]) -> Any:
        found = read(self, work)
        while isinstance(found, Survey) and any(each.queue == PAGE for each in found.cursors) and held.exists():
            _looked_up.update({**found.parcels, **_looked_up})
            reached(held).touch()
            time.sleep(_PAUSE_SECONDS)
        return found

    setattr(engine.Store, "read", read_and_wait)  # noqa: B010
    setattr(deliver, "AT_ONCE", 0)  # noqa: B010


def reached(held: Path) -> Path:
    """The file that is there once somebody waits."""
    return held.with_suffix(".reached")


MUTANTS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (split, early, unleased, unread, deaf, forgetful, sound)
}

if __name__ == "__main__":
    MUTANTS[sys.argv[1]]()
    if HOLD in os.environ:
        hold()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
