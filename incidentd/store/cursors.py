"""How far each destination has been told, and who is telling it (model 32).

``due_at`` is at once the next try, the mark of who enqueued it and the sender's lease; null when level.
``token`` says which: empty for a plain next try, ``enqueued`` for a mark, ``held`` in line before a receiver's limit
(``held_by``), ``granted`` for the mark of one that was called out of the line; anything else is a sender's lease.
``behind_since`` stays however often that moves: the end of the first mark of the news that are still to be told; null
when level or given up.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE, Slot
from incidentd.store.tables import CURSORS, INCIDENTS
from incidentd.tier import Tier

Name = tuple[str, str, str]
"""(incident, destination, slot)"""

ENQUEUED = "enqueued"
HELD = "held"
GRANTED = "granted"
FREE = ""
_UNLEASED = (FREE, ENQUEUED, HELD, GRANTED)


@dataclass(frozen=True, slots=True)
class Cursor:
    """One row, as a sender sees it."""

    incident_id: str
    destination: str
    slot: str
    queue: str
    told: int
    attempts: int
    uncertain: bool
    echo: bool
    accepted_at: datetime | None
    failed: bool
    reference: Mapping[str, str]
    behind_since: datetime | None = None
    granted: bool = False
    """Whether it has waited in line, and its receiver's limit allows it now."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a delivery left of a cursor that ``token`` leases. ``behind_since`` None: level, or given up."""

    cursor: Cursor
    token: str
    told: int
    due_at: datetime | None
    attempts: int
    uncertain: bool
    echo: bool
    accepted_at: datetime | None
    failed: bool
    given_up: str | None
    reference: Mapping[str, str]
    behind_since: datetime | None = None


def open_slots(tx: Connection, slots: Iterable[tuple[str, Tier, Slot]], due_at: datetime) -> None:
    """New cursors, marked as enqueued until ``due_at``."""
    rows = [
        {
            "incident_id": incident_id,
            "destination": slot.destination,
            "slot": slot.name,
            "queue": slot.queue,
            "tier": tier.value,
            "told": 0,
            "due_at": due_at,
            "behind_since": due_at,
            "token": ENQUEUED,
            "attempts": 0,
            "uncertain": False,
            "echo": False,
            "failed": False,
            "reference": "{}",
        }
        for incident_id, tier, slot in slots
    ]
    if rows:
        tx.execute(sa.insert(CURSORS), rows)


def existing(tx: Connection, incident_ids: Collection[str]) -> set[tuple[str, str, str]]:
    """(incident, destination, slot) of the cursors that exist."""
    if not incident_ids:
        return set()
    rows = tx.execute(
        sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot).where(
            CURSORS.c.incident_id.in_(sorted(incident_ids))
        )
    )
    return {(row[0], row[1], row[2]) for row in rows}


def wake(tx: Connection, news: Mapping[str, Tier], due_at: datetime) -> set[tuple[str, str]]:
    """Mark level cursors of incidents that have news; what was given up is tried again (model 35).

    Returns (incident, queue) of those marked. A cursor that is leased, or waits because its receiver failed, finds the
    news by itself; one that only waits to tell its last once more does not wait with them. One in line is looked at
    again: it may have become more urgent, or have nothing to say any more.
    """
    held = CURSORS.c.token == HELD
    echoing = sa.and_(CURSORS.c.echo, CURSORS.c.token == FREE, CURSORS.c.attempts == 0)
    since = sa.case((held, CURSORS.c.behind_since), else_=sa.bindparam("since", due_at, CURSORS.c.behind_since.type))
    marked: set[tuple[str, str]] = set()
    for tier in sorted(set(news.values())):
        ids = sorted(incident_id for incident_id, its in news.items() if its is tier)
        rows = tx.execute(
            sa.update(CURSORS)
            .where(CURSORS.c.incident_id.in_(ids), sa.or_(CURSORS.c.due_at.is_(None), echoing, held))
            .values(due_at=due_at, behind_since=since, token=ENQUEUED, held_by=None, attempts=0, given_up=None)
            .values(tier=tier.value)
            .returning(CURSORS.c.incident_id, CURSORS.c.queue)
        )
        marked |= {(row[0], row[1]) for row in rows}
    return marked


