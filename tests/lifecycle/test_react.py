"""What was done to pages: kept, in its order, once, and whatever comes between."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidentd.errors import PermanentError, StoreUnavailableError, TransientError
from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.lifecycle.people import People
from incidentd.lifecycle.react import LEASE, UNKNOWN_FOR, Reactor
from incidentd.lifecycle.work import Action, ActionResult
from incidentd.reaction import STATES, TOLD_FOR, Did, Reaction
from incidentd.store import cursors, reactions
from incidentd.store.engine import open_engine
from incidentd.store.intake import SIGNATURES_KEPT
from incidentd.store.migrate import migrate
from incidentd.store.tables import CURSORS, REACTIONS, SEEN
from incidentd.timeline import Acknowledged, Noted
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, open_bench

_numbers = count(1)


def done(bench: Bench, did: Did, *, ago: timedelta = timedelta(0), who: str = "P1", **changes: object) -> Reaction:
    """Something that was done to the incident's newest page."""
    key = bench.cursors(queue="page")[-1].page_key
    name = f"E{next(_numbers)}"
    text = "looking" if did is Did.NOTED else ""
    told = Reaction(name, did, bench.now - ago, "Q1", (key,) if key else (), who, f"Person {who}", text)
    return replace(told, **changes)  # type: ignore[arg-type]


def tell(bench: Bench, *told: Reaction) -> list[bool]:
    """Webhooks come, and what they tell is carried out."""
    fresh = [bench.runtime.submit_reaction(each).result(120) for each in told]
    bench.runtime.reactor.look()
    bench.settle()
    return fresh


def outcomes(bench: Bench) -> list[str | None]:
    """What came of everything told so far, in the order in which it was done."""
    statement = sa.select(REACTIONS.c.outcome).order_by(REACTIONS.c.at, REACTIONS.c.id)
    return bench.store.read(lambda tx: list(tx.scalars(statement)))


@pytest.fixture
def paged(bench: Bench) -> Bench:
    """One P0, and its first page accepted."""
    bench.hear(alert())
    bench.settle()
    return bench


def test_the_same_event_twice_has_no_second_effect(paged: Bench) -> None:
    noted = done(paged, Did.NOTED)
    assert tell(paged, noted, noted) == [True, False]
    assert tell(paged, noted) == [False]
    assert paged.kinds().count("note") == 1


def test_an_event_that_comes_again_after_two_days_is_still_known(paged: Bench) -> None:
    told = done(paged, Did.NOTED)
    tell(paged, told)
    paged.clock.advance(timedelta(hours=48))
    assert tell(paged, told) == [False]
    paged.clock.advance(timedelta(hours=48))
    other = done(paged, Did.NOTED)
    tell(paged, other)
    assert paged.store.read(lambda tx: list(tx.scalars(sa.select(REACTIONS.c.id)))) == [other.id]


def test_what_was_told_and_not_carried_out_before_all_was_off_for_days_has_its_effect_after_them(paged: Bench) -> None:
    waiting = done(paged, Did.NOTED)
    paged.runtime.submit_reaction(waiting).result(120)
    paged.clock.advance(TOLD_FOR + MINUTE)
    tell(paged, done(paged, Did.TRIGGERED, page="Q2"))
    assert paged.kinds().count("note") == 1
    assert outcomes(paged) == ["done", "ignored"]


def test_what_was_cut_off_before_its_end_has_no_effect_twice_however_long_after(paged: Bench) -> None:
    told = done(paged, Did.NOTED)
    tell(paged, told)
    cut_off = sa.update(REACTIONS).values(due_at=paged.now, outcome=None)
    paged.store.write(lambda tx: tx.execute(cut_off))
    paged.clock.advance(SIGNATURES_KEPT + MINUTE)
    paged.act(Acknowledge("anna"), signature="v0=click")
    paged.runtime.reactor.look()
    assert outcomes(paged) == ["unchanged"]
    assert paged.kinds().count("note") == 1
    paged.act(Acknowledge("anna"), signature="v0=another")
    assert paged.store.read(lambda tx: set(tx.scalars(sa.select(SEEN.c.signature)))) == {"v0=click", "v0=another"}


def test_what_comes_in_the_wrong_order_counts_in_the_order_in_which_it_was_done(paged: Bench) -> None:
    acknowledged = done(paged, Did.ACKNOWLEDGED, ago=20 * SECOND)
    withdrawn = done(paged, Did.UNACKNOWLEDGED, ago=10 * SECOND, who="")
    tell(paged, withdrawn)
    tell(paged, acknowledged)
    assert paged.incident().state is State.TRIGGERED
    assert outcomes(paged) == ["late", "unchanged"]


