"""One message that stands for many incidents: who is told in it, with which of its turns, and what it has to say.

A digest is sent like an incident: its cursor's row has its id and the slot ``digest``, and so lease, retries and giving
up are those of any cursor. The cursors that it stands for name it. Each sending is a turn: whoever joins while one is
under way has a later turn, and is told with the next.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.state import State
from incidentd.store.cursors import DIGEST_SLOT, FREE, HELD, THIS, Cursor, Name, key
from incidentd.store.tables import CURSORS, DIGESTS, INCIDENTS
from incidentd.tier import Tier

Place = tuple[str, str]
"""Where newcomers share a digest: (destination, wave)"""

_OWN = sa.and_(CURSORS.c.incident_id == sa.bindparam("the_digest"), CURSORS.c.slot == DIGEST_SLOT)
_LOCK_OWN = sa.select(CURSORS.c.incident_id).where(_OWN).with_for_update()
_IN = CURSORS.c.digest == sa.bindparam("the_digest")
# Who has a card too is counted there; only loud news of it are told here.
_STANDS_FOR = sa.and_(_IN, CURSORS.c.reference == "{}")
_UNTOLD = sa.and_(_IN, CURSORS.c.turn > sa.bindparam("turn"))
_UNACCEPTED = sa.and_(_STANDS_FOR, CURSORS.c.turn <= sa.bindparam("turn"), CURSORS.c.accepted_at.is_(None))
_LOUD = sa.and_(_IN, CURSORS.c.turn <= sa.bindparam("turn"), CURSORS.c.loud.is_not(None))
_NEVER_TOLD = sa.and_(_UNTOLD, CURSORS.c.accepted_at.is_(None))
_NAME = (CURSORS.c.incident_id, CURSORS.c.destination, CURSORS.c.slot)
_AT_ONCE = 1000
"""Parameters that every driver takes in one statement, by far."""
_NEWS = sa.select(INCIDENTS.c.news).where(INCIDENTS.c.id == CURSORS.c.incident_id).scalar_subquery()
_JOIN = (
    sa.update(CURSORS)
    .where(THIS, CURSORS.c.token == HELD)
    .values(
        digest=sa.bindparam("the_digest"),
        turn=sa.bindparam("the_turn"),
        loud=sa.bindparam("level"),
        told=sa.func.coalesce(_NEWS, CURSORS.c.told),
        token=FREE,
        held_by=None,
        due_at=None,
    )
)
_STAY = (
    sa.update(CURSORS)
    .where(THIS)
    .values(
        turn=sa.bindparam("the_turn"),
        loud=sa.func.coalesce(sa.bindparam("level"), CURSORS.c.loud),
        told=sa.bindparam("upto"),
        behind_since=sa.case((CURSORS.c.accepted_at.is_(None), CURSORS.c.behind_since), else_=sa.null()),
        token=FREE,
        due_at=None,
    )
)
_LEAVE = (
    sa.update(CURSORS)
    .where(THIS)
    .values(
        digest=None,
        turn=None,
        loud=None,
        told=sa.bindparam("upto"),
        behind_since=None,
        token=FREE,
        due_at=None,
        page_key=None,
    )
)
_CALL = (
    sa.update(CURSORS)
    .where(THIS)
    .values(digest=sa.bindparam("the_digest"), turn=sa.bindparam("the_turn"), loud=sa.bindparam("level"))
)


@dataclass(frozen=True, slots=True)
class Digest:
    """``wave``: of pages the round and level that it is for; else empty. ``tier``: the most urgent that joined.

    ``turn`` numbers its sendings. ``closed_at``: nobody joins any more, and all in it are answered or over.
    """

    id: str
    destination: str
    wave: str
    queue: str
    tier: Tier
    turn: int
    opened_at: datetime
    joined_at: datetime
    told_at: datetime | None = None
    replied_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Joining:
    """A cursor that joins. ``level`` is whose people are to hear of it by name; None where the sum will do."""

    incident_id: str
    destination: str
    slot: str
    tier: Tier
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Staying:
    """A cursor in a digest whose incident has news up to entry ``upto``."""

    cursor: Cursor
    upto: int
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Foremost:
    """One of the incidents that a digest names."""

    incident_id: str
    number: int
    tier: Tier
    title: str
    state: State


@dataclass(frozen=True, slots=True)
class Call:
    """So many triggered incidents of a tier are loud news for the people of a level. ``turn`` is that of their last."""

    turn: int
    level: int
    tier: Tier
    count: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a digest stands for at a moment: incidents by tier and state, the foremost of them, and loud news."""

    counts: Mapping[tuple[Tier, State], int]
    foremost: Sequence[Foremost]
    calls: Sequence[Call]
    called: Sequence[Foremost]