def retry_given_up(tx: Connection, due_at: datetime) -> int:
    """What was refused for good is tried again: whoever reloads the rules may have mended the cause (model 35).

    Nobody is told of what was over before that.
    """
    is_open = sa.exists().where(INCIDENTS.c.id == CURSORS.c.incident_id, INCIDENTS.c.resolved_at.is_(None))
    given_up = sa.update(CURSORS).where(CURSORS.c.given_up.is_not(None), is_open)
    again = given_up.values(due_at=due_at, behind_since=due_at, token=FREE, attempts=0, given_up=None)
    return tx.execute(again).rowcount


def wake_pages(tx: Connection, newest: Collection[tuple[str, str]], due_at: datetime) -> set[tuple[str, str]]:
    """Mark level pages of incidents whose newer round was accepted: the older round's are to be resolved (model 34).

    ``newest`` are (incident, slot) of what was accepted, which is left alone.
    Returns (incident, queue) of those marked.
    """
    if not newest:
        return set()
    rows = tx.execute(
        sa.update(CURSORS)
        .where(CURSORS.c.incident_id.in_(sorted({incident_id for incident_id, _ in newest})), CURSORS.c.queue == PAGE)
        .where(sa.tuple_(CURSORS.c.incident_id, CURSORS.c.slot).not_in(sorted(newest)))
        .where(CURSORS.c.due_at.is_(None), CURSORS.c.given_up.is_(None))
        .values(due_at=due_at, behind_since=due_at, token=ENQUEUED)
        .returning(CURSORS.c.incident_id)
    )
    return {(row[0], PAGE) for row in rows}


