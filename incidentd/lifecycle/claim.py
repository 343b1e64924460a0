"""A sender takes cursors: no more than the receivers' limits allow, the most urgent first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.channels.backoff import next_try
from incidentd.channels.bucket import take
from incidentd.channels.channel import Channel, Destination
from incidentd.lifecycle.parcel import Packer, Parcel
from incidentd.process.failpoint import failpoint
from incidentd.store import buckets, cursors
from incidentd.store.buckets import Level
from incidentd.store.cursors import Cursor

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """What was leased. ``more``: there may be further cursors, behind those or behind what a receiver's limit held."""

    parcels: list[Parcel]
    more: bool


def claim(
    tx: Connection,
    packer: Packer,
    channels: Mapping[str, Channel],
    ids: Sequence[str],
    *,
    queue: str,
    limit: int,
    now: datetime,
    lease: timedelta,
    new_id: Callable[[], str],
) -> Claim:
    """Lease what these incidents have to tell in this queue, and read it in the same transaction.

    Where there is nothing to say, nothing is taken of the receiver's limit.
    """
    found = cursors.claimable(tx, ids, queue, now, limit)
    if not found:
        return Claim([], more=False)
    packed = [_heard_out(parcel, channels) for parcel in packer.pack(tx, found, new_id(), now)]
    parcels = _within_limits(tx, packed, now)
    if parcels:
        cursors.lease(tx, [parcel.cursor for parcel in parcels], parcels[0].token, now + lease)
    failpoint("claim.before_commit")
    return Claim(parcels, more=len(found) == limit)


def put_off(
    tx: Connection, incident_id: str, queue: str, now: datetime, random: Callable[[], float]
) -> Sequence[Cursor]:
    """Try what this incident has to tell later, for its next turn to grow; returns those cursors, as they were."""
    found = cursors.claimable(tx, [incident_id], queue, now, _MOST)
    if found:
        until = next_try(max(cursor.attempts for cursor in found) + 1, None, now, random)
        cursors.postpone(tx, [replace(cursor, attempts=cursor.attempts + 1) for cursor in found], until)
    return found


def _heard_out(parcel: Parcel, channels: Mapping[str, Channel]) -> Parcel:
    channel = channels.get(parcel.destination.kind) if parcel.destination else None
    return replace(parcel, silent=channel.silent(parcel.news)) if channel else parcel


def _within_limits(tx: Connection, parcels: list[Parcel], now: datetime) -> list[Parcel]:
    by_bucket: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        by_bucket.setdefault(_bucket(parcel), []).append(parcel)
    held_back: set[int] = set()
    for name in sorted(by_bucket):
        waiting = by_bucket[name]
        number, next_at = _take(tx, name, waiting[0].destination, len(waiting), now)
        cursors.postpone(tx, [parcel.cursor for parcel in waiting[number:]], next_at)
        held_back |= {id(parcel) for parcel in waiting[number:]}
    return [parcel for parcel in parcels if id(parcel) not in held_back]


def _bucket(parcel: Parcel) -> str:
    destination = parcel.destination
    return destination.bucket if destination and destination.per_minute and parcel.silent is None else ""


def _take(
    tx: Connection, name: str, destination: Destination | None, wanted: int, now: datetime
) -> tuple[int, datetime]:
    if not name or destination is None:
        return wanted, now
    stored = buckets.read(tx, name)
    before = stored or Level(float(destination.burst), now)
    taken = take(before.level, before.at, now, wanted, destination.per_minute, destination.burst)
    buckets.write(tx, name, Level(taken.level, taken.at), first=stored is None)
    return taken.granted, taken.next_at
