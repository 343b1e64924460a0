"""Two transactions in every order of their steps: whether they wait for each other in a circle. Both are taken back."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from tests.servers import wait_until

Work = Callable[[Connection], object]
DEADLOCK = "40P01"
_PATIENT = (
    "deadlock_timeout = '20ms'", "lock_timeout = 0", "statement_timeout = 0", "idle_in_transaction_session_timeout = 0"
)  # fmt: skip
"""Nothing but a deadlock ends a wait, however slow the machine is."""
_WRITES = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
_WAITS = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid AND wait_event_type = 'Lock'")


class _Halt:
    """Lets a transaction go as far as before its ``at``-th statement, and no further until it is told to go on."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def step(self, *_: object) -> None:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            assert self.go_on.wait(120)


def deadlocks(engine: Engine, first: Work, second: Work) -> list[int]:
    """The steps of ``first`` at which ``second``, coming in between, ends in a deadlock with it."""
    found, at, ended = [], 1, False
    while not ended:
        halt = _Halt(at)
        with ThreadPoolExecutor(2) as pool, engine.connect() as watching:
            one = pool.submit(_rehearse, engine, first, halt, None)
            wait_until(lambda: halt.reached.is_set() or one.done(), "the first one to come so far")  # noqa: B023
            ended = one.done()
            if not ended:
                pids: list[int] = []
                other = pool.submit(_rehearse, engine, second, None, pids)
                wait_until(lambda: other.done() or _waits(watching, pids), "the second one to end or wait")  # noqa: B023
                halt.go_on.set()
                if _is_deadlock(one) | _is_deadlock(other):
                    found.append(at)
            one.result(120)
        at += 1
    return found


def changed(engine: Engine, work: Work) -> set[str]:
    """The tables in which it writes rows."""
    found: set[str] = set()

    def note(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if (written := _WRITES.match(statement)) and cursor.rowcount:
            found.add(written[1])

    with engine.connect() as tx:
        sa.event.listen(tx, "after_cursor_execute", note)
        work(tx)
        tx.rollback()
    return found


def _rehearse(engine: Engine, work: Work, halt: _Halt | None, pids: list[int] | None) -> str | None:
    """The state with which the database refused, if it did."""
    with engine.connect() as tx:
        for setting in _PATIENT:
            tx.execute(sa.text(f"SET LOCAL {setting}"))
        if pids is not None:
            pids.append(tx.scalar(sa.text("SELECT pg_backend_pid()")) or 0)
        if halt is not None:
            sa.event.listen(tx, "before_cursor_execute", halt.step)
        try:
            work(tx)
        except sa.exc.DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", ""))
        finally:
            tx.rollback()
    return None


def _is_deadlock(ended: "Future[str | None]") -> bool:
    state = ended.result(120)
    assert state in (None, DEADLOCK), state
    return state == DEADLOCK


def _waits(watching: Connection, pids: list[int]) -> bool:
    if not pids:
        return False
    found = watching.scalar(_WAITS, {"pid": pids[0]})
    # What the database tells of its sessions stays the same within a transaction.
    watching.rollback()
    return bool(found)
