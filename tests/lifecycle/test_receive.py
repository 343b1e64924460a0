"""What comes in becomes incidents, once, and repeats cost next to nothing (model 1 to 5, 22 to 24, 30, 39)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from incidentd.classify import parse
from incidentd.errors import StoreError, StoreUnavailableError
from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.lifecycle.work import Action, Complaint, Webhook
from incidentd.lifecycle.write import HEAVIEST
from incidentd.store.engine import WRITES
from incidentd.store.tables import ALERTS, METADATA, SET_ASIDE
from incidentd.tier import Tier
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.twin import twin
from tests.store.database import POSTGRESQL, SQLITE

MILLISECOND = timedelta(milliseconds=1)


def test_an_alert_becomes_an_incident_with_its_row_and_reason(bench: Bench) -> None:
    bench.hear(alert())
    incident = bench.incident()
    assert (incident.tier, incident.state, incident.key) == (Tier.P0, State.TRIGGERED, "avalo/core-api")
    assert incident.row == "avalo/core-api-outage"


def test_the_alerts_of_one_notification_become_one_decision_for_each_incident(bench: Bench) -> None:
    bench.hear(alert(region="eu"), alert(region="us"), lesser("disk", "critical"))
    core, disk = map(bench.incident, bench.incident_ids())
    assert (core.scope, len(bench.kinds(core.id)), disk.tier) == (("eu", "us"), 1, Tier.P1)


def test_a_repeat_is_read_once_and_writes_nothing(bench: Bench) -> None:
    bench.hear(alert(), alert(region="us"))
    bench.settle()
    with _unchanged(bench), _written(bench) as statements:
        bench.hear(alert(), alert(region="us"))
    assert len(statements) == 1
    assert statements[0].startswith("SELECT")


def test_repeats_amid_a_storm_change_nothing_and_are_told_from_news(bench: Bench) -> None:
    storm = [alert(labels={"pod": str(number)}) for number in range(150)]
    bench.hear(*storm)
    bench.settle()
    with _unchanged(bench):
        assert bench.runtime.submit_webhook(Webhook(tuple(storm), "alertmanager")).result() is False
    assert bench.runtime.submit_webhook(Webhook((alert(labels={"pod": "new"}),), "alertmanager")).result() is True


def test_a_notification_in_which_one_alert_is_new_touches_the_others_not(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(alert(), alert(region="us"))
    entry = bench.timeline()[1]
    assert [member.region for member in entry.data.alerts] == ["us"]  # type: ignore[union-attr]


def test_a_changed_value_updates_the_stored_alert_and_writes_no_entry(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(alert(annotations={"value": "98.7"}))
    assert bench.kinds() == ["opened"]
    assert '"98.7"' in bench.store.read(lambda tx: tx.execute(sa.select(ALERTS.c.readings)).scalar_one())


def test_many_webhooks_that_wait_together_are_stored_together_and_each_answered(bench: Bench) -> None:
    waiting = [bench.runtime.submit_webhook(Webhook((alert(f"place-{n}"),), "am")) for n in range(300)]
    for each in waiting:
        each.result(120)
    assert len(bench.incident_ids()) == 300


def test_large_notifications_that_wait_together_share_no_transaction_that_outlasts_its_time(bench: Bench) -> None:
    def large(number: int) -> Webhook:
        return Webhook(tuple(alert(labels={"pod": f"{number}-{pod}"}) for pod in range(HEAVIEST)), "am")

    with _written(bench) as statements:
        for each in [bench.runtime.submit_webhook(large(number)) for number in range(3)]:
            each.result(120)
    assert sum(statement.startswith(("INSERT INTO alerts", "COPY alerts")) for statement in statements) == 3


def test_two_hundred_copies_that_arrive_at_once_are_one_incident(bench: Bench) -> None:
    waiting = [bench.runtime.submit_webhook(Webhook((alert(),), f"replica-{n % 3}")) for n in range(200)]
    for each in waiting:
        each.result(120)
    assert bench.kinds() == ["opened"]


def test_one_webhook_of_a_batch_that_the_database_refuses_fails_alone(bench: Bench) -> None:
    with _refused(bench, "poison"):
        waiting = [
            bench.runtime.submit_webhook(Webhook((alert(place),), "am")) for place in ("staging", "poison", "preview")
        ]
        failed = [bool(each.exception(30)) for each in waiting]
    assert failed == [False, True, False]
    assert isinstance(waiting[1].exception(), StoreError)
    assert {bench.incident(each).key.rpartition("=")[2] for each in bench.incident_ids()} == {"staging", "preview"}


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
def test_while_the_database_is_locked_nobody_is_told_that_it_was_stored(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here its time-outs are what is tested.
    monkeypatch.undo()
    with open_bench(database_url) as bench:
        bench.hear(alert("first"))
        with bench.store.engine.connect() as other:
            other.execution_options(incidentd_writes=True).execute(sa.text("SELECT 1"))
            waiting = bench.runtime.submit_webhook(Webhook((alert(),), "am"))
            with pytest.raises(StoreUnavailableError):
                waiting.result(120)
        bench.hear(alert())
        assert len(bench.incident_ids()) == 2


def test_a_resolved_for_what_was_never_announced_opens_nothing(bench: Bench) -> None:
    bench.hear(alert(firing=False))
    assert bench.incident_ids() == []


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_the_end_of_an_episode_counts_though_its_beginning_comes_to_another_process_meanwhile(bench: Bench) -> None:
    same = Webhook((alert(),), "am")
    with (
        twin(bench) as other,
        _just_before(bench, "INSERT INTO alerts", lambda: other.submit_webhook(same).result(120)),
    ):
        bench.hear(alert(firing=False))
    assert bench.incident().state is State.RECOVERING


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_an_earlier_episode_is_kept_though_two_processes_hear_the_next_at_once(bench: Bench) -> None:
    bench.hear(alert())
    again = alert(starts_at=BEGIN + MINUTE)
    same = Webhook((again,), "am")
    with twin(bench) as other, _just_before(bench, "FOR UPDATE", lambda: other.submit_webhook(same).result(120)):
        bench.hear(again)
    starts = bench.store.read(lambda tx: list(tx.scalars(sa.select(ALERTS.c.starts_at).order_by(ALERTS.c.starts_at))))
    assert starts == [BEGIN, BEGIN + MINUTE]


def test_a_late_firing_copy_of_what_was_resolved_first_opens_nothing(bench: Bench) -> None:
    bench.hear(alert(firing=False))
    bench.clock.advance(59 * SECOND)
    bench.hear(alert())
    assert bench.incident_ids() == []


def test_what_still_fires_a_minute_after_its_resolved_came_first_is_an_incident(bench: Bench) -> None:
    bench.hear(alert(firing=False))
    bench.clock.advance(60 * SECOND)
    bench.hear(alert())
    assert bench.incident().state is State.TRIGGERED


def test_an_older_episode_changes_nothing(bench: Bench) -> None:
    bench.clock.advance(5 * MINUTE)
    bench.hear(alert(starts_at=BEGIN + 2 * MINUTE))
    with _unchanged(bench):
        bench.hear(alert(starts_at=BEGIN, firing=False))
    assert bench.incident().state is State.TRIGGERED


def test_an_alert_whose_start_moves_back_while_it_fires_is_a_repeat(bench: Bench) -> None:
    bench.hear(alert(starts_at=BEGIN + 3 * MILLISECOND))
    with _unchanged(bench), _written(bench) as statements:
        bench.hear(alert(starts_at=BEGIN))
    assert len(statements) == 1


@pytest.mark.parametrize("first", [3, 0], ids=["later-start-first", "earlier-start-first"])
def test_an_alert_ends_whichever_start_of_the_replicas_its_end_bears(bench: Bench, first: int) -> None:
    bench.hear(alert(starts_at=BEGIN + first * MILLISECOND))
    bench.hear(alert(starts_at=BEGIN + (3 - first) * MILLISECOND))
    bench.clock.advance(MINUTE)
    bench.hear(alert(starts_at=BEGIN, firing=False))
    assert bench.incident().state is State.RECOVERING
    with _unchanged(bench):
        bench.hear(alert(starts_at=BEGIN, firing=False))
    bench.forward(5 * MINUTE)
    assert bench.incident().state is State.RESOLVED


def test_what_fires_with_an_earlier_start_after_the_end_of_an_episode_dated_ahead_opens_again(bench: Bench) -> None:
    bench.hear(alert(starts_at=BEGIN + 10 * MINUTE))
    bench.settle()
    bench.hear(alert(starts_at=BEGIN + 10 * MINUTE, firing=False))
    bench.forward(6 * MINUTE)
    bench.hear(alert(starts_at=bench.now))
    assert (bench.incident().state, bench.incident().episode) == (State.TRIGGERED, 2)
    bench.settle()
    assert len(bench.events("trigger")) == 2
    bench.hear(alert(starts_at=BEGIN + 6 * MINUTE, firing=False))
    assert bench.incident().state is State.RECOVERING


def test_what_fires_with_an_earlier_start_long_after_is_a_new_incident(bench: Bench) -> None:
    bench.hear(alert(starts_at=BEGIN + 50 * MINUTE))
    bench.hear(alert(starts_at=BEGIN + 50 * MINUTE, firing=False))
    bench.forward(40 * MINUTE)
    bench.hear(alert(starts_at=bench.now))
    assert [bench.incident(each).state for each in bench.incident_ids()] == [State.RESOLVED, State.TRIGGERED]


def test_the_end_of_an_alert_dated_ahead_ends_it_though_the_clock_was_put_right(bench: Bench) -> None:
    bench.hear(alert(starts_at=BEGIN + 10 * MINUTE))
    bench.clock.advance(2 * MINUTE)
    bench.hear(alert(starts_at=BEGIN + MINUTE))
    bench.clock.advance(MINUTE)
    bench.hear(alert(starts_at=BEGIN + MINUTE, firing=False))
    assert bench.incident().state is State.RECOVERING


def test_a_late_copy_with_an_earlier_start_is_no_new_episode(bench: Bench) -> None:
    bench.hear(alert(starts_at=BEGIN + 3 * MILLISECOND))
    bench.clock.advance(MINUTE)
    bench.hear(alert(starts_at=BEGIN, firing=False))
    bench.clock.advance(SECOND)
    bench.hear(alert(starts_at=BEGIN))
    assert bench.incident().state is State.RECOVERING
    bench.hear(alert(starts_at=BEGIN, firing=False))
    bench.forward(5 * MINUTE)
    assert bench.incident().state is State.RESOLVED


def test_an_episode_that_begins_and_ends_in_one_batch_takes_the_place_of_the_one_before(bench: Bench) -> None:
    _resolve(bench)
    bench.clock.advance(10 * MINUTE)
    both = [alert(starts_at=bench.now - MINUTE, firing=firing) for firing in (True, False)]
    for each in [bench.runtime.submit_webhook(Webhook((one,), "am")) for one in both]:
        each.result(120)
    assert len(_latest_alerts(bench)) == 1
    assert _latest_alerts(bench)[0].starts_at == bench.now - MINUTE


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_an_alert_and_its_end_in_one_notification_are_over_in_either_order(
    bench: Bench, order: tuple[bool, bool]
) -> None:
    bench.hear(*(alert(firing=firing) for firing in order))
    assert bench.incident_ids() == []
    bench.hear(alert(region="us"))
    bench.clock.advance(2 * MINUTE)
    bench.hear(*(alert(region="ap", starts_at=BEGIN + MINUTE, firing=firing) for firing in order))
    assert bench.incident().scope == ("us",)
    assert sorted(row.firing for row in _latest_alerts(bench)) == [False, False, True]


def test_a_late_copy_that_counted_for_nothing_joins_when_it_still_fires_a_minute_later(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(alert(region="us", firing=False))
    bench.clock.advance(30 * SECOND)
    bench.hear(alert(region="us"))
    assert bench.incident().scope == ("eu",)
    bench.clock.advance(31 * SECOND)
    bench.hear(alert(region="us"))
    assert bench.incident().scope == ("eu", "us")


def test_a_late_copy_that_counted_for_nothing_leaves_its_episode_closed(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(alert(region="us", firing=False))
    bench.clock.advance(30 * SECOND)
    with _unchanged(bench):
        bench.hear(alert(region="us"))


def test_a_fingerprint_stays_with_its_open_incident_whatever_key_a_newer_table_gives_it(bench: Bench) -> None:
    bench.hear(alert())
    rules = bench.runtime.rulebook.in_force
    tiers = rules.files["tiers.yaml"].replace("slo: [slo, alertname]", "slo: [alertname]")
    _put_in_force(bench, {**rules.files, "tiers.yaml": tiers})
    bench.hear(alert(annotations={"value": "99.1"}), alert(region="us"))
    by_key = {bench.incident(each).key: bench.incident(each).scope for each in bench.incident_ids()}
    assert by_key == {"avalo/core-api": ("eu",), "avalo/Outage": ("us",)}


def test_firing_within_thirty_minutes_of_resolved_reopens_the_incident(bench: Bench) -> None:
    _resolve(bench)
    bench.forward(timedelta(minutes=30))
    bench.hear(alert(starts_at=bench.now))
    assert (bench.incident().episode, bench.incident().state) == (2, State.TRIGGERED)


def test_firing_later_than_that_opens_a_new_incident(bench: Bench) -> None:
    _resolve(bench)
    bench.forward(timedelta(minutes=30) + SECOND)
    bench.hear(alert(starts_at=bench.now))
    assert [bench.incident(each).state for each in bench.incident_ids()] == [State.RESOLVED, State.TRIGGERED]


def test_what_the_resolved_incident_took_stays_with_it_when_a_new_one_opens(bench: Bench) -> None:
    _resolve(bench)
    first = bench.incident()
    bench.forward(timedelta(hours=1))
    bench.hear(alert(starts_at=bench.now))
    assert bench.incident(first.id) == first


def test_what_was_set_aside_is_kept_and_becomes_an_internal_incident(bench: Bench) -> None:
    bench.hear(alert(), complaints=(Complaint("labels", "an alert's labels are no map", b"\x00\xff"),))
    (internal,) = bench.with_key("incidentd/labels")
    assert (internal.tier, internal.system, internal.policy) == (Tier.P1, "incidentd", "internal")
    assert bench.store.read(lambda tx: tx.execute(sa.select(SET_ASIDE.c.body)).scalar_one()) == b"\x00\xff"


def test_complaints_of_one_source_and_reason_are_one_incident_for_each(bench: Bench) -> None:
    for source in ("10.0.0.1", "10.0.0.2"):
        for reason in ("labels", "truncated", "labels"):
            webhook = Webhook((), source, (Complaint(reason, "something is wrong"),))
            bench.runtime.submit_webhook(webhook).result(120)
    assert len(bench.incident_ids()) == 4


def test_an_internal_incident_ends_thirty_quiet_minutes_after_the_last_complaint(bench: Bench) -> None:
    complaint = Complaint("labels", "an alert's labels are no map")
    bench.hear(complaints=(complaint,))
    bench.forward(timedelta(minutes=20))
    bench.hear(complaints=(complaint,))
    bench.forward(timedelta(minutes=30) - SECOND)
    assert bench.incident().state is State.TRIGGERED
    bench.forward(SECOND)
    assert bench.incident().state is State.RESOLVED


def test_many_complaints_a_minute_write_next_to_nothing(bench: Bench) -> None:
    for _ in range(30):
        bench.hear(complaints=(Complaint("labels", "an alert's labels are no map"),))
        bench.clock.advance(2 * SECOND)
    assert len(bench.kinds()) <= 2


def test_complaints_that_go_on_are_told_once(bench: Bench) -> None:
    complaint = Complaint("truncated", "alerts were cut off")
    bench.hear(complaints=(complaint,))
    bench.settle()
    for _ in range(30):
        bench.clock.advance(MINUTE)
        bench.hear(complaints=(complaint,))
    assert "alerts" not in bench.kinds()
    assert bench.kinds().count("prolonged") == 30
    assert bench.store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(SET_ASIDE))) == 1


def test_a_nul_that_reaches_a_command_harms_nobody_else_on_postgresql(bench: Bench) -> None:
    bench.hear(alert())
    bad = bench.runtime.submit_action(Action(bench.incident().id, Acknowledge("an\0na")))
    good = bench.runtime.submit_webhook(Webhook((alert("preview"),), "am"))
    good.result(120)
    bad.exception(20)
    assert len(bench.incident_ids()) == 2


def _resolve(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.hear(alert(firing=False))
    bench.forward(timedelta(minutes=5))
    assert bench.incident().state is State.RESOLVED


def _latest_alerts(bench: Bench) -> list[Any]:
    return bench.store.read(lambda tx: list(tx.execute(sa.select(ALERTS).where(ALERTS.c.past == 0))))


def _put_in_force(bench: Bench, files: dict[str, str]) -> None:
    bench.runtime.rulebook.put_in_force(parse(files), bench.now)


@contextmanager
def _written(bench: Bench) -> Iterator[list[str]]:
    """The statements that the writer sends."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        if threading.current_thread().name == "writer" and not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(bench.store.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(bench.store.engine, "before_cursor_execute", note)


