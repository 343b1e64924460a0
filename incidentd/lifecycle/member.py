"""News of incidents that a digest tells of: handed on to it, and no message of their own."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from incidentd.incident.slot import PAGE, parse_episode, parse_page_slot
from incidentd.incident.state import Incident, State
from incidentd.lifecycle.fold import due_at
from incidentd.lifecycle.parcel import Parcel
from incidentd.store import digests
from incidentd.store.cursors import Cursor
from incidentd.store.digests import Digest, Staying
from incidentd.tier import Tier
from incidentd.timeline import Told


def hand_on(tx: Connection, parcels: Sequence[Parcel], held: Mapping[str, Digest], now: datetime) -> None:
    """Let the digests tell what these members have to say, and no more of those that they need not tell of.

    ``held`` are at least those digests, locked.
    """
    for id_ in sorted(digests_of(parcels) & held.keys()):
        digest = held[id_]
        mine = [parcel for parcel in parcels if parcel.cursor.digest == digest.id]
        leaving = [parcel for parcel in mine if _leaves(parcel.cursor, parcel.news.incident, digest)]
        left = {id(parcel) for parcel in leaving}
        digests.leave(tx, [Staying(parcel.cursor, parcel.upto) for parcel in leaving])
        staying = [_staying(parcel) for parcel in mine if id(parcel) not in left]
        if staying:
            digests.stay(tx, digest, staying)
        digests.wake(tx, digest, due_at(digest, now))


def digests_of(parcels: Sequence[Parcel]) -> set[str]:
    """The digests that these are in."""
    return {parcel.cursor.digest for parcel in parcels if parcel.cursor.digest}


def callers(parcels: Sequence[Parcel], storms: Mapping[str, str]) -> list[tuple[Parcel, str]]:
    """Those whose loud news a digest's thread tells, once for all, each with that digest.

    ``storms`` are digests by bucket. P0s call for themselves.
    """
    return [(parcel, storms[_bucket(parcel)]) for parcel in parcels if _bucket(parcel) in storms and _calls(parcel)]


def call_in_storm(
    tx: Connection, calling: Sequence[tuple[Parcel, str]], held: Mapping[str, Digest], now: datetime
) -> Sequence[Parcel]:
    """Let the digests call for these; returns those whose own cards stay quiet.

    ``held`` are the digests that there are, locked. What failed once has been called for already.
    """
    for id_ in sorted({id_ for _, id_ in calling} & held.keys()):
        mine = [parcel for parcel, its in calling if its == id_ and parcel.cursor.attempts == 0]
        if mine:
            digests.call(tx, held[id_], [Staying(p.cursor, p.upto, _level(p.news.incident)) for p in mine])
            digests.wake(tx, held[id_], due_at(held[id_], now))
    return [parcel for parcel, id_ in calling if id_ in held]


def is_loud(parcel: Parcel) -> bool:
    """Whether telling this calls somebody."""
    loud = any(entry.data.told is Told.LOUDLY for entry in parcel.news.entries)
    return loud and parcel.news.incident.state is State.TRIGGERED


def _calls(parcel: Parcel) -> bool:
    is_card = parcel.cursor.queue != PAGE and "ts" in parcel.cursor.reference
    return is_card and parcel.news.incident.tier is not Tier.P0 and is_loud(parcel)


def _bucket(parcel: Parcel) -> str:
    return parcel.destination.bucket if parcel.destination else ""


def _staying(parcel: Parcel) -> Staying:
    calls = parcel.cursor.queue != PAGE and is_loud(parcel)
    return Staying(parcel.cursor, parcel.upto, _level(parcel.news.incident) if calls else None)


def _level(incident: Incident) -> int:
    return incident.told_level or incident.level


def _leaves(cursor: Cursor, incident: Incident, digest: Digest) -> bool:
    """Whether the digest has no more to do with it: its episode or round is past, or nobody needs its page.

    A page that went out stands until a newer round's did (model 34).
    """
    if cursor.queue != PAGE:
        return parse_episode(cursor.slot) < incident.episode
    page = parse_page_slot(cursor.slot)
    if page.episode < incident.episode:
        return True
    if cursor.accepted_at is None and (cursor.turn or 0) > _sent(digest):
        return incident.state is not State.TRIGGERED or page.round < incident.round
    return page.round < incident.round and incident.paged_round > page.round


def _sent(digest: Digest) -> int:
    """The last turn that may have been sent."""
    return digest.turn if digest.told_at is not None else 0
