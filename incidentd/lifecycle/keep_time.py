"""Keeping time: find what is due, mark it so that nobody else enqueues it at once, and say who is to do it."""

from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.jobs import ESCALATE, Work
from incidentd.lifecycle.limit import WAIT, call_up
from incidentd.process.failpoint import failpoint
from incidentd.store import buckets, cursors, incidents
from incidentd.store.engine import Store

MOST = 2000
_FARTHEST = WAIT + timedelta(minutes=1)
"""Beyond every next try, mark, lease and wait in line."""
_SOON = timedelta(minutes=1)


def due(store: Store, now: datetime, escalate_mark: timedelta, deliver_mark: timedelta) -> Work:
    """What is due now. Costs a read while nothing is.

    Raises:
        StoreUnavailableError: the database can't be asked or marked.
    """

    def anything(tx: Connection) -> bool:
        return (
            incidents.any_due(tx, now, escalate_mark)
            or cursors.any_due(tx, now)
            or buckets.any_due(tx, now)
            or cursors.any_beyond(tx, now + _FARTHEST)
        )

    def mark(tx: Connection) -> Work:
        by_queue: dict[str, list[str]] = {}
        cursors.bring_back(tx, now + _FARTHEST, now + _SOON)
        if escalations := incidents.mark_due(tx, now, escalate_mark, MOST):
            by_queue[ESCALATE] = escalations
        called = call_up(tx, now, deliver_mark)
        for incident_id, queue in called + cursors.mark_due(tx, now, deliver_mark, MOST):
            by_queue.setdefault(queue, []).append(incident_id)
        failpoint("mark.before_commit")
        return by_queue

    if not store.read(anything):
        return {}
    marked = store.write(mark)
    failpoint("mark.after_commit")
    return marked
