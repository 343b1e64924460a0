"""How far each destination has been told, and who is telling it (model 32).

``due_at`` is at once the next try, the mark of who enqueued it and the sender's lease; null when level.
``token`` says which: empty for a plain next try, ``enqueued`` for a mark, ``held`` in line before a receiver's limit
(``held_by``), ``granted`` for the mark of one that was called out of the line and keeps its turn; anything else is a
sender's lease.
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
from incidentd.store.tables import CURSORS, INCIDENTS, Instant
from incidentd.tier import Tier

Name = tuple[str, str, str]
"""(incident, destination, slot)"""

ENQUEUED = "enqueued"
HELD = "held"
GRANTED = "granted"
DIGEST_SLOT = "digest"
"""The slot of the cursor that a digest itself has: what it tells of are others."""
FREE = ""
_UNLEASED = (FREE, ENQUEUED, HELD, GRANTED)


_INCIDENTS = CURSORS.c.incident_id.in_(sa.bindparam("incidents", expanding=True))
_NAMES = (CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
THIS = sa.and_(
    CURSORS.c.incident_id == sa.bindparam("i"),
    CURSORS.c.destination == sa.bindparam("d"),
    CURSORS.c.slot == sa.bindparam("s"),
)
"""One row, with the parameters of ``key``."""

_INSERT = sa.insert(CURSORS)
_EXISTING = sa.select(*_NAMES).where(_INCIDENTS)
_IS_HELD = CURSORS.c.token == HELD
_ECHOING = sa.and_(CURSORS.c.echo, CURSORS.c.token == FREE, CURSORS.c.attempts == 0)
_WAKE = (
    sa.update(CURSORS)
    .where(_INCIDENTS, sa.or_(CURSORS.c.due_at.is_(None), _ECHOING, _IS_HELD))
    .values(
        due_at=sa.bindparam("due"),
        behind_since=sa.case((_IS_HELD, CURSORS.c.behind_since), else_=sa.bindparam("since", type_=Instant)),
        token=ENQUEUED,
        held_by=None,
        attempts=0,
        given_up=None,
        tier=sa.bindparam("urgency"),
    )
    .returning(CURSORS.c.incident_id, CURSORS.c.queue)
)
_RETIER = (
    sa.update(CURSORS).where(_INCIDENTS, CURSORS.c.tier != sa.bindparam("urgency")).values(tier=sa.bindparam("urgency"))
)
_DUE = (
    sa.select(*_NAMES)
    .where(CURSORS.c.due_at <= sa.bindparam("now"))
    .order_by(CURSORS.c.tier, CURSORS.c.due_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_ANY_DUE = sa.select(sa.exists().where(CURSORS.c.due_at <= sa.bindparam("now")))
_IS_BEYOND = CURSORS.c.due_at > sa.bindparam("horizon")
_ANY_BEYOND = sa.select(sa.exists().where(_IS_BEYOND))
_BRING_BACK = sa.update(CURSORS).where(_IS_BEYOND).values(due_at=sa.bindparam("soon"))
_IS_LEASED = CURSORS.c.token.not_in(_UNLEASED)
_MARK_DUE = (
    sa.update(CURSORS)
    .where(sa.tuple_(*_NAMES).in_(sa.select(_DUE)))
    .values(
        due_at=sa.bindparam("mark"),
        token=sa.case((CURSORS.c.token == GRANTED, GRANTED), else_=ENQUEUED),
        held_by=None,
        uncertain=sa.case((_IS_LEASED, True), else_=CURSORS.c.uncertain),
        echo=sa.case((_IS_LEASED, True), else_=CURSORS.c.echo),
    )
    .returning(CURSORS.c.tier, CURSORS.c.behind_since, CURSORS.c.incident_id, CURSORS.c.queue)
)
_READ = (
    *_NAMES, CURSORS.c.queue, CURSORS.c.told, CURSORS.c.attempts, CURSORS.c.uncertain, CURSORS.c.echo,
    CURSORS.c.accepted_at, CURSORS.c.failed, CURSORS.c.reference, CURSORS.c.behind_since, CURSORS.c.token,
    CURSORS.c.digest, CURSORS.c.turn,
)  # fmt: skip
_LOOK = (
    sa.select(*_READ)
    .where(_INCIDENTS, CURSORS.c.queue == sa.bindparam("the_queue"), CURSORS.c.due_at.is_not(None))
    .where(sa.or_(CURSORS.c.token.in_((ENQUEUED, GRANTED)), CURSORS.c.due_at <= sa.bindparam("now")))
    .order_by(CURSORS.c.tier, CURSORS.c.due_at, CURSORS.c.incident_id)
    .limit(sa.bindparam("most"))
)
_CLAIMABLE = _LOOK.with_for_update(skip_locked=True)
_IS_IN_DIGEST = CURSORS.c.digest.is_not(None)
_LOOK_FOLDED = _LOOK.where(_IS_IN_DIGEST)
_RELIEVABLE = (
    _LOOK.where(CURSORS.c.slot != DIGEST_SLOT)
    .where(sa.or_(_IS_IN_DIGEST, CURSORS.c.destination.in_(sa.bindparam("destinations", expanding=True))))
    .with_for_update(skip_locked=True)
)
_LEASE = sa.update(CURSORS).where(THIS).values(token=sa.bindparam("lease"), held_by=None, due_at=sa.bindparam("until"))
_PASS_OVER = (
    sa.update(CURSORS)
    .where(THIS)
    .values(
        told=sa.select(INCIDENTS.c.news).where(INCIDENTS.c.id == CURSORS.c.incident_id).scalar_subquery(),
        due_at=None,
        behind_since=None,
        token=FREE,
        held_by=None,
        attempts=0,
    )
)
_IS_OPEN = sa.exists().where(INCIDENTS.c.id == CURSORS.c.incident_id, INCIDENTS.c.resolved_at.is_(None))
_MEMBER = CURSORS.alias("member")
_TELLS_OF_OPEN = sa.and_(
    CURSORS.c.slot == DIGEST_SLOT,
    sa.exists()
    .where(_MEMBER.c.digest == CURSORS.c.incident_id)
    .where(INCIDENTS.c.id == _MEMBER.c.incident_id, INCIDENTS.c.resolved_at.is_(None)),
)
"""A digest's own row, as long as any of its incidents is open."""
_POSTPONED = ("token", "due_at", "attempts", "uncertain", "echo")
_POSTPONE = (
    sa.update(CURSORS)
    .where(THIS)
    .values({"held_by": None} | {name: sa.bindparam(f"new_{name}") for name in _POSTPONED})
)
# SQLite finds rows by a list of tuples only from end to end, so the incidents are named too.
_NAMED = sa.and_(_INCIDENTS, sa.tuple_(*_NAMES).in_(sa.bindparam("names", expanding=True)))
_TOKENS = sa.select(*_NAMES, CURSORS.c.token).where(_NAMED).order_by(*_NAMES).with_for_update()
_IS_LEASED_BY = sa.select(sa.exists().where(THIS, CURSORS.c.token == sa.bindparam("lease_token")))
_REFERENCES = sa.select(*_NAMES, CURSORS.c.reference).where(_NAMED)
_CARRIER = sa.select(CURSORS.c.page_key, CURSORS.c.digest, CURSORS.c.uncertain, CURSORS.c.token).where(THIS)
_CARRYING = sa.select(*_NAMES).where(
    CURSORS.c.page_key.in_(sa.bindparam("keys", expanding=True)), CURSORS.c.slot != DIGEST_SLOT
)
_SETTLED = (
    "told", "due_at", "behind_since", "attempts", "uncertain", "echo", "accepted_at", "failed", "given_up",
    "reference", "page_key", "token",
)  # fmt: skip
_SETTLE = (
    sa.update(CURSORS)
    .where(THIS, CURSORS.c.token == sa.bindparam("lease_token"))
    .values({name: sa.bindparam(f"new_{name}") for name in _SETTLED})
)


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
    digest: str | None = None
    turn: int | None = None

    @property
    def is_folded(self) -> bool:
        """Whether a digest tells of it instead of a message of its own."""
        return self.digest is not None and not self.reference

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever sent for it: it may be told in a digest."""
        return self.told == 0 and not self.uncertain and not self.reference and self.accepted_at is None

    @property
    def is_first(self) -> bool:
        """Whether nothing of its slot has ever been sent, as far as anybody can know."""
        return self.told == 0 and not self.uncertain and not self.granted and not self.reference


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


@dataclass(frozen=True, slots=True)
class Carrier:
    """Under which key a receiver knows a page, if it does yet, and which digest tells of it.

    ``may_be_sent``: it is on its way, or was and no answer came.
    """

    page_key: str | None
    digest: str | None
    may_be_sent: bool


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
        tx.execute(_INSERT, rows)


def existing(tx: Connection, incident_ids: Collection[str]) -> set[tuple[str, str, str]]:
    """(incident, destination, slot) of the cursors that exist."""
    if not incident_ids:
        return set()
    rows = tx.execute(_EXISTING, {"incidents": sorted(incident_ids)})
    return {(row[0], row[1], row[2]) for row in rows}


def wake(tx: Connection, news: Mapping[str, Tier], due_at: datetime) -> set[tuple[str, str]]:
    """Mark level cursors of incidents that have news; what was given up is tried again (model 35).

    Returns (incident, queue) of those marked. A cursor that is leased, or waits because its receiver failed, finds the
    news by itself; one that only waits to tell its last once more does not wait with them. One in line is looked at
    again: it may have become more urgent, or have nothing to say any more.
    """
    marked: set[tuple[str, str]] = set()
    for tier in sorted(set(news.values())):
        ids = sorted(incident_id for incident_id, its in news.items() if its is tier)
        rows = tx.execute(_WAKE, {"incidents": ids, "due": due_at, "since": due_at, "urgency": tier.value})
        marked |= {(row[0], row[1]) for row in rows}
    return marked


def retier(tx: Connection, changed: Mapping[str, Tier]) -> None:
    """Give the cursors of these incidents their tier, whoever has them: they may yet have to stand in a line."""
    for tier in sorted(set(changed.values())):
        ids = sorted(incident_id for incident_id, its in changed.items() if its is tier)
        tx.execute(_RETIER, {"incidents": ids, "urgency": tier.value})


def retry_given_up(tx: Connection, due_at: datetime, destination: str | None = None) -> int:
    """What was refused for good is tried again: whoever reloads the rules may have mended the cause (model 35).

    Of one destination only, where it is named: a test has shown that it works. Nobody is told of what was over before
    that. Returns how many cursors there were.
    """
    given_up = sa.update(CURSORS).where(CURSORS.c.given_up.is_not(None), _IS_OPEN | _TELLS_OF_OPEN)
    if destination is not None:
        given_up = given_up.where(CURSORS.c.destination == destination)
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
        .where(CURSORS.c.incident_id.in_(sorted({incident_id for incident_id, _, _ in newest})))
        .where(sa.tuple_(*names[:2]).in_(sorted({(id_, destination) for id_, destination, _ in newest})))
        .where(sa.tuple_(*names).not_in(sorted(newest)), CURSORS.c.due_at.is_(None), CURSORS.c.given_up.is_(None))
        .values(due_at=due_at, behind_since=due_at, token=ENQUEUED)
        .returning(CURSORS.c.incident_id, CURSORS.c.queue)
    )
    return {(row[0], row[1]) for row in rows}


def carrier(tx: Connection, name: Name) -> Carrier | None:
    """How far one has come at its receiver; None: there is no such."""
    row = tx.execute(_CARRIER, {"i": name[0], "d": name[1], "s": name[2]}).one_or_none()
    return None if row is None else Carrier(row[0], row[1], row[2] or row[3] not in _UNLEASED)


def references(
    tx: Connection, wanted: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Mapping[str, str]]:
    """What receivers gave back, by (incident, destination, slot); those that don't exist are absent."""
    if not wanted:
        return {}
    rows = tx.execute(_REFERENCES, _naming(wanted))
    return {(row[0], row[1], row[2]): from_json(row[3]) for row in rows}


