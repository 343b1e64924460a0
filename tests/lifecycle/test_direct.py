"""While the database is away a P0 is paged from memory; when it is back, every such page finds its incident or ends."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from sqlalchemy.engine import Connection
from structlog.testing import capture_logs

from incidentd.alert import Alert
from incidentd.errors import StoreUnavailableError, TransientError
from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.lifecycle import direct, direct_settlement
from incidentd.lifecycle.work import Webhook
from incidentd.meter.exposition import text
from incidentd.runtime import Runtime
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.pagerduty import Event
from incidentd.settings import load_settings
from incidentd.store import alerts
from incidentd.timeline import PagedDirectly
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, lesser, open_bench
from tests.lifecycle.gate import Broken, Gate
from tests.servers import wait_until
from tests.test_meter import value

ONCALL = "page-oncall"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(database_url, INCIDENTD_SPOOL=str(tmp_path / "spool")) as opened:
        yield opened


def test_a_p0_is_paged_without_the_database_and_the_page_becomes_its_incidents_own(
    bench: Bench, tmp_path: Path
) -> None:
    with _away(bench):
        page = _paged(bench, alert())
        assert "can't reach its database" in page.payload["summary"]
        assert len(_pages(tmp_path)) == 1
    _settle(bench)
    assert {event.dedup_key for event in bench.events("trigger")} == {page.dedup_key}
    assert bench.events("resolve") == []
    assert _facts(bench) == [PagedDirectly(ONCALL, page.dedup_key, BEGIN, took_over=True)]
    assert _notes(tmp_path) == []


def test_what_is_no_p0_waits_for_the_database(bench: Bench) -> None:
    with _away(bench):
        _paged(bench, lesser("disk", "critical"), alert("other"))
    assert len(bench.events("trigger")) == 1


def test_copies_of_one_notification_page_once(bench: Bench) -> None:
    with _away(bench):
        _paged(bench, alert())
        _post(bench, alert())
        _paged(bench, alert("other"), pages=2)
    assert len(bench.events("trigger")) == 2


def test_an_alert_that_is_stored_already_wakes_nobody_again(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    with _away(bench):
        _post(bench, alert())
        _paged(bench, alert("other"), pages=2)
    assert len(bench.events("trigger")) == 2


def test_a_page_that_meets_an_open_incident_is_resolved(bench: Bench, tmp_path: Path) -> None:
    bench.hear(alert())
    bench.settle()
    with _away(bench):
        page = _paged(bench, alert(region="us", starts_at=BEGIN + MINUTE), pages=2)
    bench.runtime.direct.look()
    bench.settle()
    assert [event.dedup_key for event in bench.events("resolve")] == [page.dedup_key]
    assert _facts(bench) == [PagedDirectly(ONCALL, page.dedup_key, BEGIN, took_over=False)]
    assert bench.incident().state is State.TRIGGERED
    assert _notes(tmp_path) == []


def test_a_page_that_may_have_been_accepted_is_resolved_where_it_meets_an_open_incident(
    bench: Bench, tmp_path: Path
) -> None:
    bench.hear(alert())
    bench.settle()
    bench.sandbox.fail("pagerduty", FaultKind.DROP_REPLY, times=None)
    with _away(bench):
        _post(bench, alert(region="us", starts_at=BEGIN + MINUTE))
        wait_until(lambda: _has_failed(bench), "the answer that is lost")
    bench.sandbox.sandbox.faults.clear()
    bench.clock.advance(2 * SECOND)
    bench.runtime.direct.look()
    bench.settle()
    page = bench.events("trigger")[1]
    assert [event.dedup_key for event in bench.events("resolve")] == [page.dedup_key]
    assert _facts(bench) == [PagedDirectly(ONCALL, page.dedup_key, BEGIN, took_over=False, uncertain=True)]
    assert _notes(tmp_path) == []


def test_a_page_that_is_on_its_way_when_the_database_is_back_is_settled_once_it_is_answered(
    bench: Bench, tmp_path: Path
) -> None:
    bench.hear(alert())
    bench.settle()
    channels = bench.runtime.direct._channels
    gate = Gate(channels["pagerduty"], None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.runtime.direct, "_channels", {**channels, "pagerduty": gate})
        with _away(bench):
            _post(bench, alert(region="us", starts_at=BEGIN + MINUTE))
            assert gate.reached.wait(120)
        bench.runtime.direct.look()
        assert len(_pages(tmp_path)) == 1
        gate.open.set()
        wait_until(lambda: len(bench.events("trigger")) == 2 and _is_kept(bench), "the page")
    bench.runtime.direct.look()
    assert [event.dedup_key for event in bench.events("resolve")] == [bench.events("trigger")[1].dedup_key]
    assert _notes(tmp_path) == []


def test_a_page_for_what_is_over_by_then_is_resolved(bench: Bench, tmp_path: Path) -> None:
    with _away(bench):
        page = _paged(bench, alert())
    bench.hear(alert(firing=False))
    bench.runtime.direct.look()
    assert [event.dedup_key for event in bench.events("resolve")] == [page.dedup_key]
    assert bench.incident_ids() == []
    assert _notes(tmp_path) == []


def test_a_page_that_is_refused_at_first_is_sent_again(bench: Bench) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    with _away(bench):
        _post(bench, alert())
        wait_until(lambda: _has_failed(bench), "the first try to fail")
        assert bench.events("trigger") == []
        bench.clock.advance(2 * SECOND)
        wait_until(lambda: _looked(bench) and bench.events("trigger"), "the second try")


def test_once_the_database_is_back_the_incident_decides_whether_its_page_is_still_sent(
    bench: Bench, tmp_path: Path
) -> None:
    with _away(bench):
        _refused(bench, alert())
    bench.hear(alert())
    bench.act(Acknowledge("anna"))
    bench.clock.advance(MINUTE)
    bench.runtime.direct.look()
    bench.settle()
    assert bench.events("trigger") == []
    assert _facts(bench) == []
    assert _notes(tmp_path) == []


@pytest.mark.parametrize("fault", [None, FaultKind.DROP_REPLY], ids=["accepted", "uncertain"])
@pytest.mark.parametrize("looked", [False, True], ids=["before a look", "after a look"])
def test_a_page_that_is_answered_before_the_incidents_own_is_accepted_is_resolved(
    bench: Bench, tmp_path: Path, fault: FaultKind | None, looked: bool
) -> None:
    """Nobody would end it: of what is answered the incident's own page is never sent."""
    if fault:
        bench.sandbox.fail("pagerduty", fault)
    with _away(bench):
        _post(bench, alert())
        wait_until(lambda: bench.events("trigger") and _is_tried(bench), "the page")
    bench.clock.advance(2 * SECOND)
    if looked:
        bench.runtime.direct.look()
        assert len(_pages(tmp_path)) == 1
    else:
        bench.hear(alert())
    bench.act(Acknowledge("anna"))
    _settle(bench)
    assert [event.action for event in bench.events()] == ["trigger", "resolve"]
    assert len({event.dedup_key for event in bench.events()}) == 1
    assert [(fact.took_over, fact.uncertain) for fact in _facts(bench)] == [(False, fault is not None)]
    assert _notes(tmp_path) == []