def current(tx: Connection, wanted: Collection[Place], since: datetime) -> dict[Place, Digest]:
    """The digests that take newcomers, where somebody joined since then; locked until the transaction ends."""
    ids = [
        tx.scalar(
            sa.select(DIGESTS.c.id)
            .where(DIGESTS.c.destination == destination, DIGESTS.c.wave == wave, DIGESTS.c.closed_at.is_(None))
            .where(DIGESTS.c.joined_at > since)
            .order_by(DIGESTS.c.opened_at.desc())
            .limit(1)
        )
        for destination, wave in wanted
    ]
    found = locked(tx, list(filter(None, ids)))
    # One may have been closed while it was waited for.
    return {(each.destination, each.wave): each for each in found.values() if each.closed_at is None}


def locked(tx: Connection, ids: Collection[str]) -> dict[str, Digest]:
    """These digests by id, kept from others until the transaction ends, each after its own cursor."""
    found = {}
    for id_ in sorted(ids):
        tx.execute(_LOCK_OWN, {"the_digest": id_})
        if row := tx.execute(sa.select(DIGESTS).where(DIGESTS.c.id == id_).with_for_update()).one_or_none():
            found[id_] = _digest(row)
    return found


def open_one(tx: Connection, digest: Digest) -> None:
    """A new digest, due at once. Among what is due it goes first: it tells of many."""
    values = {column.name: getattr(digest, column.name) for column in DIGESTS.c}
    tx.execute(sa.insert(DIGESTS).values(values | {"tier": digest.tier.value}))
    tx.execute(
        sa.insert(CURSORS).values(
            incident_id=digest.id,
            destination=digest.destination,
            slot=DIGEST_SLOT,
            queue=digest.queue,
            tier=Tier.P0.value,
            told=0,
            due_at=digest.opened_at,
            behind_since=digest.opened_at,
            token=FREE,
            attempts=0,
            uncertain=False,
            echo=False,
            failed=False,
            reference="{}",
        )
    )


def join(tx: Connection, digest: Digest, joining: Sequence[Joining], now: datetime) -> None:
    """These cursors, which wait in a line, are told in the digest from its next turn on."""
    said = {"the_digest": digest.id, "the_turn": digest.turn + 1}
    tx.execute(
        _JOIN,
        [{"i": j.incident_id, "d": j.destination, "s": j.slot, "level": j.level} | said for j in joining],
    )
    tier = min(digest.tier, *(each.tier for each in joining))
    tx.execute(sa.update(DIGESTS).where(DIGESTS.c.id == digest.id).values(joined_at=now, tier=tier.value))


def stay(tx: Connection, digest: Digest, staying: Sequence[Staying]) -> None:
    """Their news are told with the digest's next turn."""
    turn = digest.turn + 1
    tx.execute(_STAY, [key(s.cursor) | {"the_turn": turn, "level": s.level, "upto": s.upto} for s in staying])


def leave(tx: Connection, leaving: Sequence[Staying]) -> None:
    """The digest does not tell of them any more: nobody needs their pages, or their episode is past."""
    if leaving:
        tx.execute(_LEAVE, [key(each.cursor) | {"upto": each.upto} for each in leaving])


def drop(tx: Connection, incident_id: str, destination: str, slot: str) -> None:
    """As ``leave``, of one whose news are known."""
    this = sa.and_(CURSORS.c.incident_id == incident_id, CURSORS.c.destination == destination, CURSORS.c.slot == slot)
    tx.execute(sa.update(CURSORS).where(this).values(digest=None, turn=None, loud=None, behind_since=None))


def call(tx: Connection, digest: Digest, calling: Sequence[Staying]) -> None:
    """Loud news of incidents that have a card of their own are told in the digest's thread."""
    said = {"the_digest": digest.id, "the_turn": digest.turn + 1}
    tx.execute(_CALL, [key(each.cursor) | said | {"level": each.level} for each in calling])


def release(tx: Connection, digest: str, turn: int, now: datetime) -> None:
    """Who joined after this turn and was never told is to be told elsewhere. Whoever says so holds their cursors."""
    tx.execute(
        sa.update(CURSORS)
        .where(CURSORS.c.digest == digest, CURSORS.c.turn > turn, CURSORS.c.accepted_at.is_(None))
        .values(digest=None, turn=None, loud=None, told=0, due_at=now, token=FREE)
    )