def carrying(tx: Connection, page_keys: Collection[str]) -> list[Name]:
    """(incident, destination, slot) of all that the pages under these keys tell of: several, where they share one."""
    if not page_keys:
        return []
    rows = tx.execute(_CARRYING.order_by(*_NAMES), {"keys": sorted(page_keys)})
    return [(row[0], row[1], row[2]) for row in rows]


def mark_due(tx: Connection, now: datetime, mark: timedelta, limit: int) -> list[tuple[str, str]]:
    """(incident, queue) of cursors whose time has come, marked for ``mark``; most urgent first.

    Of those the ones that are behind for the longest. A lease that ran out leaves its trace, as in ``claimable``.
    """
    rows = tx.execute(_MARK_DUE, {"now": now, "mark": now + mark, "most": limit}).all()
    # Told once more without anything new, one is behind since never.
    urgency = sorted(rows, key=lambda row: (row.tier, row.behind_since or now))
    return list(dict.fromkeys((row.incident_id, row.queue) for row in urgency))


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``mark_due`` would find any."""
    return tx.scalar(_ANY_DUE, {"now": now}) or False


def any_beyond(tx: Connection, horizon: datetime) -> bool:
    """Whether ``bring_back`` would find any."""
    return tx.scalar(_ANY_BEYOND, {"horizon": horizon}) or False


def bring_back(tx: Connection, horizon: datetime, due_at: datetime) -> None:
    """Cursors due later than any can rightly be: whoever wrote that had a clock which has gone back since."""
    tx.execute(_BRING_BACK, {"horizon": horizon, "soon": due_at})


def look(tx: Connection, incident_ids: Collection[str], queue: str, now: datetime, limit: int) -> list[Cursor]:
    """As ``claimable``, without locking anything."""
    asked = {"incidents": sorted(incident_ids), "the_queue": queue, "now": now, "most": limit}
    return [_cursor(row) for row in tx.execute(_LOOK, asked)]


def look_folded(tx: Connection, incident_ids: Collection[str], queue: str, now: datetime, limit: int) -> list[Cursor]:
    """As ``look``, those only that a digest tells of."""
    asked = {"incidents": sorted(incident_ids), "the_queue": queue, "now": now, "most": limit}
    return [cursor for cursor in map(_cursor, tx.execute(_LOOK_FOLDED, asked)) if cursor.is_folded]


def claimable(tx: Connection, incident_ids: Collection[str], queue: str, now: datetime, limit: int) -> list[Cursor]:
    """Cursors that are behind and that nobody is sending, most urgent first; locked until the transaction ends.

    A lease that ran out belonged to a sender that froze or died: its last request may have been accepted.
    """
    asked = {"incidents": sorted(incident_ids), "the_queue": queue, "now": now, "most": limit}
    return [_cursor(row) for row in tx.execute(_CLAIMABLE, asked)]


def relievable(
    tx: Connection, incident_ids: Collection[str], queue: str, now: datetime, limit: int, destinations: Collection[str]
) -> list[Cursor]:
    """As ``claimable``, those only that a digest tells of or that are for these destinations; no digest's own."""
    asked = {"incidents": sorted(incident_ids), "the_queue": queue, "now": now, "most": limit}
    rows = tx.execute(_RELIEVABLE, asked | {"destinations": sorted(destinations)})
    return [_cursor(row) for row in rows]


