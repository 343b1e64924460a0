"""In a storm: who of those that wait before a receiver's limit is told by itself, and who shares one message.

The first ``one_by_one`` new ones of a minute have a message each, the most urgent of those that wait. What is beyond
joins the digest of its destination, which is one message, kept up to date; for pages, of its round and level there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy.engine import Connection

from incidentd.channels.bucket import take
from incidentd.incident.slot import PAGE, parse_page_slot
from incidentd.store import digests, line
from incidentd.store.buckets import Bucket
from incidentd.store.digests import Digest, Joining, Place
from incidentd.store.line import Newcomer
from incidentd.tier import Tier

GATHER = timedelta(milliseconds=500)
"""How long those that have to wait are gathered before it is seen whether they share a message."""
PATIENCE = timedelta(seconds=5)
"""A page that would have to wait for longer shares one."""
CALM = timedelta(minutes=10)
"""A storm is over when so long nobody has joined it; pages of their own come again after a minute."""
PAGES_CALM = timedelta(minutes=1)
_BREATH = timedelta(seconds=1)
"""What comes together is told together."""
_MOST = 5000


def fold(tx: Connection, due: Sequence[Bucket], now: datetime) -> list[Bucket]:
    """Let those of these buckets' lines that are beyond what is told one by one join digests; returns the buckets.

    All digests that take them are locked at once: no two timekeepers wait for each other's.
    """
    beyond = {
        bucket.name: those_beyond(line.newcomers(tx, bucket.name, _MOST), bucket, now)
        for bucket in due
        if bucket.one_by_one
    }
    places = {_place(each) for some in beyond.values() for each in some}
    found = digests.current(tx, sorted(places), now - CALM) if places else {}
    return [_folded(tx, bucket, beyond.get(bucket.name, []), found, now) for bucket in due]


def _folded(
    tx: Connection, bucket: Bucket, beyond: Sequence[Newcomer], found: Mapping[Place, Digest], now: datetime
) -> Bucket:
    if not beyond:
        return bucket
    for place in sorted({_place(each) for each in beyond}):
        joining = [each for each in beyond if _place(each) == place]
        digest = _digest(tx, joining, place, found.get(place), now)
        digests.join(tx, digest, [_joining(each) for each in joining], now)
        digests.wake(tx, digest, due_at(digest, now))
        bucket = replace(bucket, digest=None if digest.wave else digest.id)
    calm = PAGES_CALM if beyond[0].queue == PAGE else CALM
    return replace(bucket, storm_until=now + calm)


def those_beyond(waiting: Sequence[Newcomer], bucket: Bucket, now: datetime) -> list[Newcomer]:
    """Those of the newcomers, in their order, that have no message of their own.

    None where all of them fit. Of pages that don't all fit, and of all pages while the storm lasts, only P0s have their
    own; P0s have one also where the storm has used up what there is for the others.
    """
    if not waiting or not bucket.one_by_one:
        return []
    paging = waiting[0].queue == PAGE
    soon = _soon(bucket, now) if paging else len(waiting)
    fits = len(waiting) <= min(bucket.room(now), soon)
    if fits and not (paging and bucket.is_storm(now)):
        return []
    room, urgent = 0 if paging else bucket.room(now), min(bucket.urgent_room(now), soon)
    alone: set[int] = set()
    for each in waiting:
        if len(alone) < (max(room, urgent) if each.tier is Tier.P0 else room):
            alone.add(id(each))
    return [each for each in waiting if id(each) not in alone]


def due_at(digest: Digest, now: datetime) -> datetime:
    """When the digest is to be told of what is new: at once, unless it was told just now."""
    if digest.told_at is None:
        return now
    return max(now + _BREATH, digest.told_at + digests.pause_after(now - digest.opened_at))


def _soon(bucket: Bucket, now: datetime) -> int:
    """How many pages the receiver's limit lets through before a page has waited for too long."""
    there = take(bucket.level, bucket.at, now, bucket.burst, bucket.per_minute, bucket.burst).granted
    return there + int(bucket.per_minute * PATIENCE / timedelta(minutes=1))


def _digest(tx: Connection, joining: Sequence[Newcomer], place: Place, found: Digest | None, now: datetime) -> Digest:
    """The digest that they join. One that woke people for something less urgent would not wake them again."""
    destination, wave = place
    tier = min(each.tier for each in joining)
    if found and (not wave or found.told_at is None or found.tier <= tier):
        return found
    name = f"{destination}\n{wave}\n{now.isoformat()}"
    fresh = Digest(str(uuid5(NAMESPACE_URL, name)), destination, wave, joining[0].queue, tier, 0, now, now)
    digests.open_one(tx, fresh)
    return fresh


def _joining(newcomer: Newcomer) -> Joining:
    """Of a P0 people hear by name."""
    level = 1 if newcomer.tier is Tier.P0 and newcomer.queue != PAGE else None
    return Joining(newcomer.incident_id, newcomer.destination, newcomer.slot, newcomer.tier, level)


def _place(newcomer: Newcomer) -> Place:
    return (newcomer.destination, _wave(newcomer))


def _wave(newcomer: Newcomer) -> str:
    """A page is for one round and level; whoever reads needs no more than one message."""
    if newcomer.queue != PAGE:
        return ""
    return str(parse_page_slot(newcomer.slot)).partition(".")[2]
