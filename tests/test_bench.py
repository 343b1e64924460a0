"""The benchmarks run, and their table finds its place in the README."""

import pytest

from bench import accept, filling, notification, page, table
from bench import classify as classifying
from bench.__main__ import main
from bench.database import size, sqlite
from bench.installation import PROJECT, installation, percentile
from bench.result import Result
from incidentd.classify import classify
from incidentd.clock import SystemClock
from incidentd.intake import parse
from tests.servers import wait_until

README = PROJECT / "README.md"


def test_both_sides_take_what_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "ROUNDS", 1)
    monkeypatch.setattr(accept, "SINGLES", 20)
    with sqlite() as fresh:
        (pair,) = accept._side_by_side(fresh, accept.singles, accept.singles)
    assert pair.ours > 0
    assert pair.bare > 0


def test_a_page_is_timed_from_its_webhook_to_its_receiver() -> None:
    with sqlite() as fresh, fresh() as url, installation(url, limited=False) as here:
        took = page._one_by_one(here, 3, 0.05)
        wait_until(lambda: here.keys() == 0, "jobs to leave nothing behind")
    assert len(took) == 3
    assert all(milliseconds > 0 for milliseconds in took)


def test_incidents_that_were_there_before_are_open_and_told() -> None:
    with sqlite() as fresh, fresh() as url:
        filling.fill(url, 20)
        assert size(url) > 0
        with installation(url) as here:
            assert here.receiver.seen() == []


def test_a_notification_is_as_alertmanager_sends_it() -> None:
    numbers = notification.fresh(3)
    alerts, aside = parse(notification.notification(notification.distinct(numbers)), SystemClock().now())
    assert aside == ()
    assert len({alert.fingerprint for alert in alerts}) == 3


@pytest.mark.parametrize(("part", "value"), [(0.5, 51), (0.99, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(part: float, value: float) -> None:
    assert percentile(range(1, 101), part) == value


def test_a_missed_target_is_said_in_the_table() -> None:
    good, bad = Result("a", "what", "0.6", "≥ 0.5", True), Result("a", "what", "0.4", "≥ 0.5", False)
    text = table.markdown({"SQLite": [good], "PostgreSQL": [bad]})
    assert "| (a) | what | 0.6 | 0.4 **missed** | ≥ 0.5 |" in text


def test_the_table_has_its_place_in_the_readme() -> None:
    assert table.placed("<the table>", README.read_text("utf-8")).count("<the table>") == 1


def test_part_of_a_run_is_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--write", "--only", "a"])
    assert "whole run" in capsys.readouterr().err


def test_alerts_of_the_classifying_part_go_to_all_rows_and_some_to_none() -> None:
    rules = classifying.table(200)
    taken = {classify(alert, rules).row for alert in classifying.alerts(200)}
    assert taken == {row.name for row in rules.rows} | {"severity"}
    sent = list(classifying.alerts(2_000))
    assert len({alert.annotations["value"] for alert in sent}) == len(sent), "no verdict is remembered"