def lease(tx: Connection, cursors: Sequence[Cursor], token: str, until: datetime) -> None:
    """The sender's real lease, taken when it begins to send."""
    if cursors:
        tx.execute(_LEASE, [key(c) | {"lease": token, "until": until} for c in cursors])


def postpone(tx: Connection, cursors: Sequence[Cursor], until: datetime) -> None:
    """Cursors that can't be told now: tried again at ``until``. What ``claimable`` read in a lost lease is kept."""
    if cursors:
        moved = ("attempts", "uncertain", "echo")
        tx.execute(_POSTPONE, [key(c) | _new(c, moved, token=FREE, due_at=until) for c in cursors])


def pass_over(tx: Connection, cursors: Sequence[Cursor]) -> None:
    """Cursors of destinations that are told nothing: level with their incidents, and no delivery of anything."""
    if cursors:
        tx.execute(_PASS_OVER, [key(cursor) for cursor in cursors])


def tokens(tx: Connection, cursors: Sequence[Cursor]) -> dict[Name, str]:
    """Who leases these cursors now, by (incident, destination, slot); locked until the transaction ends."""
    rows = tx.execute(_TOKENS, _naming(name(cursor) for cursor in cursors))
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def is_leased(tx: Connection, cursor: Cursor, token: str) -> bool:
    """Whether this lease is in force, as it looks now. Locks nothing."""
    return bool(tx.scalar(_IS_LEASED_BY, key(cursor) | {"lease_token": token}))


