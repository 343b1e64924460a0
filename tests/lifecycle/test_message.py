"""Mail and webhooks the whole way: from cursors to a real mail server and a real receiver, on each database."""

from collections.abc import Iterator

import pytest

from incidentd.incident.command import Acknowledge, Note
from incidentd.incident.slot import TELL
from incidentd.lifecycle.deliver import WIDTH
from incidentd.store import query
from tests import canary
from tests.channels.mail import Post
from tests.channels.receiver import Receiver, answer
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, lesser, open_bench

FULL = 20


@pytest.fixture
def post() -> Iterator[Post]:
    with Post() as server:
        yield server


@pytest.fixture
def tracker() -> Iterator[Receiver]:
    with Receiver(answer(201, {"key": "OPS-1"})) as found:
        yield found


@pytest.fixture
def told(database_url: str, post: Post, tracker: Receiver) -> Iterator[Bench]:
    """A bench that has mail and the queue of tickets set up."""
    with open_bench(
        database_url,
        INCIDENTD_SMTP_URL=post.url(),
        INCIDENTD_TICKETS_URL=f"{tracker.url}/issue",
        INCIDENTD_TICKETS_LOGIN=canary.of("INCIDENTD_TICKETS_LOGIN"),
    ) as opened:
        yield opened


def test_an_optional_destination_that_nobody_has_set_up_is_told_nothing_and_missed_by_nobody(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    cursor, incident = bench.cursor(destination="management-mail"), bench.incident()
    assert cursor.told >= incident.news
    assert (cursor.accepted_at, cursor.given_up, cursor.due_at) == (None, None, None)
    tried = bench.store.read(lambda tx: query.deliveries(tx, incident.id, FULL))
    said = [(str(row.outcome), row.detail) for row in tried if row.destination == "management-mail"]
    assert said == [("silent", "not set up")]


def test_management_has_a_mail_for_each_change_of_state_and_for_nothing_else(told: Bench, post: Post) -> None:
    told.hear(alert())
    told.settle()
    told.act(Note("anna", "looking at it"))
    told.settle()
    told.act(Acknowledge("anna"))
    told.settle()
    told.hear(alert(firing=False))
    told.forward(10 * MINUTE)
    states = [got.mail["X-Incidentd-State"] for got in post.mails]
    assert states == ["triggered", "acknowledged", "recovering", "resolved"]
    assert len({got.mail["References"].split()[0] for got in post.mails}) == 1
    assert "looking at it" not in post.mails[0].text
    assert told.cursor(destination="management-mail").accepted_at is not None


def test_mail_that_is_greylisted_goes_out_at_a_later_try(told: Bench, post: Post) -> None:
    post.refuses = {"management@example.com": ["451 4.7.1 later"] * 3}
    told.hear(alert())
    told.settle()
    assert post.mails == []
    told.forward(MINUTE)
    assert [got.to for got in post.mails] == [("management@example.com",)]


def test_a_mail_that_was_lost_twice_is_told_in_one_sum(told: Bench, post: Post) -> None:
    post.ends = ["451 no"]
    told.hear(alert())
    told.settle()
    told.act(Acknowledge("anna"))
    told.forward(MINUTE)
    (got,) = post.mails
    assert "Opened" in got.text
    assert "acknowledged" in got.text


def test_a_ticket_is_made_once_though_the_incident_is_reopened(told: Bench, tracker: Receiver) -> None:
    told.hear(lesser("glitch", "info"))
    told.settle()
    assert [sent.path for sent in tracker.requests] == ["/issue"]
    told.hear(lesser("glitch", "info", firing=False))
    told.forward(6 * MINUTE)
    told.hear(lesser("glitch", "info", starts_at=told.now))
    told.forward(MINUTE)
    assert told.incident().episode == 2
    paths = [sent.path for sent in tracker.requests]
    assert (paths[0], set(paths[1:])) == ("/issue", {"/issue/OPS-1/comment"})
    assert {sent.headers["authorization"] for sent in tracker.requests} == {
        f"Basic {canary.of('INCIDENTD_TICKETS_LOGIN')}"
    }


def test_a_receiver_that_is_overrun_is_told_again_no_sooner_than_it_asks(told: Bench, tracker: Receiver) -> None:
    tracker.script = [answer(429, {}, {"Retry-After": "45"})]
    told.hear(lesser("glitch", "info"))
    told.forward(44 * SECOND)
    assert len(tracker.requests) == 1
    told.forward(2 * SECOND)
    assert len(tracker.requests) == 2
    ids = {sent.headers["webhook-id"] for sent in tracker.requests}
    assert len(ids) == 1


def test_a_webhook_that_refuses_is_given_up_with_an_alarm(told: Bench, tracker: Receiver) -> None:
    tracker.usual = answer(404, {})
    told.hear(lesser("glitch", "info"))
    told.settle()
    (alarm,) = told.with_key("incidentd/delivery")
    assert "ticket-queue" in alarm.title


def test_of_very_many_at_once_nothing_is_written_down_for_what_nobody_has_set_up(bench: Bench) -> None:
    bench.hear(*(alert(f"place-{number}") for number in range(WIDTH + 6)))
    bench.deliver({TELL: bench.incident_ids()})
    rows = bench.all_cursors(destination="management-mail")
    assert len(rows) == WIDTH + 6
    assert {(row.told > 0, row.due_at, row.accepted_at, row.given_up) for row in rows} == {(True, None, None, None)}
    tried = bench.store.read(lambda tx: [query.deliveries(tx, each, FULL) for each in bench.incident_ids()])
    assert "management-mail" not in {row.destination for rows in tried for row in rows}
    bench.act(Acknowledge("anna"), bench.incident_ids()[0])
    assert rows[0].destination in {row.destination for row in bench.all_cursors() if row.due_at is not None}
