"""A sender takes cursors: no more than the receivers' limits allow, the most urgent first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.channels.bucket import take
from incidentd.channels.channel import Destination
from incidentd.failpoint import failpoint
from incidentd.lifecycle.parcel import Packer, Parcel
from incidentd.store import buckets, cursors
from incidentd.store.buckets import Level


@dataclass(frozen=True, slots=True)
class Claim:
    """What was leased. ``more``: there may be further cursors, behind those or behind what a receiver's limit held."""

    parcels: list[Parcel]
    more: bool


def claim(
    tx: Connection,
    packer: Packer,
    ids: Sequence[str],
    *,
    queue: str,
    limit: int,
    now: datetime,
    lease: timedelta,
    new_id: Callable[[], str],
) -> Claim:
    """Lease what these incidents have to tell in this queue, and read it in the same transaction."""
    found = cursors.claimable(tx, ids, queue, now, limit)
    if not found:
        return Claim([], more=False)
    parcels = _within_limits(tx, packer.pack(tx, found, new_id(), now), now)
    if parcels:
        cursors.lease(tx, [parcel.cursor for parcel in parcels], parcels[0].token, now + lease)
    failpoint("claim.before_commit")
    return Claim(parcels, more=len(found) == limit)


def _within_limits(tx: Connection, parcels: list[Parcel], now: datetime) -> list[Parcel]:
    by_bucket: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        by_bucket.setdefault(_bucket(parcel.destination), []).append(parcel)
    held_back: set[int] = set()
    for name in sorted(by_bucket):
        waiting = by_bucket[name]
        number, next_at = _take(tx, name, waiting[0].destination, len(waiting), now)
        cursors.postpone(tx, [parcel.cursor for parcel in waiting[number:]], next_at)
        held_back |= {id(parcel) for parcel in waiting[number:]}
    return [parcel for parcel in parcels if id(parcel) not in held_back]


def _bucket(destination: Destination | None) -> str:
    return destination.bucket if destination and destination.per_minute else ""


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
