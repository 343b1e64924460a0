"""Receivers' limits: who may go now, who waits in line, and who is called when tokens are there again.

Whoever comes while others wait joins the line, so that the most urgent go first, whenever they came. In a storm those
in line that are beyond what is told one by one share a digest (``fold.py``).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.channels.bucket import take
from incidentd.channels.channel import Destination
from incidentd.incident.slot import PAGE
from incidentd.lifecycle.fold import GATHER, fold
from incidentd.lifecycle.member import is_loud
from incidentd.lifecycle.parcel import Parcel
from incidentd.store import buckets, incidents, line
from incidentd.store.buckets import Bucket
from incidentd.store.cursors import Cursor, name
from incidentd.tier import Tier

# A net only: who is called leaves the line long before, and who has news is looked at again at once.
WAIT = timedelta(minutes=5)


def not_in_line(
    tx: Connection, cursors: Sequence[Cursor], limited: Callable[[str], Destination | None]
) -> list[Cursor]:
    """Those that, as it looks now, will not have to join a line unread. Locks nothing."""
    behind = _behind(cursors, limited)
    lines = buckets.with_line(tx, behind) if behind else set()
    return _without(cursors, _unread(tx, {name: behind[name] for name in lines}))


def lock(
    tx: Connection,
    cursors: Sequence[Cursor],
    parcels: Iterable[Parcel],
    limited: Callable[[str], Destination | None],
) -> Mapping[str, Bucket]:
    """All buckets that these may need, at once and in one order: two senders never wait for each other."""
    names = {*_behind(cursors, limited), *filter(None, map(_bucket, parcels))}
    return buckets.lock(tx, names) if names else {}


def still_to_ask(
    tx: Connection,
    cursors: Sequence[Cursor],
    limited: Callable[[str], Destination | None],
    locked: Mapping[str, Bucket],
    now: datetime,
) -> list[Cursor]:
    """Those of which it is to be seen what they have to say, and whether they may.

    The others, first news of incidents that nobody has answered, join their line at once, unread: in a storm that is
    nearly all. ``limited`` is the destination of a name, if it has a limit.
    """
    behind = _behind(cursors, limited)
    joining = _unread(tx, {name: behind[name] for name in behind if name in locked and locked[name].next_at})
    for bucket, unread in joining.items():
        line.join(tx, unread, bucket, now + WAIT)
    return _without(cursors, joining)


def line_up(
    tx: Connection, cursors: Sequence[Cursor], limited: Callable[[str], Destination | None], now: datetime
) -> None:
    """Let the first news of many incidents wait where they are too many to be told one by one, unread.

    A storm comes in large jobs: looking at each of them would keep the first page waiting.
    """
    behind = _behind([cursor for cursor in cursors if cursor.is_new], limited)
    locked = buckets.lock(tx, behind) if behind else {}
    for bucket_name, unread in _unread(tx, behind).items():
        stored = locked.get(bucket_name)
        bucket = _as_the_rules_say(stored, limited(behind[bucket_name][0].destination), now)
        if not bucket.one_by_one or not (bucket.next_at or bucket.is_storm(now) or len(unread) > bucket.room(now)):
            continue
        line.join(tx, unread, bucket_name, now + WAIT)
        if bucket.next_at is None:
            buckets.write(tx, replace(bucket, next_at=now + GATHER), first=stored is None)


def _unread(tx: Connection, behind: Mapping[str, Sequence[Cursor]]) -> Mapping[str, Sequence[Cursor]]:
    """Those whose incident nobody has answered: what the others have to say, if anything, is to be seen."""
    ids = {cursor.incident_id for cursors in behind.values() for cursor in cursors}
    unanswered = incidents.triggered(tx, ids) if ids else set()
    return {name: [each for each in cursors if each.incident_id in unanswered] for name, cursors in behind.items()}


def _without(cursors: Sequence[Cursor], joining: Mapping[str, Sequence[Cursor]]) -> list[Cursor]:
    gone = {id(cursor) for unread in joining.values() for cursor in unread}
    return [cursor for cursor in cursors if id(cursor) not in gone]


def _behind(cursors: Sequence[Cursor], limited: Callable[[str], Destination | None]) -> Mapping[str, list[Cursor]]:
    """The first news among them, by the bucket that they need."""
    behind: dict[str, list[Cursor]] = {}
    for cursor in cursors:
        destination = limited(cursor.destination) if cursor.is_first else None
        if destination:
            behind.setdefault(destination.bucket, []).append(cursor)
    return behind


def within_limits(
    tx: Connection, parcels: Sequence[Parcel], locked: Mapping[str, Bucket], now: datetime
) -> list[Parcel]:
    """Those that may be sent now, in their order; the others wait in line.

    One with nothing to say takes nothing, and gives back what it was granted.
    """
    by_bucket: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        if name := _bucket(parcel):
            by_bucket.setdefault(name, []).append(parcel)
    waiting: set[int] = set()
    for name in sorted(by_bucket):
        waiting |= {id(parcel) for parcel in _hold_back(tx, by_bucket[name], locked.get(name), now)}
    return [parcel for parcel in parcels if id(parcel) not in waiting]


def give_back(tx: Connection, refused: Sequence[Parcel]) -> None:
    """Nobody was told: the places of these among those that are told one by one are free again."""
    freed = Counter(name for parcel in refused if parcel.cursor.is_new and (name := _bucket(parcel)))
    for name, bucket in (buckets.lock(tx, freed) if freed else {}).items():
        buckets.write(tx, bucket.uncount(freed[name]))


def call_up(tx: Connection, now: datetime, mark: timedelta) -> list[tuple[str, str]]:
    """Let go as many of each line as its bucket has tokens for; returns (incident, queue) of each."""
    called = []
    for bucket in fold(tx, buckets.due(tx, now), now):
        room = take(bucket.level, bucket.at, now, max(1, bucket.burst), bucket.per_minute, bucket.burst).granted
        going = line.call(tx, bucket.name, room, now + mark) if room else []
        counted = bucket.count(sum(is_new for _, _, is_new in going), now)
        buckets.write(tx, _reckoned(tx, counted, len(going), now))
        called += [(incident_id, queue) for incident_id, queue, _ in going]
    return called


def _reckoned(tx: Connection, bucket: Bucket, taken: int, now: datetime) -> Bucket:
    """The bucket after so many took a token of it."""
    left = take(bucket.level, bucket.at, now, taken, bucket.per_minute, bucket.burst)
    next_at = None if line.is_empty(tx, bucket.name) else max(left.next_at, now + timedelta(milliseconds=1))
    return replace(bucket, level=left.level, at=left.at, next_at=next_at)


def _bucket(parcel: Parcel) -> str:
    """The bucket that this concerns; empty where there is none."""
    destination = parcel.destination
    limited = destination is not None and destination.per_minute > 0
    return destination.bucket if destination and limited and (not parcel.silent or parcel.cursor.granted) else ""


def _hold_back(tx: Connection, parcels: Sequence[Parcel], stored: Bucket | None, now: datetime) -> Sequence[Parcel]:
    """Put those that can't go now in line, and return them."""
    bucket = _as_the_rules_say(stored, parcels[0].destination, now)
    unused = sum(parcel.cursor.granted and parcel.silent is not None for parcel in parcels)
    asking = [parcel for parcel in parcels if not parcel.cursor.granted]
    level = min(float(bucket.burst), bucket.level + unused)
    alone = [] if bucket.next_at else _by_themselves(asking, bucket, now)
    taken = take(level, bucket.at, now, len(alone), bucket.per_minute, bucket.burst)
    going = alone[: taken.granted]
    gone = {id(parcel) for parcel in going}
    held = [parcel for parcel in asking if id(parcel) not in gone]
    loud = {name(parcel.cursor) for parcel in held if parcel.cursor.is_new or is_loud(parcel)}
    line.join(tx, [parcel.cursor for parcel in held], bucket.name, now + WAIT, loud)
    next_at = taken.next_at if held or bucket.next_at else None
    if bucket.one_by_one and any(parcel.cursor.is_new for parcel in held):
        next_at = bucket.next_at or now + GATHER
    bucket = bucket.count(sum(parcel.cursor.is_new for parcel in going), now)
    buckets.write(tx, replace(bucket, level=taken.level, at=taken.at, next_at=next_at), first=stored is None)
    return held


