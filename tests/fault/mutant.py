"""``python -m tests.fault.mutant <mutant> <module> <arguments>``: a part with a fault that the suite must notice.

``split`` writes cursors in a transaction of their own, after the incident's. ``early`` moves a cursor before it sends.
"""

import runpy
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from incidentd import jobs
from incidentd.incident.slot import Slot
from incidentd.lifecycle import deliver
from incidentd.lifecycle.claim import Claim, take
from incidentd.store import cursors, engine
from incidentd.store.cursors import Settled
from incidentd.tier import Tier

_opened: list[tuple[list[tuple[str, Tier, Slot]], datetime]] = []
_stores: list[engine.Store] = []


def split() -> None:
    """Cursors are opened when the work is handed over: after the incident's commit, and after the point behind it."""
    open_slots, put, begin = cursors.open_slots, jobs.EnqueueThread.put, engine.Store.__init__

    def later(_tx: Connection, slots: Iterable[tuple[str, Tier, Slot]], due_at: datetime) -> None:
        _opened.append((list(slots), due_at))

    def remember(self: engine.Store, *arguments: Any) -> None:
        begin(self, *arguments)
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

    def take_and_move(tx: Connection, *arguments: Any, **options: Any) -> Claim:
        claimed = take(tx, *arguments, **options)
        cursors.settle(tx, [_told(parcel) for parcel in claimed.parcels])
        return claimed

    setattr(deliver, "take", take_and_move)  # noqa: B010


def _told(parcel: Any) -> Settled:
    cursor = parcel.cursor
    return Settled(
        cursor=cursor,
        token=parcel.token,
        told=parcel.upto,
        due_at=None,
        attempts=0,
        uncertain=False,
        echo=False,
        accepted_at=parcel.started_at,
        failed=False,
        given_up=None,
        reference=cursor.reference,
    )


if __name__ == "__main__":
    {"split": split, "early": early}[sys.argv[1]]()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