def test_an_alert_that_was_stored_and_has_ended_when_its_page_is_taken_in_does_not_fire_anew(
    bench: Bench, tmp_path: Path
) -> None:
    with _away(bench):
        page = _paged(bench, alert())
    bench.hear(alert())
    bench.hear(alert(firing=False))
    bench.forward(10 * MINUTE)
    assert bench.incident().state is State.RESOLVED
    _settle(bench)
    assert bench.incident().state is State.RESOLVED
    assert [event.dedup_key for event in bench.events("resolve")] == [page.dedup_key]
    assert _notes(tmp_path) == []


def test_what_an_alert_that_still_fires_says_anew_is_taken_in_with_its_page(bench: Bench, tmp_path: Path) -> None:
    """It may have risen to a P0 by it."""
    bench.hear(alert())
    bench.settle()
    _anew(bench)
    with _away(bench):
        _paged(bench, alert(annotations={"value": "12.5"}), pages=2)
    _settle(bench)
    (stored,) = bench.store.read(lambda tx: alerts.of_incidents(tx, bench.incident_ids(), 9))[bench.incident().id]
    assert stored.annotations["value"] == "12.5"
    assert _notes(tmp_path) == []


def test_what_was_taken_in_is_not_taken_in_again_while_its_page_can_not_be_resolved(
    bench: Bench, tmp_path: Path
) -> None:
    """Its alert would fire anew after it has ended."""
    with _away(bench):
        _paged(bench, alert())
    bench.runtime.direct.look()
    bench.hear(alert(firing=False))
    bench.forward(10 * MINUTE)
    assert bench.incident().state is State.RESOLVED
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    for outcome in (TransientError, None):
        bench.clock.advance(5 * MINUTE)
        with pytest.raises(outcome) if outcome else nullcontext():
            bench.runtime.direct.look()
    bench.settle()
    assert bench.incident().state is State.RESOLVED
    assert [event.action for event in bench.events()] == ["trigger", "resolve"]
    assert _notes(tmp_path) == []