def wake(tx: Connection, digest: Digest, at: datetime) -> None:
    """The digest is to be told at this instant, unless it is to be sooner, or somebody is sending it."""
    tx.execute(
        sa.update(CURSORS)
        .where(_OWN, CURSORS.c.due_at.is_(None))
        .values(due_at=at, behind_since=at, token=FREE, attempts=0, given_up=None),
        {"the_digest": digest.id},
    )


def next_turn(tx: Connection, ids: Collection[str]) -> dict[str, Digest]:
    """These digests by id, each in a new turn."""
    found = locked(tx, ids)
    if found:
        tx.execute(sa.update(DIGESTS).where(DIGESTS.c.id.in_(sorted(found))).values(turn=DIGESTS.c.turn + 1))
    return locked(tx, found)


def gather(tx: Connection, digest: Digest, most: int) -> Gathered:
    """What it stands for up to its turn, as the incidents are now. A page that was not sent yet stands for whoever is
    triggered."""
    told = sa.or_(CURSORS.c.accepted_at.is_not(None), INCIDENTS.c.state == State.TRIGGERED.value)
    stands_for = [_STANDS_FOR, CURSORS.c.turn <= digest.turn] + ([told] if digest.wave else [])
    both = sa.join(CURSORS, INCIDENTS, CURSORS.c.incident_id == INCIDENTS.c.id)
    this = {"the_digest": digest.id}
    grouped = sa.select(INCIDENTS.c.tier, INCIDENTS.c.state, sa.func.count()).select_from(both)
    counts = tx.execute(grouped.where(*stands_for).group_by(INCIDENTS.c.tier, INCIDENTS.c.state), this)
    listed = sa.select(*(INCIDENTS.c[each] for each in ("id", "number", "tier", "title", "state"))).select_from(both)
    order = (INCIDENTS.c.state != State.TRIGGERED.value, INCIDENTS.c.tier, INCIDENTS.c.number)
    foremost = tx.execute(listed.where(*stands_for).order_by(*order).limit(most), this)
    is_called = [_IN, CURSORS.c.loud.is_not(None), CURSORS.c.turn <= digest.turn]
    is_called.append(INCIDENTS.c.state == State.TRIGGERED.value)
    by_level = (CURSORS.c.turn, CURSORS.c.loud, INCIDENTS.c.tier)
    calls = tx.execute(
        sa.select(*by_level, sa.func.count()).select_from(both).where(*is_called).group_by(*by_level), this
    )
    called = tx.execute(listed.where(*is_called).order_by(*order).limit(most), this)
    return Gathered(
        {(Tier(tier), State(state)): count for tier, state, count in counts},
        [_foremost(row) for row in foremost],
        sorted((Call(turn, level, Tier(tier), count) for turn, level, tier, count in calls), key=lambda c: c.turn),
        [_foremost(row) for row in called],
    )


def changing(tx: Connection, digest: str, turn: int, *, hushing: bool, releasing: bool) -> set[Name]:
    """The cursors that ``hush`` and ``release`` would change. Locks nothing."""
    which = _changed_by(hushing=hushing, releasing=releasing)
    return {(row[0], row[1], row[2]) for row in tx.execute(sa.select(*_NAME).where(which), _at(digest, turn))}


def lock_changing(
    tx: Connection, digest: str, turn: int, ids: Collection[str], *, hushing: bool, releasing: bool
) -> set[Name]:
    """Those of them that are of these incidents, which are held; kept from others until the transaction ends."""
    which = sa.select(*_NAME).where(_changed_by(hushing=hushing, releasing=releasing)).order_by(*_NAME)
    ordered, found = sorted(ids), set[Name]()
    for start in range(0, len(ordered), _AT_ONCE):
        mine = which.where(CURSORS.c.incident_id.in_(ordered[start : start + _AT_ONCE])).with_for_update()
        found |= {(row[0], row[1], row[2]) for row in tx.execute(mine, _at(digest, turn))}
    return found


def _changed_by(*, hushing: bool, releasing: bool) -> sa.ColumnElement[bool]:
    return sa.or_(sa.false(), *([_LOUD] if hushing else []), *([_NEVER_TOLD] if releasing else []))


def _at(digest: str, turn: int) -> dict[str, Any]:
    return {"the_digest": digest, "turn": turn}


def unaccepted(tx: Connection, digest: str, turn: int, most: int, after: str = "") -> list[str]:
    """Incidents that were told with a turn up to this one, of which that is not written yet. Locks nothing."""
    told = sa.select(CURSORS.c.incident_id).where(_UNACCEPTED, CURSORS.c.incident_id > after).distinct()
    return list(tx.scalars(told.order_by(CURSORS.c.incident_id).limit(most), _at(digest, turn)))


