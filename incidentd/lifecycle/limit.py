"""Receivers' limits: who may go now, who waits in line, and who is called when tokens are there again.

Whoever comes while others wait joins the line, so that the most urgent go first, whenever they came.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.channels.bucket import take
from incidentd.channels.channel import Destination
from incidentd.lifecycle.parcel import Parcel
from incidentd.store import buckets, incidents, line
from incidentd.store.buckets import Bucket
from incidentd.store.cursors import Cursor

# A net only: who is called leaves the line long before, and who has news is looked at again at once.
WAIT = timedelta(minutes=5)


def not_in_line(
    tx: Connection, cursors: Sequence[Cursor], limited: Callable[[str], Destination | None]
) -> list[Cursor]:
    """Those that, as it looks now, will not have to join a line unread. Locks nothing."""
    behind = _behind(cursors, limited)
    lines = buckets.with_line(tx, behind) if behind else set()
    joining = {id(cursor) for name in lines for cursor in behind[name]}
    return [cursor for cursor in cursors if id(cursor) not in joining]


def still_to_ask(
    tx: Connection, cursors: Sequence[Cursor], limited: Callable[[str], Destination | None], now: datetime
) -> list[Cursor]:
    """Those of which it is to be seen what they have to say, and whether they may.

    The others, first news of incidents that nobody has answered, join their line at once, unread: in a storm that is
    nearly all. ``limited`` is the destination of a name, if it has a limit.
    """
    behind = _behind(cursors, limited)
    joined: set[int] = set()
    for name in sorted(behind):
        bucket = buckets.read(tx, name)
        if bucket and bucket.next_at:
            unanswered = incidents.triggered(tx, {cursor.incident_id for cursor in behind[name]})
            waiting = [cursor for cursor in behind[name] if cursor.incident_id in unanswered]
            line.join(tx, waiting, name, now + WAIT)
            joined |= {id(cursor) for cursor in waiting}
    return [cursor for cursor in cursors if id(cursor) not in joined]


def _behind(cursors: Sequence[Cursor], limited: Callable[[str], Destination | None]) -> Mapping[str, list[Cursor]]:
    """The first news among them, by the bucket that they need."""
    behind: dict[str, list[Cursor]] = {}
    for cursor in cursors:
        destination = limited(cursor.destination) if cursor.is_first else None
        if destination:
            behind.setdefault(destination.bucket, []).append(cursor)
    return behind


def within_limits(tx: Connection, parcels: Sequence[Parcel], now: datetime) -> list[Parcel]:
    """Those that may be sent now, in their order; the others wait in line.

    One with nothing to say takes nothing, and gives back what it was granted.
    """
    by_bucket: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        if name := _bucket(parcel):
            by_bucket.setdefault(name, []).append(parcel)
    waiting: set[int] = set()
    for name in sorted(by_bucket):
        waiting |= {id(parcel) for parcel in _hold_back(tx, name, by_bucket[name], now)}
    return [parcel for parcel in parcels if id(parcel) not in waiting]


def call_up(tx: Connection, now: datetime, mark: timedelta) -> list[tuple[str, str]]:
    """Let go as many of each line as its bucket has tokens for; returns (incident, queue) of each."""
    called = []
    for bucket in buckets.due(tx, now):
        room = take(bucket.level, bucket.at, now, bucket.burst, bucket.per_minute, bucket.burst).granted
        going = line.call(tx, bucket.name, room, now + mark) if room else []
        buckets.write(tx, _reckoned(tx, bucket, len(going), now))
        called += going
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


def _hold_back(tx: Connection, name: str, parcels: Sequence[Parcel], now: datetime) -> Sequence[Parcel]:
    """Put those that can't go now in line, and return them."""
    stored = buckets.read(tx, name)
    bucket = _as_the_rules_say(stored, parcels[0].destination, now)
    unused = sum(parcel.cursor.granted and parcel.silent is not None for parcel in parcels)
    asking = [parcel for parcel in parcels if not parcel.cursor.granted]
    level = min(float(bucket.burst), bucket.level + unused)
    wanted = 0 if bucket.next_at else len(asking)
    taken = take(level, bucket.at, now, wanted, bucket.per_minute, bucket.burst)
    held = asking[taken.granted :]
    line.join(tx, [parcel.cursor for parcel in held], name, now + WAIT)
    next_at = taken.next_at if held or bucket.next_at else None
    buckets.write(tx, replace(bucket, level=taken.level, at=taken.at, next_at=next_at), first=stored is None)
    return held


def _as_the_rules_say(stored: Bucket | None, destination: Destination | None, now: datetime) -> Bucket:
    """The bucket with the limit in force, which may have changed since it was stored; full before its first use."""
    if destination is None:
        raise ValueError("only a destination has a limit")
    per_minute, burst = destination.per_minute, destination.burst
    if stored is None:
        return Bucket(destination.bucket, float(burst), now, per_minute, burst)
    return replace(stored, per_minute=per_minute, burst=burst)
