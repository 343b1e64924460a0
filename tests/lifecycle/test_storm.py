"""A storm: the first few are told one by one, all others in one message, and none is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from incidentd.errors import StoreUnavailableError
from incidentd.incident.command import Acknowledge, ChangeTier
from incidentd.incident.slot import PAGE, TELL
from incidentd.incident.state import State
from incidentd.lifecycle.digest import DigestSender
from incidentd.lifecycle.fold import those_beyond
from incidentd.reaction import Did, Reaction
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.message import Message
from incidentd.sandbox.pagerduty import Event
from incidentd.store import cursors, digests, query
from incidentd.store.buckets import Bucket
from incidentd.store.cursors import DIGEST_SLOT
from incidentd.store.line import Newcomer
from incidentd.store.query import Filter
from incidentd.store.tables import CURSORS, DIGESTS
from incidentd.tier import Tier
from incidentd.web.sweep import Sweep, acknowledge_all, sweeps
from tests.lifecycle.bench import BEGIN, KEYS, MINUTE, SECOND, Bench, alert, lesser
from tests.servers import wait_until

MANY = 60
ANNA = "U012345678"
CARDS = 20
PAGES = 10


def storm(bench: Bench, how_many: int = MANY, prefix: str = "slo") -> None:
    """So many P1s at one instant, and what follows within the next half minute."""
    bench.hear(*(lesser(f"{prefix}-{number:03}", "critical") for number in range(how_many)))
    bench.forward(30 * SECOND)


def end(bench: Bench, how_many: int = MANY) -> None:
    """All of them are over, and everybody has been told."""
    ended = (lesser(f"slo-{number:03}", "critical", firing=False, ends_at=bench.now) for number in range(how_many))
    bench.hear(*ended)
    bench.forward(10 * MINUTE)


def test_the_first_twenty_have_cards_and_the_others_share_one_message(bench: Bench) -> None:
    storm(bench)
    assert len(_posts(bench, "card")) == CARDS
    (digest,) = _posts(bench, "digest")
    assert f"{MANY - CARDS} incidents open" in digest.text
    assert _in_no_or_two_places(bench) == []


def test_as_many_as_are_told_one_by_one_make_no_digest(bench: Bench) -> None:
    bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(3)))
    bench.forward(MINUTE)
    assert (len(_posts(bench, "card")), _posts(bench, "digest"), len(_pages(bench))) == (3, [], 3)


def test_pages_that_would_wait_share_one_that_lists_the_most_urgent(bench: Bench) -> None:
    storm(bench)
    (page,) = _pages(bench)
    said = page.payload["custom_details"]
    assert (said["incidents_in_all"], page.payload["severity"]) == (MANY, "error")
    assert f"{MANY} incidents at once" in page.payload["summary"]
    assert all(row.accepted_at for row in bench.cursors(queue=PAGE))
    carried = bench.store.read(lambda tx: cursors.carrying(tx, [page.dedup_key]))
    assert {incident_id for incident_id, _, _ in carried} == set(bench.incident_ids())


def test_p0s_have_pages_and_cards_of_their_own_before_all_others(bench: Bench) -> None:
    bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(MANY)), alert("eu"), alert("us"))
    bench.forward(30 * SECOND)
    own = [page for page in _pages(bench) if page.payload["summary"].startswith("P0")]
    assert (len(own), len(_pages(bench))) == (2, 3)
    assert sum("P0" in card.text for card in _posts(bench, "card")) == 2


def test_each_timeline_says_in_which_digest_it_was_told(bench: Bench) -> None:
    storm(bench)
    (digest,) = bench.store.read(lambda tx: list(tx.scalars(sa.select(DIGESTS.c.id).where(DIGESTS.c.wave == ""))))
    listed = bench.store.read(lambda tx: query.by_urgency(tx, Filter(digest=digest), 100))
    assert len(listed) == MANY - CARDS
    accepted = [e.data for e in bench.timeline(listed[0].incident.id) if e.kind == "accepted"]
    assert {each.digest for each in accepted if each.destination == "incidents"} == {digest}  # type: ignore[union-attr]


def test_who_is_answered_leaves_the_shared_page_and_it_ends_when_all_are(bench: Bench) -> None:
    storm(bench)
    ids = bench.incident_ids()
    for incident_id in ids[:-1]:
        bench.act(Acknowledge("anna"), incident_id)
    bench.forward(MINUTE)
    assert bench.events("acknowledge") == []
    bench.act(Acknowledge("anna"), ids[-1])
    bench.forward(MINUTE)
    (answered,) = bench.events("acknowledge")
    assert answered.dedup_key == _pages(bench)[0].dedup_key
    end(bench)
    assert [event.dedup_key for event in bench.events("resolve")] == [answered.dedup_key]
    assert _behind(bench) == []
    assert "all 40 incidents are resolved" in _posts(bench, "digest")[0].text


def test_who_joins_an_unanswered_page_changes_it_and_who_comes_after_the_answer_wakes_again(bench: Bench) -> None:
    storm(bench)
    storm(bench, 10, prefix="later")
    assert len({page.dedup_key for page in _pages(bench)}) == 1
    assert _pages(bench)[-1].payload["custom_details"]["incidents_in_all"] == MANY + 10
    for incident_id in bench.incident_ids():
        bench.act(Acknowledge("anna"), incident_id)
    bench.forward(20 * SECOND)
    storm(bench, 10, prefix="latest")
    assert len({page.dedup_key for page in _pages(bench)}) == 2


def test_each_level_shares_a_page_and_the_thread_calls_once(bench: Bench) -> None:
    storm(bench)
    bench.forward(15 * MINUTE)
    assert len(bench.events("trigger", level=2)) == 1
    assert len(_posts(bench, "call")) == 1
    assert {row.accepted_at is None for row in bench.cursors(destination="page-manager")} == {False}
    called = [each for each in bench.sandbox.slack.messages("#incidents") if each.broadcast]
    assert called == _posts(bench, "call")


def test_a_rise_to_p0_in_a_digest_is_called_by_name(bench: Bench) -> None:
    storm(bench)
    folded = next(row for row in bench.cursors(destination="incidents") if row.digest)
    bench.act(ChangeTier("anna", Tier.P0, "worse than it looks"), folded.incident_id)
    bench.forward(2 * MINUTE)
    (call,) = _posts(bench, "call")
    assert bench.incident(folded.incident_id).title in call.text


def test_one_click_acknowledges_each_of_them_and_one_answer_says_what_was_refused(bench: Bench) -> None:
    storm(bench)
    (digest,) = bench.store.read(lambda tx: list(tx.scalars(sa.select(DIGESTS.c.id).where(DIGESTS.c.wave == ""))))
    (message,) = _posts(bench, "digest")
    button = next(each for block in message.blocks for each in block.get("elements", ()) if each["type"] == "button")
    action = {"action_id": button["action_id"], "value": button["value"]}
    click = {"type": "block_actions", "user": {"id": ANNA, "name": "anna"}, "channel": {"id": message.channel}}
    (sweep,) = sweeps(click | {"actions": [action]})
    assert sweep == Sweep(digest, "anna", message.channel, ANNA)
    acknowledge_all(bench.runtime, sweep, "a-click").join(60)
    told = {row.incident_id for row in bench.cursors(destination="incidents", digest=digest)}
    answered = {each for each in bench.incident_ids() if bench.incident(each).acknowledgement}
    assert (answered, len(answered)) == (told, MANY - CARDS)
    wait_until(lambda: bench.sandbox.slack.ephemeral(ANNA), "the answer to the click")
    assert "Acknowledged 40 of 40 incidents." in bench.sandbox.slack.ephemeral(ANNA)[0].text


def test_an_answer_to_a_page_that_stands_for_hundreds_is_carried_out_in_few_transactions(bench: Bench) -> None:
    many = 250
    storm(bench, many)
    (page,) = {event.dedup_key for event in bench.events("trigger")}
    first = bench.incident_ids()[0]
    bench.act(Acknowledge("ben"), first)
    done = Reaction("E1", Did.ACKNOWLEDGED, bench.now, "Q1", (page,), "P1", "Anna")
    wrote: list[int] = []
    with counting(bench.store.engine, wrote):
        assert bench.runtime.submit_reaction(done).result(120)
        bench.runtime.reactor.look()
    assert all(bench.incident(each).acknowledgement for each in bench.incident_ids())
    assert sum(wrote) < many / 4
    assert [entry.actor for entry in bench.timeline(first) if entry.kind in ("acknowledged", "note")] == ["ben", "Anna"]
    bench.forward(MINUTE)
    (answered,) = bench.events("acknowledge")
    assert answered.dedup_key == page


@contextmanager
def counting(engine: sa.Engine, commits: list[int]) -> Iterator[None]:
    """Count what is committed."""

    def note(_connection: sa.Connection) -> None:
        commits.append(1)

    sa.event.listen(engine, "commit", note)
    try:
        yield
    finally:
        sa.event.remove(engine, "commit", note)


@pytest.mark.parametrize("kind", [FaultKind.DROP_REPLY, FaultKind.STATUS])
def test_a_digest_whose_reply_is_lost_or_that_is_refused_for_a_while_is_there_once(
    bench: Bench, kind: FaultKind
) -> None:
    bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(MANY)))
    bench.settle()
    for service in ("slack", "pagerduty"):
        _break(bench, service, kind)
    bench.forward(2 * MINUTE)
    assert (len(_posts(bench, "digest")), len({page.dedup_key for page in _pages(bench)})) == (1, 1)
    assert _in_no_or_two_places(bench) == []
    assert all(row.accepted_at for row in bench.cursors(queue=PAGE))


def test_a_shared_page_that_fails_twice_falls_back_for_each_of_its_incidents(bench: Bench) -> None:
    bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(MANY)))
    _break(bench, "pagerduty", FaultKind.STATUS, times=3)
    bench.forward(2 * MINUTE)
    kinds = [bench.kinds(each) for each in bench.incident_ids()]
    assert all("fell_back" in each for each in kinds)
    assert all(row.accepted_at for row in bench.cursors(queue=PAGE))


def test_what_was_tried_in_vain_takes_nobodys_place_among_those_told_one_by_one(bench: Bench) -> None:
    _break(bench, "pagerduty", FaultKind.RATE_LIMIT, times=PAGES * 3)
    for number in range(PAGES):
        bench.hear(lesser(f"slo-{number:03}", "critical"))
        bench.forward(SECOND)
    bench.forward(2 * MINUTE)
    assert len({page.dedup_key for page in _pages(bench)}) == PAGES


NEWCOMERS = st.lists(st.sampled_from(list(Tier)), max_size=60).map(sorted)


@given(tiers=NEWCOMERS, told=st.integers(0, 25), paging=st.booleans(), storms=st.booleans())
def test_those_beyond_are_the_least_urgent_and_the_others_never_too_many(
    tiers: list[Tier], told: int, paging: bool, storms: bool
) -> None:
    queue = PAGE if paging else TELL
    waiting = [Newcomer(str(n), "somewhere", "e1.r1.l1", queue, tier) for n, tier in enumerate(tiers)]
    until = BEGIN + MINUTE if storms else None
    bucket = Bucket("b", 10.0, BEGIN, 60, 10, one_by_one=CARDS, storm_until=until).count(told, BEGIN)
    beyond = those_beyond(waiting, bucket, BEGIN)
    alone = [each for each in waiting if each not in beyond]
    assert len(alone) <= max(0, CARDS - told)
    assert max((each.tier for each in alone), default=Tier.P0) <= min((each.tier for each in beyond), default=Tier.P3)
    assert not (paging and beyond) or all(each.tier is Tier.P0 for each in alone)


STEPS = st.lists(
    st.sampled_from(["storm", "acknowledge", "raise", "wait", "break slack", "break pagerduty", "end"]),
    min_size=3,
    max_size=7,
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_in_whatever_order_things_happen_everybody_is_told_and_in_one_place(bench: Bench, steps: list[str]) -> None:
    before = len(bench.incident_ids())
    for place, step in enumerate(steps):
        _take(bench, step, f"s{before}-{place}")
    # Whatever falls due in the last instant has not been looked at yet.
    bench.forward(5 * MINUTE + 7 * SECOND)
    assert _in_no_or_two_places(bench) == []
    assert _behind(bench) == []


def _take(bench: Bench, step: str, prefix: str) -> None:
    ids = bench.incident_ids()
    match step.split():
        case ["storm"]:
            bench.hear(*(lesser(f"{prefix}-{number:03}", "critical") for number in range(30)))
        case ["acknowledge"]:
            for incident_id in [each for each in ids if bench.incident(each).state == "triggered"][::3]:
                bench.act(Acknowledge("anna"), incident_id)
        case ["raise"] if ids and bench.incident(ids[-1]).state == "triggered":
            bench.act(ChangeTier("anna", Tier.P0, "worse"), ids[-1])
        case ["break", service]:
            _break(bench, service, FaultKind.DROP_REPLY)
        case ["wait"]:
            bench.forward(40 * SECOND)
    bench.settle()


def _break(bench: Bench, service: Any, kind: FaultKind, times: int = 1) -> None:
    bench.sandbox.fail(service, kind, times=times, status=503)


def _pages(bench: Bench) -> list[Event]:
    return [event for event in bench.events("trigger") if event.routing_key == KEYS[1]]


def _posts(bench: Bench, kind: str) -> list[Message]:
    found = bench.sandbox.slack.messages("#incidents")
    return [each for each in found if (each.metadata or {}).get("event_type") == f"incidentd_{kind}"]


def _in_no_or_two_places(bench: Bench) -> list[Any]:
    """Cursors of open incidents with both a message of their own and a digest that stands for them, or neither."""
    rows = [row for row in bench.cursors() if row.slot != DIGEST_SLOT]
    wanted = [row for row in rows if row.queue != PAGE or bench.incident(row.incident_id).state == "triggered"]
    wrong = [row for row in wanted if (row.reference != "{}") == (row.digest is not None) and row.loud is None]
    return [
        (row.destination, row.slot, row.reference, row.digest, row.turn, row.token, row.accepted_at) for row in wrong
    ]


def _behind(bench: Bench) -> list[Any]:
    due = sa.select(CURSORS).where(CURSORS.c.due_at.is_not(None), CURSORS.c.slot != DIGEST_SLOT, ~CURSORS.c.echo)
    return bench.store.read(lambda tx: list(tx.execute(due)))


def test_the_same_click_twice_answers_nothing_that_came_in_between(bench: Bench) -> None:
    storm(bench)
    (digest,) = bench.store.read(lambda tx: list(tx.scalars(sa.select(DIGESTS.c.id).where(DIGESTS.c.wave == ""))))
    sweep = Sweep(digest, "anna", "C1", ANNA)
    acknowledge_all(bench.runtime, sweep, "a-click").join(60)
    folded = next(row.incident_id for row in bench.cursors(destination="incidents") if row.digest)
    bench.act(ChangeTier("ben", Tier.P0, "worse than it looks"), folded)
    assert bench.incident(folded).state is State.TRIGGERED
    acknowledge_all(bench.runtime, sweep, "a-click").join(60)
    assert bench.incident(folded).state is State.TRIGGERED
    acknowledge_all(bench.runtime, sweep, "another-click").join(60)
    assert bench.incident(folded).state is State.ACKNOWLEDGED


def test_a_shared_page_that_was_refused_for_good_goes_out_once_the_rules_are_reloaded(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=401, times=None)
    storm(bench)
    bench.sandbox.faults.clear()
    bench.forward(MINUTE)
    assert _pages(bench) == []
    bench.runtime.reload()
    bench.forward(MINUTE)
    (page,) = [page for page in _pages(bench) if "incidents_in_all" in page.payload["custom_details"]]
    assert page.payload["custom_details"]["unanswered"] == MANY + 1, "with the one that tells of the refusal"


def test_a_digest_that_was_refused_for_good_tells_nobody_of_what_was_over_before_the_reload(bench: Bench) -> None:
    bench.sandbox.fail("slack", FaultKind.ERROR, error="channel_not_found", times=None)
    storm(bench)
    end(bench)
    bench.sandbox.faults.clear()
    bench.runtime.reload()
    bench.forward(MINUTE)
    assert _posts(bench, "digest") == []


def test_a_digest_that_the_database_does_not_yield_is_told_once_it_does_and_not_a_lease_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather, left = digests.gather, [6]

    def failing(*arguments: Any) -> digests.Gathered:
        left[0] -= 1
        if left[0] >= 0:
            raise StoreUnavailableError("away")
        return gather(*arguments)

    monkeypatch.setattr(digests, "gather", failing)
    bench.hear(*(lesser(f"slo-{number:03}", "critical") for number in range(MANY)))
    bench.forward(SECOND)
    assert left[0] < 0
    assert (len(_posts(bench, "digest")), len(_pages(bench))) == (1, 1)


def test_what_a_digest_told_is_written_to_its_incidents_however_often_the_database_fails_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, left = DigestSender._accept, [6]

    def failing(sender: DigestSender, tx: Connection, *, told: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise StoreUnavailableError("away")
        return accept(sender, tx, told=told)

    monkeypatch.setattr(DigestSender, "_accept", failing)
    storm(bench)
    bench.forward(5 * MINUTE)
    unwritten = sa.and_(CURSORS.c.digest.is_not(None), CURSORS.c.accepted_at.is_(None), CURSORS.c.slot != DIGEST_SLOT)
    assert left[0] < 0
    assert bench.store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).where(unwritten))) == 0
