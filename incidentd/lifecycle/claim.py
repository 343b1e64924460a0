"""A sender takes cursors: no more than the receivers' limits allow, the most urgent first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.channels.backoff import next_try
from incidentd.channels.channel import Channel
from incidentd.lifecycle.limit import line_up, lock, not_in_line, still_to_ask, within_limits
from incidentd.lifecycle.member import call_in_storm, callers, digests_of, hand_on
from incidentd.lifecycle.parcel import Packer, Parcel
from incidentd.process.failpoint import failpoint
from incidentd.store import cursors, digests, incidents
from incidentd.store.cursors import Cursor, Name
from incidentd.store.digests import Digest

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Survey:
    """What there was to tell at a moment: the cursors, and what was packed for them, by their names.

    For those that will have to wait in line, nothing is. ``locked``: nobody else has them until the transaction ends.
    """

    cursors: list[Cursor]
    parcels: Mapping[Name, Parcel]
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """A leased digest, in the turn that is to be told."""

    cursor: Cursor
    token: str
    digest: Digest
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What was leased. ``more``: there may be further cursors, behind those or behind what a receiver's limit held.

    ``overtaken``: something changed since the survey, so that some were left as they are.
    """

    parcels: list[Parcel]
    more: bool
    overtaken: bool = False
    bundles: Sequence[Bundle] = ()


def survey(
    tx: Connection,
    packer: Packer,
    channels: Mapping[str, Channel],
    ids: Sequence[str],
    *,
    queue: str,
    limit: int,
    now: datetime,
    new_id: Callable[[], str],
    locking: bool = False,
) -> Survey:
    """Look what these incidents have to tell in this queue. Packing is most of a claim's work.

    ``locking``: what is found stays as it is until the transaction ends, but for the incidents themselves.
    """
    found = (cursors.claimable if locking else cursors.look)(tx, ids, queue, now, limit)
    mine = [cursor for cursor in found if cursor.slot != cursors.DIGEST_SLOT]
    packed = packer.pack(tx, not_in_line(tx, mine, packer.limited), new_id(), now)
    return Survey(found, {cursors.name(parcel.cursor): _heard_out(parcel, channels) for parcel in packed}, locking)


def survey_folded(
    tx: Connection, packer: Packer, ids: Sequence[str], *, queue: str, now: datetime, new_id: Callable[[], str]
) -> Survey:
    """Of many incidents, those that digests tell of: they need no sender."""
    found = cursors.look_folded(tx, ids, queue, now, _MOST)
    packed = packer.pack(tx, found, new_id(), now)
    return Survey(found, {cursors.name(parcel.cursor): parcel for parcel in packed})


def relieve(tx: Connection, packer: Packer, surveyed: Survey, ids: Sequence[str], *, queue: str, now: datetime) -> None:
    """Of so many incidents at once, hand on to the digests what they tell, and line up what is beyond one by one.

    What is for an optional destination that nobody has set up is told to nobody.
    """
    unset = packer.unset()
    everything = cursors.relievable(tx, ids, queue, now, _MOST, unset | packer.all_limited())
    cursors.pass_over(tx, [cursor for cursor in everything if cursor.destination in unset])
    found = [cursor for cursor in everything if cursor.destination not in unset]
    line_up(tx, [cursor for cursor in found if not cursor.is_folded], packer.limited, now)
    folded = [cursor for cursor in found if cursor.is_folded]
    if folded:
        current = _current(tx, folded, surveyed)
        hand_on(tx, current, digests.locked(tx, digests_of(current)), now)


def take(
    tx: Connection,
    packer: Packer,
    surveyed: Survey,
    *,
    queue: str,
    limit: int,
    now: datetime,
    lease: timedelta,
    new_id: Callable[[], str],
) -> Claim:
    """Lease what was surveyed and still is as it was then: what was answered meanwhile is not sent.

    Where there is nothing to say, nothing is taken of the receiver's limit. Locks in the order of ``incidentd.store``.
    """
    own = {cursor.incident_id for cursor in surveyed.cursors if cursor.slot == cursors.DIGEST_SLOT}
    found = [cursor for cursor in surveyed.cursors if cursor.incident_id not in own]
    if found and not surveyed.locked:
        ids = {cursor.incident_id for cursor in found}
        found = cursors.claimable(tx, ids, queue, now, limit - len(own))
    locked = lock(tx, found, surveyed.parcels.values(), packer.limited)
    asking = still_to_ask(tx, found, packer.limited, locked, now)
    current = _current(tx, asking, surveyed)
    parcels = within_limits(tx, [parcel for parcel in current if not parcel.cursor.is_folded], locked, now)
    folded = [parcel for parcel in current if parcel.cursor.is_folded]
    calling = callers(parcels, {bucket.name: bucket.digest for bucket in locked.values() if bucket.digest})
    held = digests.locked(tx, digests_of(folded) | {digest for _, digest in calling})
    hand_on(tx, folded, held, now)
    hushed = {id(parcel) for parcel in call_in_storm(tx, calling, held, now)}
    parcels = [quiet(parcel) if id(parcel) in hushed else parcel for parcel in parcels]
    if parcels:
        cursors.lease(tx, [parcel.cursor for parcel in parcels], parcels[0].token, now + lease)
    bundles = _bundles(tx, cursors.claimable(tx, own, queue, now, limit) if own else [], new_id, now)
    if bundles:
        cursors.lease(tx, [bundle.cursor for bundle in bundles], bundles[0].token, now + lease)
    failpoint("claim.before_commit")
    overtaken = len(current) < len(asking)
    return Claim(parcels, overtaken or len(surveyed.cursors) == limit, overtaken, bundles)


def quiet(parcel: Parcel) -> Parcel:
    """The same, calling nobody: a digest does."""
    return replace(parcel, news=replace(parcel.news, hushed=True))


def _bundles(tx: Connection, own: Sequence[Cursor], new_id: Callable[[], str], now: datetime) -> list[Bundle]:
    if not own:
        return []
    token, found = new_id(), digests.next_turn(tx, {cursor.incident_id for cursor in own})
    return [Bundle(cursor, token, found[cursor.incident_id], now) for cursor in own if cursor.incident_id in found]


def _current(tx: Connection, asking: Sequence[Cursor], surveyed: Survey) -> list[Parcel]:
    """The parcels whose cursor and incident are as they were."""
    versions = incidents.versions(tx, {cursor.incident_id for cursor in asking})
    packed = [(cursor, surveyed.parcels.get(cursors.name(cursor))) for cursor in asking]
    return [
        parcel
        for cursor, parcel in packed
        if parcel and parcel.cursor == cursor and parcel.news.incident.last == versions.get(cursor.incident_id)
    ]


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