def test_what_waits_for_an_answer_holds_up_what_was_done_to_the_same_page_after_it(paged: Bench) -> None:
    key = paged.cursor(queue="page").page_key
    forget = sa.update(CURSORS).values(page_key=None)
    paged.store.write(lambda tx: tx.execute(forget))
    acknowledged = done(paged, Did.ACKNOWLEDGED, ago=20 * SECOND, keys=(key,))
    withdrawn = done(paged, Did.UNACKNOWLEDGED, ago=10 * SECOND, who="", keys=(key,))
    tell(paged, acknowledged, withdrawn)
    assert outcomes(paged) == [None, None]
    paged.store.write(lambda tx: tx.execute(sa.update(CURSORS).where(CURSORS.c.queue == "page").values(page_key=key)))
    paged.clock.advance(MINUTE)
    tell(paged)
    assert outcomes(paged) == ["done", "done"]
    assert paged.incident().round == 2


def test_who_reacts_before_the_acceptance_is_written_down_is_heard_once_it_is(paged: Bench) -> None:
    key = paged.cursor(queue="page").page_key
    paged.store.write(lambda tx: tx.execute(sa.update(CURSORS).values(page_key=None)))
    tell(paged, done(paged, Did.ACKNOWLEDGED, keys=(key,)))
    assert paged.incident().state is State.TRIGGERED
    paged.store.write(lambda tx: tx.execute(sa.update(CURSORS).where(CURSORS.c.queue == "page").values(page_key=key)))
    paged.clock.advance(2 * SECOND)
    tell(paged)
    assert paged.incident().state is State.ACKNOWLEDGED


def test_a_page_that_nobody_knows_is_given_up_after_ten_minutes(paged: Bench) -> None:
    tell(paged, done(paged, Did.ACKNOWLEDGED, keys=("incidentd:gone",)))
    for _ in range(60):
        if outcomes(paged) != [None]:
            break
        paged.clock.advance(20 * SECOND)
        paged.runtime.reactor.look()
    assert outcomes(paged) == ["gave_up"]
    row = paged.store.read(lambda tx: tx.execute(sa.select(REACTIONS)).one())
    assert paged.now - row.received_at <= UNKNOWN_FOR + MINUTE


def test_a_page_of_somebody_elses_is_left_alone_at_once(paged: Bench) -> None:
    tell(paged, done(paged, Did.ACKNOWLEDGED, keys=("their-own-key",)), done(paged, Did.RESOLVED, keys=(), page="Q2"))
    assert outcomes(paged) == ["foreign", "foreign"]
    assert paged.incident().state is State.TRIGGERED


def test_one_page_that_several_incidents_share_answers_them_all(bench: Bench) -> None:
    bench.hear(alert("one"), alert("two"))
    bench.settle()
    bench.store.write(
        lambda tx: tx.execute(sa.update(CURSORS).where(CURSORS.c.queue == "page").values(page_key="incidentd:shared"))
    )
    told = Reaction("E-shared", Did.ACKNOWLEDGED, bench.now, "Q1", ("incidentd:shared",), "P1", "Ann")
    tell(bench, told)
    found = [bench.incident(each) for each in bench.incident_ids()]
    assert [each.acknowledgement and each.acknowledgement.by for each in found] == ["Ann", "Ann"]


def test_the_key_of_every_accepted_page_is_remembered(paged: Bench) -> None:
    paged.forward(5 * MINUTE)
    keys = {event.dedup_key for event in paged.events("trigger")}
    assert len(keys) == 2
    found = paged.store.read(lambda tx: cursors.carrying(tx, keys))
    assert sorted(slot for _, _, slot in found) == ["e1.r1.l1", "e1.r1.l2"]
    assert {row.page_key for row in paged.cursors(queue="tell")} == {None}


def test_what_was_done_before_the_page_of_this_round_went_out_counts_whatever_their_clock_says(paged: Bench) -> None:
    """It was done to a page of this round: their clock is a minute slow."""
    tell(paged, done(paged, Did.ACKNOWLEDGED, ago=MINUTE))
    assert paged.incident().state is State.ACKNOWLEDGED


def test_a_late_echo_of_an_earlier_round_changes_nothing(paged: Bench) -> None:
    tell(paged, done(paged, Did.ACKNOWLEDGED))
    first = paged.cursor(queue="page")
    paged.forward(31 * MINUTE)
    assert paged.incident().round == 2
    before = _decided(paged, paged.incident().id)
    ago = 5 * MINUTE
    late = [
        replace(done(paged, did, ago=ago + place * SECOND), keys=(first.page_key,)) for place, did in enumerate(STATES)
    ]
    tell(paged, *late, replace(done(paged, Did.RESOLVED, who=""), keys=(first.page_key,), page="Q9"))
    assert _decided(paged, paged.incident().id) == before