@contextmanager
def _unchanged(bench: Bench) -> Iterator[None]:
    """No row of any table differs at the end."""

    def rows() -> dict[str, set[tuple[object, ...]]]:
        return {
            table.name: {tuple(row) for row in bench.store.read(lambda tx: tx.execute(sa.select(table)).all())}  # noqa: B023
            for table in METADATA.sorted_tables
        }

    before = rows()
    yield
    assert rows() == before


@contextmanager
def _refused(bench: Bench, text: str) -> Iterator[None]:
    """The database refuses each statement with this text, as PostgreSQL does a NUL."""

    def refuse(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("INSERT") and text in repr(parameters):
            raise sa.exc.DataError(statement, None, ValueError("refused"))

    event.listen(bench.store.engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(bench.store.engine, "before_cursor_execute", refuse)


@contextmanager
def _just_before(bench: Bench, part: str, do: Callable[[], object]) -> Iterator[None]:
    """Once, before the bench's own process executes a statement with this in it, another does something."""
    waiting = [do]

    def interrupt(connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if part in statement and waiting and connection.get_execution_options().get(WRITES):
            waiting.pop()()

    event.listen(bench.store.engine, "before_cursor_execute", interrupt)
    try:
        yield
    finally:
        event.remove(bench.store.engine, "before_cursor_execute", interrupt)
    assert not waiting