def test_what_was_taken_in_is_not_sent_again_though_the_database_goes_away_before_it_is_settled(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.sandbox.fail("pagerduty", FaultKind.DROP_REPLY, times=None)
    with _away(bench):
        _post(bench, alert(region="us", starts_at=BEGIN + MINUTE))
        wait_until(lambda: _has_failed(bench), "the answer that is lost")
    bench.sandbox.sandbox.faults.clear()
    sent = len(bench.events("trigger"))
    bench.clock.advance(MINUTE)

    def refuse(_work: object) -> NoReturn:
        raise StoreUnavailableError("away")

    reads = iter([bench.store.read])

    def read_once(work: Callable[[Connection], object]) -> object:
        return next(reads, refuse)(work)

    for store in (SimpleNamespace(read=read_once), SimpleNamespace(read=bench.store.read, write=refuse)):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoreUnavailableError):
            patch.setattr(bench.runtime.direct._settlement, "_store", store)
            bench.runtime.direct.look()
    assert len(bench.events("trigger")) == sent


def test_an_answer_while_the_incidents_own_page_is_on_its_way_leaves_the_one_without_the_database_to_it(
    bench: Bench, tmp_path: Path
) -> None:
    """Resolved at PagerDuty while somebody sees to it, it would come back as the end of that."""
    with _away(bench):
        _paged(bench, alert())
    bench.hear(alert())
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    bench.settle()
    bench.act(Acknowledge("anna"))
    bench.runtime.direct.look()
    assert bench.events("resolve") == []
    bench.forward(MINUTE)
    bench.runtime.direct.look()
    assert [event.action for event in bench.events()] == ["trigger", "acknowledge"]
    assert [fact.took_over for fact in _facts(bench)] == [True]
    assert _notes(tmp_path) == []


def test_what_waits_for_its_incidents_own_page_is_not_sent_again_while_the_database_is_away_once_more(
    bench: Bench, tmp_path: Path
) -> None:
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    with _away(bench):
        _post(bench, alert())
        wait_until(lambda: _has_failed(bench), "the try without an answer")
    bench.runtime.direct.look()
    assert len(_pages(tmp_path)) == 1
    bench.clock.advance(MINUTE)
    with _away(bench):
        _post(bench, alert("other"))
        wait_until(lambda: bench.events("trigger") and not bench.runtime.direct._in_hand, "the other page")
        _looked(bench)
    assert len(bench.events("trigger")) == 1


def test_a_page_of_a_table_that_can_not_be_read_now_is_sent_by_the_one_in_force(bench: Bench, tmp_path: Path) -> None:
    """It was refused, and its process was started anew with other rules, while the database is away."""
    with _away(bench):
        _refused(bench, alert(), alert("other"))
        for note in _notes(tmp_path):
            note.write_text(note.read_text().replace(bench.runtime.rulebook.in_force.version, "f" * 64))
        bench.clock.advance(MINUTE)
        _looked(bench)
        assert len(bench.events("trigger")) == 2


def test_what_is_stored_is_not_sent_again_where_the_database_goes_away_in_between(bench: Bench, tmp_path: Path) -> None:
    with _away(bench):
        _refused(bench, alert(), alert("other"))
    bench.clock.advance(2 * SECOND)
    submit, left = bench.runtime.submit_webhook, iter([True])

    def once(webhook: Webhook) -> Future[bool]:
        if next(left, False):
            return submit(webhook)
        raise StoreUnavailableError("away")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoreUnavailableError):
        patch.setattr(bench.runtime.direct._settlement, "_submit", once)
        bench.runtime.direct.look()
    assert len(bench.events("trigger")) == len(_pages(tmp_path)) == 1