def wake_older(tx: Connection, newest: Collection[tuple[str, str, str]], due_at: datetime) -> set[tuple[str, str]]:
    """Mark level cursors of earlier episodes: they can now point to the present one.

    ``newest`` are (incident, destination, slot) of the present episodes, which are left alone.
    Returns (incident, queue) of those marked.
    """
    if not newest:
        return set()
    names = (CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
    rows = tx.execute(
        sa.update(CURSORS)
        .where(sa.tuple_(*names[:2]).in_(sorted({(id_, destination) for id_, destination, _ in newest})))
        .where(sa.tuple_(*names).not_in(sorted(newest)), CURSORS.c.due_at.is_(None), CURSORS.c.given_up.is_(None))
        .values(due_at=due_at, behind_since=due_at, token=ENQUEUED)
        .returning(CURSORS.c.incident_id, CURSORS.c.queue)
    )
    return {(row[0], row[1]) for row in rows}


def references(
    tx: Connection, wanted: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Mapping[str, str]]:
    """What receivers gave back, by (incident, destination, slot); those that don't exist are absent."""
    if not wanted:
        return {}
    names = (CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
    rows = tx.execute(sa.select(*names, CURSORS.c.reference).where(sa.tuple_(*names).in_(sorted(wanted))))
    return {(row[0], row[1], row[2]): from_json(row[3]) for row in rows}


def mark_due(tx: Connection, now: datetime, mark: timedelta, limit: int) -> list[tuple[str, str]]:
    """(incident, queue) of cursors whose time has come, marked for ``mark``; most urgent first.

    A lease that ran out leaves its trace, as in ``claimable``.
    """
    due = (
        sa.select(CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot, CURSORS.c.queue)
        .where(CURSORS.c.due_at <= now)
        .order_by(CURSORS.c.tier, CURSORS.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = tx.execute(due).all()
    if not rows:
        return []
    # No IN: it can't be executed for many rows at once.
    leased = sa.and_(*(CURSORS.c.token != name for name in _UNLEASED))
    tx.execute(
        sa.update(CURSORS)
        .where(_is(sa.bindparam("i"), sa.bindparam("d"), sa.bindparam("s")))
        .values(
            due_at=sa.bindparam("mark"),
            token=ENQUEUED,
            held_by=None,
            uncertain=sa.case((leased, True), else_=CURSORS.c.uncertain),
            echo=sa.case((leased, True), else_=CURSORS.c.echo),
        ),
        [{"i": row[0], "d": row[1], "s": row[2], "mark": now + mark} for row in rows],
    )
    return list(dict.fromkeys((row[0], row[3]) for row in rows))


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``mark_due`` would find any."""
    return tx.scalar(sa.select(sa.exists().where(CURSORS.c.due_at <= now))) or False


def claimable(tx: Connection, incident_ids: Collection[str], queue: str, now: datetime, limit: int) -> list[Cursor]:
    """Cursors that are behind and that nobody is sending, most urgent first; locked until the transaction ends.

    A lease that ran out belonged to a sender that froze or died: its last request may have been accepted.
    """
    rows = tx.execute(
        sa.select(CURSORS)
        .where(CURSORS.c.incident_id.in_(sorted(incident_ids)), CURSORS.c.queue == queue)
        .where(CURSORS.c.due_at.is_not(None), sa.or_(CURSORS.c.token.in_((ENQUEUED, GRANTED)), CURSORS.c.due_at <= now))
        .order_by(CURSORS.c.tier, CURSORS.c.due_at, CURSORS.c.incident_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_cursor(row) for row in rows]


def lease(tx: Connection, cursors: Sequence[Cursor], token: str, until: datetime) -> None:
    """The sender's real lease, taken when it begins to send."""
    if cursors:
        tx.execute(
            sa.update(CURSORS)
            .where(_is(sa.bindparam("i"), sa.bindparam("d"), sa.bindparam("s")))
            .values(token=token, held_by=None, due_at=until),
            [{"i": c.incident_id, "d": c.destination, "s": c.slot} for c in cursors],
        )


def postpone(tx: Connection, cursors: Sequence[Cursor], until: datetime) -> None:
    """Cursors that can't be told now: tried again at ``until``. What ``claimable`` read in a lost lease is kept."""
    if cursors:
        tx.execute(
            sa.update(CURSORS)
            .where(_is(sa.bindparam("i"), sa.bindparam("d"), sa.bindparam("s")))
            .values(
                {name: sa.bindparam(f"new_{name}") for name in ("token", "due_at", "attempts", "uncertain", "echo")}
            )
            .values(held_by=None),
            [_key(c) | _new(c, ("attempts", "uncertain", "echo"), token=FREE, due_at=until) for c in cursors],
        )


def tokens(tx: Connection, cursors: Sequence[Cursor]) -> dict[Name, str]:
    """Who leases these cursors now, by (incident, destination, slot); locked until the transaction ends."""
    wanted = [(c.incident_id, c.destination, c.slot) for c in cursors]
    names = (CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
    rows = tx.execute(
        sa.select(*names, CURSORS.c.token).where(sa.tuple_(*names).in_(wanted)).order_by(*names).with_for_update()
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def settle(tx: Connection, settled: Sequence[Settled]) -> None:
    """Write what deliveries left, each only while its token still holds."""
    if settled:
        tx.execute(
            sa.update(CURSORS)
            .where(_is(sa.bindparam("i"), sa.bindparam("d"), sa.bindparam("s")))
            .where(CURSORS.c.token == sa.bindparam("lease_token"))
            .values({name: sa.bindparam(f"new_{name}") for name in _SETTLED}),
            [_parameters(each) for each in settled],
        )


_SETTLED = (
    "told", "due_at", "behind_since", "attempts", "uncertain", "echo", "accepted_at", "failed", "given_up",
    "reference", "token",
)  # fmt: skip


def _parameters(settled: Settled) -> dict[str, Any]:
    reference = to_json(dict(settled.reference)).decode()
    new = _new(settled, _SETTLED, reference=reference, token=FREE)
    return _key(settled.cursor) | {"lease_token": settled.token} | new


def _key(cursor: Cursor) -> dict[str, Any]:
    return {"i": cursor.incident_id, "d": cursor.destination, "s": cursor.slot}


def _new(values: Cursor | Settled, names: Iterable[str], **others: Any) -> dict[str, Any]:
    """Parameters ``new_…`` of a statement: what ``values`` holds under these names, and others."""
    held = {name: getattr(values, name) for name in names if name not in others}
    return {f"new_{name}": value for name, value in (held | others).items()}


def _is(incident: object, destination: object, slot: object) -> sa.ColumnElement[bool]:
    return sa.and_(CURSORS.c.incident_id == incident, CURSORS.c.destination == destination, CURSORS.c.slot == slot)


def _cursor(row: Any) -> Cursor:
    ran_out = row.token not in _UNLEASED
    return Cursor(
        incident_id=row.incident_id,
        destination=row.destination,
        slot=row.slot,
        queue=row.queue,
        told=row.told,
        attempts=row.attempts,
        uncertain=row.uncertain or ran_out,
        echo=row.echo or ran_out,
        accepted_at=row.accepted_at,
        failed=row.failed,
        reference=from_json(row.reference),
        behind_since=row.behind_since,
        granted=row.token == GRANTED,
    )
