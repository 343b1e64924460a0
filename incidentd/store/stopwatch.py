"""How long statements and commits take, as the database's driver sees it."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext

from incidentd.meter.meter import COMMIT, STATEMENTS
from incidentd.meter.series import OTHER
from incidentd.store.engine import WRITES

Observe = Callable[[float, str], None]
"""Takes seconds, and the verb: select, insert, update, delete, commit, or other."""

_VERBS = {verb.upper(): verb for verb in STATEMENTS}
_LONGEST_VERB = 6
_COMMITS = "incidentd_commit_began"


def time_statements(engine: Engine, observe: Observe) -> None:
    """Have every statement of this engine timed from now on, and every commit of a transaction that writes."""

    # What is needed for each statement is kept with the statement: looking it up elsewhere costs as much as the rest.
    def begin(_connection: Connection, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.began = time.perf_counter()

    def end(_connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        observe(time.perf_counter() - context.began, _verb(statement))

    def fail(failure: ExceptionContext) -> None:
        """One that was cut off is one of the slow ones. A lock that is taken is asked for again within milliseconds."""
        began, verb = getattr(failure.execution_context, "began", None), _verb(failure.statement or "")
        if began is not None and verb != OTHER:
            observe(time.perf_counter() - began, verb)

    def begin_commit(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES):
            connection.info[_COMMITS] = time.perf_counter()

    def give_back(_connection: Any, record: Any, _state: Any) -> None:
        """The first that happens after a commit: the library has no event for its end."""
        began = record.info.pop(_COMMITS, None)
        if began is not None:
            observe(time.perf_counter() - began, COMMIT)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)
    event.listen(engine, "commit", begin_commit)
    event.listen(engine, "reset", give_back)


def _verb(statement: str) -> str:
    return _VERBS.get(statement[:_LONGEST_VERB].upper(), OTHER)