def settle(tx: Connection, settled: Sequence[Settled]) -> None:
    """Write what deliveries left, each only while its token still holds."""
    if settled:
        tx.execute(_SETTLE, [_parameters(each) for each in settled])


def _parameters(settled: Settled) -> dict[str, Any]:
    reference = to_json(dict(settled.reference)).decode()
    page_key = settled.reference.get("dedup_key")
    new = _new(settled, _SETTLED, reference=reference, page_key=page_key, token=FREE)
    return key(settled.cursor) | {"lease_token": settled.token} | new


def _naming(names: Iterable[Name]) -> dict[str, Any]:
    """The parameters of ``_NAMED``."""
    listed = sorted(names)
    return {"incidents": sorted({incident_id for incident_id, _, _ in listed}), "names": listed}


def name(cursor: Cursor) -> Name:
    """What no two cursors have in common."""
    return (cursor.incident_id, cursor.destination, cursor.slot)


def key(cursor: Cursor) -> dict[str, Any]:
    """The parameters that name a cursor's row in a statement with ``THIS``."""
    return {"i": cursor.incident_id, "d": cursor.destination, "s": cursor.slot}


def _new(values: Cursor | Settled, names: Iterable[str], **others: Any) -> dict[str, Any]:
    """Parameters ``new_…`` of a statement: what ``values`` holds under these names, and others."""
    held = {name: getattr(values, name) for name in names if name not in others}
    return {f"new_{name}": value for name, value in (held | others).items()}


def _cursor(row: Sequence[Any]) -> Cursor:
    """Of ``_READ``. Taken apart by place: by name it is a good part of what a claim costs."""
    incident_id, destination, slot, queue, told, attempts, uncertain, echo, *further = row
    accepted_at, failed, reference, behind_since, token, digest, turn = further
    ran_out = token not in _UNLEASED
    return Cursor(
        incident_id=incident_id,
        destination=destination,
        slot=slot,
        queue=queue,
        told=told,
        attempts=attempts,
        uncertain=uncertain or ran_out,
        echo=echo or ran_out,
        accepted_at=accepted_at,
        failed=failed,
        reference={} if reference == "{}" else from_json(reference),
        behind_since=behind_since,
        granted=token == GRANTED,
        digest=digest,
        turn=turn,
    )