def test_an_answer_to_the_old_page_after_the_new_round_began_counts(paged: Bench) -> None:
    tell(paged, done(paged, Did.ACKNOWLEDGED))
    first = paged.cursor(queue="page").page_key
    paged.forward(31 * MINUTE)
    tell(paged, done(paged, Did.ACKNOWLEDGED, keys=(first,), who="P2"))
    assert paged.incident().state is State.ACKNOWLEDGED


def test_a_note_there_is_a_sign_of_work(paged: Bench) -> None:
    tell(paged, done(paged, Did.ACKNOWLEDGED))
    paged.forward(20 * MINUTE)
    tell(paged, done(paged, Did.NOTED))
    paged.forward(20 * MINUTE)
    assert paged.incident().state is State.ACKNOWLEDGED
    assert [entry.data.text for entry in paged.timeline() if isinstance(entry.data, Noted)] == ["looking"]


def test_a_note_that_comes_late_is_written_down_and_puts_off_nothing(paged: Bench) -> None:
    paged.forward(MINUTE)
    tell(paged, done(paged, Did.ACKNOWLEDGED))
    paged.forward(31 * MINUTE)
    tell(paged, done(paged, Did.ACKNOWLEDGED, who="P2"))
    has = paged.incident().acknowledgement
    assert has
    paged.forward(10 * MINUTE)
    tell(paged, done(paged, Did.NOTED, ago=30 * MINUTE))
    after = paged.incident().acknowledgement
    assert paged.kinds().count("note") == 1
    assert after and after.until == has.until


# What is asked for, and what goes wrong.


@dataclass
class Desk:
    """A reactor of a test's own. ``failures`` are what carrying out comes to first."""

    bench: Bench
    keys: tuple[str, ...] | Exception = ()
    failures: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    acted: list[Action] = field(default_factory=list)

    def __post_init__(self) -> None:
        runtime = self.bench.runtime
        self.reactor = Reactor(
            runtime.store, runtime.clock.now, self._submit, People(None, None), self._keys_of, runtime.meter
        )

    def _submit(self, action: Action) -> "Future[ActionResult]":
        self.acted.append(action)
        if self.failures:
            raise self.failures.pop(0)
        return self.bench.runtime.submit_action(action)

    def _keys_of(self, page: str, seconds: float) -> tuple[str, ...]:
        assert seconds <= 3
        self.asked.append(page)
        if isinstance(self.keys, Exception):
            raise self.keys
        return self.keys


@pytest.fixture
def desk(paged: Bench) -> Iterator[Desk]:
    made = Desk(paged)
    yield made
    made.reactor.close()


def test_the_alerts_of_an_incident_are_asked_for_once_and_again_where_no_answer_came(desk: Desk, paged: Bench) -> None:
    desk.keys = TransientError("503")
    desk.reactor.submit(done(paged, Did.TRIGGERED, keys=(), who="")).result(120)
    desk.reactor.look()
    assert outcomes(paged) == [None]
    desk.keys = (paged.cursor(queue="page").page_key,)
    paged.clock.advance(2 * SECOND)
    desk.reactor.look()
    desk.reactor.submit(done(paged, Did.ACKNOWLEDGED, keys=())).result(120)
    desk.reactor.look()
    assert outcomes(paged) == ["ignored", "done"]
    assert desk.asked == ["Q1", "Q1"]


def test_what_pagerduty_refuses_to_tell_is_given_up(desk: Desk, paged: Bench) -> None:
    desk.keys = PermanentError("401")
    desk.reactor.submit(done(paged, Did.ACKNOWLEDGED, keys=())).result(120)
    desk.reactor.look()
    assert outcomes(paged) == ["gave_up"]


def test_somebody_elses_incidents_are_asked_about_once(desk: Desk, paged: Bench) -> None:
    desk.keys = ("theirs",)
    for did in (Did.TRIGGERED, Did.ACKNOWLEDGED, Did.RESOLVED):
        desk.reactor.submit(done(paged, did, keys=())).result(120)
        desk.reactor.look()
        paged.clock.advance(SECOND)
    assert outcomes(paged) == ["foreign"] * 3
    assert desk.asked == ["Q1"]


