"""Locking what a sending of a digest changes, in the order of ``incidentd.store``: the digest itself is the last."""

from functools import partial

from sqlalchemy.engine import Connection

from incidentd.errors import ConflictError
from incidentd.lifecycle.claim import Bundle
from incidentd.store import buckets, cursors, digests, incidents


def lock_leased(tx: Connection, bundle: Bundle) -> None:
    """Lock a digest that somebody leases.

    Raises:
        ConflictError: another sender has it by now.
    """
    digests.locked(tx, [bundle.digest.id])
    if not cursors.is_leased(tx, bundle.cursor, bundle.token):
        raise ConflictError("another sender has the digest")


def lock_with_members(tx: Connection, bundle: Bundle, *, hushing: bool, closing: bool) -> None:
    """Lock the members that hushing or closing it changes, the buckets that call in it, and then the digest.

    Raises:
        ConflictError: somebody joined meanwhile, who would be locked too late; or another sender has it.
    """
    id_, turn = bundle.digest.id, bundle.digest.turn
    changing = partial(digests.changing, tx, id_, turn, hushing=hushing, releasing=closing)
    ids = {incident_id for incident_id, _, _ in changing()}
    incidents.hold(tx, ids)
    members = digests.lock_changing(tx, id_, turn, ids, hushing=hushing, releasing=closing)
    calling = buckets.calling(tx, id_, lock=True) if closing else set()
    lock_leased(tx, bundle)
    if not changing() <= members or (closing and not buckets.calling(tx, id_) <= calling):
        raise ConflictError("somebody joined the digest meanwhile")