@pytest.mark.parametrize("refused", [False, True], ids=["at once", "after a refusal"])
def test_a_page_whose_sender_died_is_resolved_where_its_alert_is_over_by_then(
    bench: Bench, tmp_path: Path, refused: bool
) -> None:
    """Nobody knows whether it was accepted, nor, for a while, whether it is still on its way."""
    channels = bench.runtime.direct._channels
    gate = Gate(channels["pagerduty"], None)
    with pytest.MonkeyPatch.context() as patch, _away(bench), ThreadPoolExecutor(1) as dying:
        if refused:
            _refused(bench, alert())
            bench.clock.advance(2 * SECOND)
        patch.setattr(bench.runtime.direct, "_channels", {**channels, "pagerduty": gate})
        dying.submit(_looked, bench) if refused else _post(bench, alert())
        assert gate.reached.wait(120)
        kept = {note: note.read_text() for note in _notes(tmp_path)}
        gate.open.set()
        wait_until(lambda: bench.events("trigger") and _is_kept(bench), "the page")
    for note in _notes(tmp_path):
        note.unlink()
    for note, said in kept.items():
        note.write_text(said)
    _anew(bench)
    bench.hear(alert(firing=False))
    bench.runtime.direct.look()
    assert bench.events("resolve") == []
    bench.clock.advance(MINUTE)
    bench.runtime.direct.look()
    assert [event.dedup_key for event in bench.events("resolve")] == [bench.events("trigger")[0].dedup_key]
    assert bench.incident_ids() == []
    assert _notes(tmp_path) == []


def _failed(bench: Bench) -> float:
    return value(text(bench.runtime.meter.collect()), "incidentd_direct_pages_total", outcome="failed")


def test_another_process_finds_the_page_of_one_that_died(bench: Bench, tmp_path: Path) -> None:
    with _away(bench):
        page = _paged(bench, alert())
    _anew(bench)
    _settle(bench)
    assert _facts(bench) == [PagedDirectly(ONCALL, page.dedup_key, BEGIN, took_over=True)]
    assert _notes(tmp_path) == []