def lock_unaccepted(tx: Connection, digest: str, turn: int, ids: Collection[str]) -> list[Any]:
    """The cursors of these incidents, which are held, of which that is still so; kept from others."""
    ordered = sa.select(CURSORS).where(_UNACCEPTED, CURSORS.c.incident_id.in_(sorted(ids))).order_by(*_NAME)
    return list(tx.execute(ordered.with_for_update(), _at(digest, turn)))


def has_unaccepted(tx: Connection, digest: str, turn: int) -> bool:
    """Whether ``unaccepted`` would find any."""
    return bool(tx.scalar(sa.select(sa.exists().where(_UNACCEPTED)), _at(digest, turn)))


def accept(tx: Connection, cursors: Sequence[Any], at: datetime, page_key: str | None) -> None:
    """These were told; of pages, under this key."""
    if cursors:
        told = (
            sa.update(CURSORS).where(THIS).values(accepted_at=sa.bindparam("at"), behind_since=None, page_key=page_key)
        )
        tx.execute(told, [{"i": c.incident_id, "d": c.destination, "s": c.slot, "at": at} for c in cursors])


def hush(tx: Connection, digest: str, turn: int) -> None:
    """Loud news up to this turn were told; who has a card has no more to do with the digest.

    Whoever says so holds their cursors.
    """
    loud = (CURSORS.c.digest == digest, CURSORS.c.turn <= turn, CURSORS.c.loud.is_not(None))
    is_card = CURSORS.c.reference != "{}"
    told = {name: sa.case((is_card, sa.null()), else_=CURSORS.c[name]) for name in ("digest", "turn")}
    tx.execute(sa.update(CURSORS).where(*loud).values(told | {"loud": None}))


def has_untold(tx: Connection, digest: str, turn: int) -> bool:
    """Whether anything came after this turn."""
    return bool(tx.scalar(sa.select(sa.exists().where(_UNTOLD)), _at(digest, turn)))


def has_loud(tx: Connection, digest: str) -> bool:
    """Whether loud news wait to be told."""
    waits = sa.exists().where(CURSORS.c.digest == digest, CURSORS.c.loud.is_not(None))
    return bool(tx.scalar(sa.select(waits)))


def note(tx: Connection, digest: str, **changes: datetime | None) -> None:
    """Write ``told_at``, ``replied_at`` or ``closed_at``."""
    if changes:
        tx.execute(sa.update(DIGESTS).where(DIGESTS.c.id == digest).values(changes))


def find(tx: Connection, digest: str) -> Digest | None:
    """The digest of this id."""
    row = tx.execute(sa.select(DIGESTS).where(DIGESTS.c.id == digest)).one_or_none()
    return _digest(row) if row else None


def waiting_for_answer(tx: Connection, digest: str) -> list[str]:
    """Ids of the triggered incidents that the digest stands for, the most urgent first."""
    return list(
        tx.scalars(
            sa.select(INCIDENTS.c.id)
            .join(CURSORS, CURSORS.c.incident_id == INCIDENTS.c.id)
            .where(_STANDS_FOR, INCIDENTS.c.state == State.TRIGGERED.value)
            .order_by(INCIDENTS.c.tier, INCIDENTS.c.number),
            {"the_digest": digest},
        )
    )


def prune(tx: Connection, before: datetime, *, remove: bool) -> int:
    """Digests that nobody joined since then and that stand for nobody any more; how many there are, or were."""
    stands_for = sa.exists().where(CURSORS.c.digest == DIGESTS.c.id)
    gone = sa.select(DIGESTS.c.id).where(DIGESTS.c.joined_at < before, ~stands_for)
    ids = list(tx.scalars(gone))
    if remove and ids:
        tx.execute(sa.delete(CURSORS).where(CURSORS.c.incident_id.in_(ids), CURSORS.c.slot == DIGEST_SLOT))
        tx.execute(sa.delete(DIGESTS).where(DIGESTS.c.id.in_(ids)))
    return len(ids)


def pause_after(age: timedelta) -> timedelta:
    """How long a digest of this age rests between two edits."""
    if age < timedelta(minutes=1):
        return timedelta(seconds=5)
    return timedelta(seconds=15) if age < timedelta(minutes=10) else timedelta(minutes=1)


def _foremost(row: Any) -> Foremost:
    return Foremost(row.id, row.number, Tier(row.tier), row.title, State(row.state))


def _digest(row: Any) -> Digest:
    return Digest(**(dict(row._mapping) | {"tier": Tier(row.tier)}))
