"""What was done to pages where they went: kept from its telling to its effect, and for as long as it is told again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.engine import Connection

from incidentd.reaction import STATES, TOLD_FOR, Did, Reaction
from incidentd.store.tables import REACTIONS

_OTHER = REACTIONS.alias("other")
_EARLIER = sa.exists().where(
    _OTHER.c.page == REACTIONS.c.page,
    _OTHER.c.due_at.is_not(None),
    sa.or_(_OTHER.c.at < REACTIONS.c.at, sa.and_(_OTHER.c.at == REACTIONS.c.at, _OTHER.c.id < REACTIONS.c.id)),
)
_THIS = REACTIONS.c.id == sa.bindparam("this")
_FARTHEST = timedelta(minutes=2)
"""Beyond every lease and next try: whoever wrote a later one had a clock which has gone back since."""
_DUE = REACTIONS.c.due_at <= sa.bindparam("now")
_IS_BEYOND = REACTIONS.c.due_at > sa.bindparam("horizon")
# Two searches: one for either would read the whole index.
_ANY_DUE = sa.select(sa.or_(sa.exists().where(_DUE), sa.exists().where(_IS_BEYOND)))
_BRING_BACK = sa.update(REACTIONS).where(_IS_BEYOND).values(due_at=sa.bindparam("soon"))
_TAKE = (
    sa.select(REACTIONS)
    .where(_DUE, sa.not_(_EARLIER))
    .order_by(REACTIONS.c.at, REACTIONS.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True, of=REACTIONS)
)
_LEASE = sa.update(REACTIONS).where(_THIS).values(due_at=sa.bindparam("until"))
_IS_LATE = sa.select(
    sa.exists().where(
        REACTIONS.c.page == sa.bindparam("the_page"),
        REACTIONS.c.at > sa.bindparam("dated"),
        REACTIONS.c.did.in_(STATES),
        REACTIONS.c.outcome.is_not(None),
    )
)
_KEYS = (
    sa.select(REACTIONS.c.page_keys)
    .where(
        REACTIONS.c.page == sa.bindparam("the_page"), REACTIONS.c.outcome.is_not(None), REACTIONS.c.page_keys != "[]"
    )
    .order_by(REACTIONS.c.at.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Pending:
    """One that has yet to have its effect. ``attempts`` are the tries so far."""

    reaction: Reaction
    received_at: datetime
    attempts: int


def keep(tx: Connection, reaction: Reaction, now: datetime) -> bool:
    """Keep what was told; False where it was kept before. What nobody tells any more is forgotten.

    Not what has yet to have its effect, however old: it is carried out, or given up with a word in the log.

    Raises:
        sqlalchemy.exc.IntegrityError: another process keeps the same just now.
    """
    if tx.scalar(sa.select(REACTIONS.c.at).where(REACTIONS.c.id == reaction.id)) is not None:
        return False
    tx.execute(sa.delete(REACTIONS).where(REACTIONS.c.received_at < now - TOLD_FOR, REACTIONS.c.outcome.is_not(None)))
    row = {
        "id": reaction.id,
        "page": reaction.page,
        "did": reaction.did.value,
        "at": reaction.at,
        "received_at": now,
        "page_keys": _dumped(reaction.keys),
        "who": reaction.who,
        "name": reaction.name,
        "text": reaction.text,
        "attempts": 0,
        "due_at": now,
    }
    tx.execute(sa.insert(REACTIONS).values(row))
    return True


def any_due(tx: Connection, now: datetime) -> bool:
    """Whether ``take`` might find any."""
    return tx.scalar(_ANY_DUE, {"now": now, "horizon": now + _FARTHEST}) or False


def take(tx: Connection, now: datetime, until: datetime, most: int) -> list[Pending]:
    """What is due, leased until then: of each page what was done first, and nothing that came after it."""
    tx.execute(_BRING_BACK, {"horizon": now + _FARTHEST, "soon": now})
    rows = tx.execute(_TAKE, {"now": now, "most": most}).all()
    if rows:
        tx.execute(_LEASE, [{"this": row.id, "until": until} for row in rows])
    return [_pending(row) for row in rows]


def lease(tx: Connection, reaction_id: str, until: datetime) -> None:
    """Whoever carries it out is still at it."""
    tx.execute(_LEASE, {"this": reaction_id, "until": until})


def postpone(tx: Connection, reaction_id: str, due_at: datetime) -> None:
    """It is tried again then, and what was done to the same page after it waits for it."""
    tried = sa.update(REACTIONS).where(REACTIONS.c.id == reaction_id)
    tx.execute(tried.values(due_at=due_at, attempts=REACTIONS.c.attempts + 1))


def settle(tx: Connection, reaction_id: str, outcome: str, keys: Sequence[str]) -> None:
    """It has had what effect it has; ``keys`` are those that its page turned out to have."""
    done = sa.update(REACTIONS).where(REACTIONS.c.id == reaction_id)
    tx.execute(done.values(due_at=None, outcome=outcome, page_keys=_dumped(keys)))


def is_late(tx: Connection, reaction: Reaction) -> bool:
    """Whether something was done to the same page after it, and has had its effect already."""
    return tx.scalar(_IS_LATE, {"the_page": reaction.page, "dated": reaction.at}) or False


def keys_of(tx: Connection, page: str) -> tuple[str, ...]:
    """The keys of the alerts in a page, as found out last; none where nobody has asked yet."""
    found = tx.scalar(_KEYS, {"the_page": page})
    return _loaded(found) if found else ()


def _pending(row: sa.Row[tuple[object, ...]]) -> Pending:
    did, keys = Did(row.did), _loaded(row.page_keys)
    reaction = Reaction(row.id, did, row.at, row.page, keys, row.who, row.name, row.text)
    return Pending(reaction, row.received_at, row.attempts)


def _dumped(keys: Sequence[str]) -> str:
    return to_json(list(keys)).decode()


def _loaded(text: str) -> tuple[str, ...]:
    return tuple(map(str, from_json(text)))