def _by_themselves(asking: Sequence[Parcel], bucket: Bucket, now: datetime) -> Sequence[Parcel]:
    """Those that need not wait to see whether they share a message: all but what is new and too much."""
    new = [parcel for parcel in asking if parcel.cursor.is_new] if bucket.one_by_one else []
    if not new or (len(new) <= bucket.room(now) and not (new[0].cursor.queue == PAGE and bucket.is_storm(now))):
        return asking
    urgent = [parcel for parcel in new if parcel.news.incident.tier is Tier.P0][: bucket.urgent_room(now)]
    alone = {id(parcel) for parcel in urgent} | {id(parcel) for parcel in asking if not parcel.cursor.is_new}
    return [parcel for parcel in asking if id(parcel) in alone]


def _as_the_rules_say(stored: Bucket | None, destination: Destination | None, now: datetime) -> Bucket:
    """The bucket with the limit in force, which may have changed since it was stored; full before its first use."""
    if destination is None:
        raise ValueError("only a destination has a limit")
    per_minute, burst, alone = destination.per_minute, max(1, destination.burst), destination.one_by_one
    if stored is None:
        return Bucket(destination.bucket, float(burst), now, per_minute, burst, one_by_one=alone)
    return replace(stored, per_minute=per_minute, burst=burst, one_by_one=alone)
