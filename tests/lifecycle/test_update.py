"""Every 15 minutes what holds is said again in Slack, as agentmesh asks: with real store, rules and channels."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from incidentd.alert import Alert
from incidentd.incident.command import Acknowledge, Resolve
from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.sandbox.message import Message
from incidentd.store.tables import METADATA
from tests.channels.mail import Post
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import tick_together, twin

EVERY = 15 * MINUTE
HOUR = timedelta(hours=1)
CHANNELS = ("#alerts", "#devops")


def p2(name: str = "production", firing: bool = True) -> Alert:
    """A P2 of agentmesh: nobody is told within the first hour but by its card."""
    labels = {"system": "agentmesh", "slo": "db-errors", "sli": "error_rate", "environment": name}
    return alert(labels=labels, annotations={"value": "0.3"}, firing=firing)


def said(bench: Bench, channel: str = "#alerts") -> list[str]:
    """What was said in the threads of a channel, in order."""
    return [reply.text for card in bench.sandbox.slack.cards(channel) for reply in bench.sandbox.slack.replies(card)]


def updates(bench: Bench) -> int:
    """How many updates the timelines have."""
    return sum(bench.kinds(each).count("update") for each in bench.incident_ids())


def test_its_thread_in_each_channel_hears_every_15_minutes_what_holds_until_it_is_resolved(bench: Bench) -> None:
    bench.hear(p2())
    bench.forward(EVERY - SECOND)
    assert said(bench) == []
    bench.forward(SECOND)
    bench.act(Acknowledge("anna"))
    bench.forward(EVERY)
    expected = [
        "Open for 15 min as P2. Nobody has answered; told last: level 1, on-call engineer."
        " 1 alert fires in eu: error_rate 0.3 &gt;= 0.1.",
        "anna acknowledged",
        "Open for 30 min as P2. anna has it. 1 alert fires in eu: error_rate 0.3 &gt;= 0.1.",
    ]
    for channel in CHANNELS:
        assert [text.partition(" until")[0] for text in said(bench, channel)] == expected
    bench.hear(p2(firing=False))
    bench.forward(HOUR)
    assert (bench.incident().state, updates(bench)) == (State.RESOLVED, 2)


def test_it_is_quiet_it_mentions_nobody_and_does_not_go_to_the_channel(bench: Bench) -> None:
    bench.hear(p2())
    bench.forward(2 * EVERY)
    replies = [each for card in bench.sandbox.slack.cards("#alerts") for each in bench.sandbox.slack.replies(card)]
    assert len(replies) == 2
    assert not any(each.broadcast or "<!" in each.text or "<@" in each.text for each in replies)


def test_pagerduty_and_mail_hear_nothing_of_it(database_url: str) -> None:
    with Post() as post, open_bench(database_url, INCIDENTD_SMTP_URL=post.url()) as bench:
        bench.hear(alert(labels={"system": "agentmesh", "slo": "availability"}))
        bench.settle()
        bench.act(Acknowledge("anna"))
        bench.settle()
        pages, mails = len(bench.sandbox.pagerduty.requests), len(post.mails)
        assert pages
        assert mails
        bench.forward(29 * MINUTE)
        assert updates(bench) == 1
        assert (len(bench.sandbox.pagerduty.requests), len(post.mails)) == (pages, mails)
        assert all(row.due_at is None for row in bench.cursors(queue=PAGE))


def test_what_falls_due_with_a_level_is_told_in_one_reply_with_it(bench: Bench) -> None:
    bench.hear(alert(labels={"system": "agentmesh", "slo": "availability"}))
    bench.forward(EVERY)
    (last,) = [each for each in said(bench) if "Open for 15 min" in each]
    assert "told level 3, CTO" in last


def test_a_policy_without_updates_says_nothing_and_stores_nothing_of_it(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("anna"))
    bench.forward(29 * MINUTE)
    incident = bench.incident()
    assert (updates(bench), incident.update_at, incident.news_at) == (0, None, None)
    assert not any("update_at" in row or "news_at" in row for row in _bodies(bench))


def _bodies(bench: Bench) -> list[str]:
    table = METADATA.tables["incidents"]
    return bench.store.read(lambda tx: list(tx.scalars(table.select().with_only_columns(table.c.body))))


def test_after_two_hours_off_there_is_one_and_then_the_timetable_goes_on(bench: Bench) -> None:
    bench.hear(p2())
    bench.act(Acknowledge("anna"))
    bench.settle()
    bench.clock.advance(2 * HOUR + 3 * MINUTE)
    bench.settle()
    assert (updates(bench), len(said(bench))) == (1, 1)
    bench.forward(12 * MINUTE)
    assert updates(bench) == 2


def test_it_is_due_after_a_restart_as_before(bench: Bench) -> None:
    bench.hear(p2())
    bench.settle()
    with twin(bench) as other:
        bench.clock.advance(EVERY)
        other.tick(other.due()["escalate"])
    assert updates(bench) == 1


def test_several_processes_write_each_update_once(bench: Bench) -> None:
    bench.hear(*(p2(f"place-{number}") for number in range(50)))
    ids = bench.incident_ids()
    bench.clock.advance(EVERY)
    tick_together(bench, ids)
    assert [bench.kinds(each).count("update") for each in ids] == [1] * 50


def test_of_those_that_nobody_could_deliver_for_an_hour_its_thread_hears_the_last_one_alone(bench: Bench) -> None:
    bench.hear(p2())
    bench.act(Acknowledge("anna"))
    bench.settle()
    for _ in range(4):
        bench.clock.advance(EVERY)
        bench.runtime.tick(bench.incident_ids())
    bench.settle()
    assert updates(bench) == 4
    assert [each for each in said(bench) if "Open for" in each] == [
        "Open for 1 h as P2. anna has it. 1 alert fires in eu: error_rate 0.3 &gt;= 0.1."
    ]


def test_one_that_was_over_before_it_could_be_told_is_not_told(bench: Bench) -> None:
    bench.hear(p2())
    bench.settle()
    bench.clock.advance(EVERY)
    bench.runtime.tick(bench.incident_ids())
    bench.act(Resolve("anna"))
    bench.settle()
    assert updates(bench) == 1
    assert [each.partition(".")[0] for each in said(bench)] == ["anna resolved it"]


def test_those_that_share_a_message_in_a_storm_hear_none_of_their_own(bench: Bench) -> None:
    bench.hear(*(p2(f"place-{number:02}") for number in range(40)))
    bench.forward(14 * MINUTE)
    cards = [each for each in bench.sandbox.slack.cards("#alerts") if _digest(each)]
    before = [len(bench.sandbox.slack.replies(each)) for each in cards]
    bench.forward(3 * MINUTE)
    assert cards
    assert updates(bench) == 40
    assert [len(bench.sandbox.slack.replies(each)) for each in cards] == before
    assert sum("Open for 15 min" in each for each in said(bench)) == 20


def _digest(message: Message) -> bool:
    return (message.metadata or {}).get("event_type") == "incidentd_digest"


@pytest.fixture
def observed(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    rules = copy_rules(tmp_path)
    replace_in(rules, "agentmesh.yaml", ("system: agentmesh\n", "system: agentmesh\nobserve: true\n"))
    with open_bench(database_url, rules) as opened:
        yield opened


def test_what_is_only_observed_has_none(observed: Bench) -> None:
    observed.hear(p2())
    observed.forward(2 * HOUR)
    assert (updates(observed), len(observed.sandbox.slack.requests)) == (0, 0)