def test_a_process_that_dies_between_the_effect_and_its_record_leaves_one_effect(desk: Desk, paged: Bench) -> None:
    told = done(paged, Did.NOTED)
    desk.reactor.submit(told).result(120)
    taken = paged.store.write(lambda tx: reactions.take(tx, paged.now, paged.now + LEASE, 1))
    desk.reactor._react(taken[0], told.keys)
    assert paged.kinds().count("note") == 1
    desk.reactor.look()
    assert outcomes(paged) == [None], "somebody may be at it"
    paged.clock.advance(LEASE)
    desk.reactor.look()
    assert outcomes(paged) == ["unchanged"]
    assert paged.kinds().count("note") == 1


def test_while_the_database_is_away_nothing_is_lost(desk: Desk, paged: Bench) -> None:
    desk.failures = [StoreUnavailableError("away")]
    desk.reactor.submit(done(paged, Did.ACKNOWLEDGED)).result(120)
    with pytest.raises(StoreUnavailableError):
        desk.reactor.look()
    paged.clock.advance(LEASE)
    desk.reactor.look()
    assert outcomes(paged) == ["done"]


def test_a_clock_that_was_ahead_when_it_was_put_off_holds_nothing_up(desk: Desk, paged: Bench) -> None:
    told = done(paged, Did.ACKNOWLEDGED)
    desk.reactor.submit(told).result(120)
    ahead = paged.now + 60 * MINUTE
    paged.store.write(lambda tx: reactions.postpone(tx, told.id, ahead))
    desk.reactor.look()
    assert outcomes(paged) == ["done"]


def test_one_that_can_not_be_carried_out_holds_up_no_other_page(desk: Desk, paged: Bench) -> None:
    desk.failures = [ValueError("a fault of ours")]
    desk.reactor.submit(done(paged, Did.ACKNOWLEDGED, ago=SECOND)).result(120)
    desk.reactor.submit(done(paged, Did.ACKNOWLEDGED, page="Q2", who="P2")).result(120)
    desk.reactor.look()
    assert outcomes(paged) == [None, "done"]
    paged.clock.advance(2 * SECOND)
    desk.reactor.look()
    # Somebody else has it by now.
    assert outcomes(paged) == ["refused", "done"]


def test_two_processes_side_by_side_carry_out_each_once(desk: Desk, paged: Bench) -> None:
    other = Desk(paged)
    for place in range(10):
        desk.reactor.submit(done(paged, Did.NOTED, page=f"Q{place}")).result(120)
    desk.reactor.look()
    other.reactor.look()
    other.reactor.close()
    assert len(desk.acted) + len(other.acted) == 10
    assert paged.kinds().count("note") == 10


# In any order, however often.


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench in which each example has an incident of its own."""
    folder: Path = tmp_path_factory.mktemp("react")
    url = f"sqlite:///{folder}/incidentd.db"
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    with open_bench(url) as opened:
        yield opened


STORIES = st.lists(
    st.tuples(st.sampled_from(STATES), st.sampled_from(["P1", "P2", ""])), min_size=1, max_size=6
).flatmap(
    lambda told: st.tuples(
        st.just(told), st.lists(st.integers(0, len(told) - 1), max_size=12), st.permutations(range(len(told)))
    )
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES)
def test_once_the_latest_is_known_nothing_older_and_no_copy_changes_anything(
    pool: Bench, story: tuple[list[tuple[Did, str]], Sequence[int], Sequence[int]]
) -> None:
    told, copies, order = story
    number = next(_numbers)
    pool.hear(alert(f"place{number}"))
    pool.settle()
    (incident,) = pool.with_key(f"place{number}")
    page = pool.cursor(incident_id=incident.id, queue="page")
    begin: datetime = pool.now
    pool.clock.advance(MINUTE)
    events = [
        Reaction(f"E{number}.{place}", did, begin + place * SECOND, f"Q{number}", (page.page_key,), who, who)
        for place, (did, who) in enumerate(told)
    ]
    tell(pool, events[-1])
    latest = pool.incident(incident.id)
    before = _decided(pool, incident.id)
    for place in [*order, *copies, len(events) - 1]:
        tell(pool, events[place])
    after = pool.incident(incident.id)
    assert _decided(pool, incident.id) == before
    assert (after.state, after.round, after.acknowledgement) == (latest.state, latest.round, latest.acknowledgement)
    assert len([e for e in pool.timeline(incident.id) if isinstance(e.data, Acknowledged)]) <= 1


def _decided(bench: Bench, incident_id: str) -> list[str]:
    """The kinds of all entries that say more than what deliveries came to."""
    return [kind for kind in bench.kinds(incident_id) if kind not in ("accepted", "delivery_failed")]
