"""Whoever locks several kinds of row locks them in the order that ``incidentd.store`` gives: no deadlock in a storm."""

from collections.abc import Collection
from datetime import timedelta
from functools import partial
from itertools import combinations_with_replacement

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.channels.channel import Receipt
from incidentd.channels.digest import DigestNews
from incidentd.errors import DeliveryError, PermanentError
from incidentd.incident.command import ChangeTier, Note
from incidentd.incident.slot import PAGE, TELL
from incidentd.incident.state import State
from incidentd.lifecycle.claim import Bundle, relieve, survey_folded
from incidentd.lifecycle.deliver import Sender
from incidentd.lifecycle.digest import _Told
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.limit import call_up
from incidentd.runtime import new_id
from incidentd.store import digests, incidents
from incidentd.store.cursors import FREE, HELD
from incidentd.store.digests import Digest, Joining
from incidentd.store.tables import CURSORS, DIGESTS
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, SECOND, Bench, lesser
from tests.lifecycle.rehearsal import Work, changed, deadlocks
from tests.store.database import POSTGRESQL

MARK = timedelta(seconds=3)
MANY = 34
LATER = 6
"""Newcomers, of whom half are in line still, and half have just joined the digest."""


class Storm:
    """Where everybody has something to do with the same incidents, and what each does in its transaction."""

    def __init__(self, bench: Bench, queue: str) -> None:
        self.bench = bench
        self.queue = queue
        self.sender: Sender = bench.runtime._senders[queue]
        bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(MANY)))
        bench.forward(30 * SECOND)
        (self.digest,) = bench.store.read(
            lambda tx: tx.scalars(sa.select(DIGESTS.c.id).where(DIGESTS.c.queue == queue)).all()
        )
        self._wake()
        self.bundle = self._leased()
        self._come_late(f"then-{number}" for number in range(LATER))
        bench.runtime.due()
        self._come_late(f"last-{number}" for number in range(LATER))
        self.members = [row.incident_id for row in bench.all_cursors(digest=self.digest, queue=queue)]
        for incident_id in self.members:
            bench.act(Note("anna", "a sign of work"), incident_id)
        bench.store.write(self._leave_open)

    def _come_late(self, names: object) -> None:
        """They are put in line, and nobody has looked at the line since."""
        assert not isinstance(names, str)
        before = set(self.bench.incident_ids())
        self.bench.hear(*(lesser(name, "critical") for name in names))  # type: ignore[attr-defined]
        new = [each for each in self.bench.incident_ids() if each not in before]
        self.bench.deliver({PAGE: new, TELL: new})
        self.bench.clock.advance(SECOND)

    def _wake(self) -> None:
        own = sa.update(CURSORS).where(CURSORS.c.incident_id == self.digest)
        self.bench.store.write(lambda tx: tx.execute(own.values(due_at=self.bench.now, token=FREE)))

    def _leased(self) -> Bundle:
        def take(tx: Connection) -> Bundle:
            found = self.sender._survey(tx, ids=[self.digest], queue=self.queue, limit=9)
            (bundle,) = self.sender._take(tx, surveyed=found, queue=self.queue, limit=9).bundles
            return bundle

        return self.bench.store.write(take)

    def _leave_open(self, tx: Connection) -> None:
        """Half of them don't say yet that they were told, and of the others some call people."""
        told = sa.and_(CURSORS.c.digest == self.digest, CURSORS.c.turn <= self.bundle.digest.turn)
        half = CURSORS.c.incident_id.in_(self.members[::2])
        tx.execute(sa.update(CURSORS).where(told, half).values(accepted_at=None))
        tx.execute(sa.update(CURSORS).where(told, ~half).values(loud=1))

    def told(self, came_to: Receipt | DeliveryError) -> _Told:
        """The digest was sent, and all that it stands for is over."""
        news = DigestNews(
            id=self.digest, turn=self.bundle.digest.turn, level=1, opened_at=self.bench.now,
            counts={(Tier.P1, State.RESOLVED): MANY}, foremost=[], calls=[], called=[], people={}, url="",
            reference={}, uncertain=False,
        )  # fmt: skip
        return _Told(self.bundle, None, news, came_to, self.bench.now)

    def deeds(self) -> dict[str, Work]:
        """What each does in its transaction."""
        sender, now = self.sender._digests, self.bench.now
        turn = str(self.bundle.digest.turn)
        failed = self.told(PermanentError("no"))
        told = self.told(Receipt({"called": turn, "sent": "resolve", "dedup_key": "k"}, sent=True))
        everybody = self.bench.incident_ids()
        ids = [*everybody, self.digest]
        claim = partial(self.sender._survey_and_take, ids=ids, queue=self.queue, limit=500, alone=True)

        def take(tx: Connection) -> None:
            found = self.sender._survey(tx, ids=ids, queue=self.queue, limit=500)
            self.sender._take(tx, surveyed=found, queue=self.queue, limit=500)

        def lighten(tx: Connection) -> None:
            packer = self.sender._packer
            found = survey_folded(tx, packer, ids, queue=self.queue, now=now, new_id=new_id)
            relieve(tx, packer, found, ids, queue=self.queue, now=now)

        def change(tx: Connection) -> None:
            ledger = Ledger(tx, self.bench.runtime.rulebook, now, MARK)
            ledger.load(ids=everybody)
            for incident_id in everybody:
                ledger.decide(incident_id, ChangeTier("ben", Tier.P0, "worse than it looks"))
            ledger.flush()

        return {
            "incidents change": change,
            "news are claimed": take,
            "news are claimed while incidents are held": claim,
            "a job is relieved": lighten,
            "lines are called": lambda tx: call_up(tx, now, MARK),
            "a digest was accepted": lambda tx: sender._record(tx, told),
            "a digest was refused": lambda tx: sender._record(tx, failed),
            "incidents hear that they were told": partial(sender._accept, told=told),
            "pages fall back": lambda tx: sender._fall_back(tx, told=failed, after=[""]),
        }


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("queue", [TELL, PAGE])
def test_whatever_two_do_at_the_same_time_in_a_storm_they_never_wait_for_each_other(bench: Bench, queue: str) -> None:
    storm = Storm(bench, queue)
    deeds = storm.deeds()
    found = {
        (one, other): steps
        for one, other in combinations_with_replacement(deeds, 2)
        if (steps := deadlocks(bench.store.engine, deeds[one], deeds[other]))
    }
    assert not found, "\n".join(f"{one} / {other}: at {steps}" for (one, other), steps in found.items())


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("queue", [TELL, PAGE])
def test_nor_while_the_digest_itself_is_claimed(bench: Bench, queue: str) -> None:
    storm = Storm(bench, queue)
    storm._wake()
    at_once = partial(storm.sender._survey_and_take, ids=[storm.digest], queue=queue, limit=9)
    deeds = storm.deeds() | {"the digest alone is claimed": at_once}
    claims = [name for name in deeds if "claimed" in name]
    found = {
        (one, other): steps
        for one in claims
        for other in deeds
        if (steps := deadlocks(bench.store.engine, deeds[one], deeds[other]))
    }
    assert not found, "\n".join(f"{one} / {other}: at {steps}" for (one, other), steps in found.items())


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_two_that_take_the_same_rows_in_another_order_are_found_out(bench: Bench) -> None:
    """Else the tests above could not fail."""
    bench.hear(lesser("one", "critical"), lesser("other", "critical"))
    one, other = bench.incident_ids()

    def take(*ids: str) -> Work:
        return lambda tx: [incidents.lock(tx, ids=[each]) for each in ids]

    assert deadlocks(bench.store.engine, take(one, other), take(other, one)) == [2]
    assert deadlocks(bench.store.engine, take(one, other), take(one, other)) == []


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("queue", [TELL, PAGE])
def test_each_of_them_has_something_to_do(bench: Bench, queue: str) -> None:
    """Else they would not meet."""
    written: dict[str, set[str]] = {}
    storm = Storm(bench, queue)
    for name, deed in storm.deeds().items():
        written[name] = changed(bench.store.engine, deed)
    assert written == {
        "incidents change": {"incidents", "entries", "cursors"},
        "news are claimed": {"cursors"},
        "news are claimed while incidents are held": {"cursors"},
        "a job is relieved": {"cursors"},
        "lines are called": {"buckets", "cursors", "digests"},
        "a digest was accepted": {"buckets", "cursors", "digests"} if queue == TELL else {"cursors", "digests"},
        "a digest was refused": {"cursors"},
        "incidents hear that they were told": {"incidents", "entries", "cursors", "deliveries"},
        "pages fall back": {"incidents", "entries"} if queue == PAGE else set(),
    }


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_closing_a_digest_begins_anew_where_somebody_joined_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = Storm(bench, TELL)
    late = next(row for row in bench.all_cursors(queue=TELL) if row.token == HELD)
    locked, begun = digests.locked, list[str]()

    def join_before(tx: Connection, ids: Collection[str]) -> dict[str, Digest]:
        begun.extend(ids)
        if len(begun) == 1:
            joining = [Joining(late.incident_id, late.destination, late.slot, Tier.P1)]
            bench.store.write(lambda other: digests.join(other, storm.bundle.digest, joining, bench.now))
        return locked(tx, ids)

    monkeypatch.setattr(digests, "locked", join_before)
    receipt = Receipt({"called": str(storm.bundle.digest.turn)}, sent=True)
    assert storm.sender._digests._keep(storm.told(receipt))
    assert begun == [storm.digest] * 2
    (row,) = bench.all_cursors(incident_id=late.incident_id, destination=late.destination, slot=late.slot)
    assert (row.digest, row.due_at) == (None, bench.now)


def test_a_digest_that_is_closed_while_it_is_waited_for_takes_no_newcomers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Storm(bench, TELL)
    locked = digests.locked

    def close_before(tx: Connection, ids: Collection[str]) -> dict[str, Digest]:
        for id_ in ids:
            digests.note(tx, id_, closed_at=bench.now)
        return locked(tx, ids)

    place, since = ("incidents", ""), bench.now - MINUTE
    assert bench.store.write(lambda tx: set(digests.current(tx, [place], since))) == {place}
    monkeypatch.setattr(digests, "locked", close_before)
    assert bench.store.write(lambda tx: digests.current(tx, [place], since)) == {}