def test_without_a_folder_to_write_to_a_p0_is_paged_all_the_same(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("no folder")
    with _away(bench):
        _paged(bench, alert())
        _post(bench, alert())
        _paged(bench, alert("other"), pages=2)
    assert len(bench.events("trigger")) == 2


def test_without_a_folder_a_page_that_is_refused_goes_out_with_the_next_notification(
    bench: Bench, tmp_path: Path
) -> None:
    """A full disk can keep both the database and the folder from being written."""
    (tmp_path / "spool").write_text("no folder")
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    with _away(bench):
        _post(bench, alert())
        wait_until(lambda: _has_failed(bench), "the first try to fail")
        assert bench.events("trigger") == []
        _paged(bench, alert())
        _post(bench, alert())
        _paged(bench, alert("other"), pages=2)
    assert len(bench.events("trigger")) == 2


def test_without_a_folder_an_alert_that_fires_again_later_is_paged_again(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("no folder")
    with _away(bench):
        _paged(bench, alert())
    bench.hear(alert(), alert(firing=False))
    with _away(bench):
        _paged(bench, alert(starts_at=BEGIN + 5 * MINUTE), pages=2)


def test_a_page_that_is_on_its_way_is_not_sent_by_another_look(bench: Bench) -> None:
    channels = bench.runtime.direct._channels
    gate = Gate(channels["pagerduty"], None)
    with pytest.MonkeyPatch.context() as patch, _away(bench):
        patch.setattr(bench.runtime.direct, "_channels", {**channels, "pagerduty": gate})
        _post(bench, alert())
        assert gate.reached.wait(120)
        gate.reached.clear()
        bench.clock.advance(2 * SECOND)
        bench.runtime.direct.look()
        assert not gate.reached.is_set()
        gate.open.set()
        wait_until(lambda: bench.events("trigger") and _is_kept(bench), "the page")
        assert _looked(bench)
    assert len(bench.events("trigger")) == 1


def test_a_fault_of_ours_in_one_page_keeps_no_other_from_going_out(bench: Bench) -> None:
    channels = bench.runtime.direct._channels
    broken = {**channels, "pagerduty": Broken(channels["pagerduty"], 1)}
    with pytest.MonkeyPatch.context() as patch, _away(bench):
        patch.setattr(bench.runtime.direct, "_channels", broken)
        _post(bench, alert(), alert("other"))
        wait_until(lambda: bench.events("trigger"), "the other page")
        bench.clock.advance(2 * SECOND)
        wait_until(lambda: _looked(bench) and len(bench.events("trigger")) == 2, "the one that failed")


def test_a_page_that_can_not_be_resolved_yet_keeps_no_other_from_its_incident(bench: Bench, tmp_path: Path) -> None:
    with _away(bench):
        _paged(bench, alert(), alert("other"), pages=2)
    bench.hear(alert(firing=False), alert("other", firing=False))
    bench.sandbox.fail("pagerduty", FaultKind.STATUS, status=503)
    with pytest.raises(TransientError):
        bench.runtime.direct.look()
    assert (len(bench.events("resolve")), len(_pages(tmp_path))) == (1, 1)
    with pytest.raises(TransientError):
        bench.runtime.direct.look()
    assert len(bench.events("resolve")) == 1
    bench.clock.advance(2 * SECOND)
    bench.runtime.direct.look()
    assert (len(bench.events("resolve")), _notes(tmp_path)) == (2, [])


def test_a_replay_that_is_slow_is_tried_again_and_is_no_error(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _away(bench):
        _paged(bench, alert())
    monkeypatch.setattr(direct_settlement, "REPLAY_SECONDS", 0.01)
    monkeypatch.setattr(direct, "LOOK_SECONDS", 0.01)
    with capture_logs() as logs:
        with monkeypatch.context() as slow:
            slow.setattr(bench.runtime.direct._settlement, "_submit", lambda _webhook: Future())
            bench.runtime.direct.start()
            wait_until(lambda: any(line["event"] == "direct_pages_wait" for line in logs), "a look in vain")
        monkeypatch.setattr(direct_settlement, "REPLAY_SECONDS", 20.0)
        wait_until(bench.incident_ids, "the alert to be taken in")
        bench.settle()
        wait_until(lambda: not _notes(tmp_path), "the page to find its incident")
    assert {line["log_level"] for line in logs if line["event"] == "direct_pages_wait"} == {"warning"}


@contextmanager
def _away(bench: Bench) -> Iterator[None]:
    """The database is away."""

    def refuse(_work: object) -> NoReturn:
        raise StoreUnavailableError("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.store, "read", refuse)
        patch.setattr(bench.store, "write", refuse)
        yield


def _post(bench: Bench, *alerts: Alert) -> None:
    """A notification, and what the web does where it can't be stored."""
    webhook = Webhook(alerts, "10.0.0.1")
    with pytest.raises(StoreUnavailableError):
        bench.runtime.submit_webhook(webhook).result(120)
    bench.runtime.page_directly(webhook)


def _paged(bench: Bench, *alerts: Alert, pages: int = 1) -> Event:
    """The last page, once so many were accepted and kept as such."""
    _post(bench, *alerts)
    wait_until(lambda: len(bench.events("trigger")) >= pages and _is_kept(bench), "the page")
    return bench.events("trigger")[-1]


def _refused(bench: Bench, *fired: Alert) -> None:
    """A notification of which PagerDuty refuses each page for certain, once."""
    bench.sandbox.fail("pagerduty", FaultKind.RATE_LIMIT, times=len(fired))
    _post(bench, *fired)
    wait_until(lambda: _has_failed(bench, len(fired)), "the refusals")


def _is_kept(bench: Bench) -> bool:
    """Whether the folder knows of each page that it was accepted, and no sender has one in hand."""
    folder = bench.runtime.direct._folder
    kept = [folder.read(name, notes) for name, notes in folder.notes().items()]
    return all(each and each.accepted_at for each in kept) and not bench.runtime.direct._in_hand


def _settle(bench: Bench) -> None:
    """The database is back: what was paged without it is taken in, and its incident's own page is accepted."""
    bench.runtime.direct.look()
    bench.settle()
    bench.runtime.direct.look()


def _has_failed(bench: Bench, times: int = 1) -> bool:
    """Whether so many tries failed, and no sender has a page in hand."""
    return _failed(bench) == times and not bench.runtime.direct._in_hand


def _is_tried(bench: Bench) -> bool:
    return bool(bench.runtime.direct._tries) and not bench.runtime.direct._in_hand


def _anew(bench: Bench) -> None:
    """Another process takes over, which knows only what is written down."""
    bench.runtime.close()
    bench.runtime = Runtime(load_settings(bench.environ, None), bench.environ, clock=bench.clock)
    bench.store = bench.runtime.store


def _looked(bench: Bench) -> bool:
    """A look, which says that the database is away unless another thread has every page in hand."""
    with suppress(StoreUnavailableError):
        bench.runtime.direct.look()
    return True


def _facts(bench: Bench) -> list[PagedDirectly]:
    return [entry.data for entry in bench.timeline() if isinstance(entry.data, PagedDirectly)]


def _notes(folder: Path) -> list[Path]:
    return list((folder / "spool").glob("*"))


def _pages(folder: Path) -> set[str]:
    """Those of which there are notes."""
    return {note.stem.partition("~")[0] for note in _notes(folder)}
