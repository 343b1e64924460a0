"""A sender takes cursors: no more than the receivers' limits allow, the most urgent first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.channels.backoff import next_try
from incidentd.channels.channel import Channel
from incidentd.lifecycle.limit import still_to_ask, within_limits
from incidentd.lifecycle.parcel import Packer, Parcel
from incidentd.process.failpoint import failpoint
from incidentd.store import cursors
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
    asking = still_to_ask(tx, found, packer.limited, now)
    packed = [_heard_out(parcel, channels) for parcel in packer.pack(tx, asking, new_id(), now)]
    parcels = within_limits(tx, packed, now)
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
