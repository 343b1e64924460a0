"""Truth from a real Alertmanager, through real processes."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from incidentd.clock import SystemClock
from tests.e2e.up import Up
from tests.e2e.upstream import RealAlertmanager
from tests.servers import free_port, wait_until

HOUR = timedelta(hours=1)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[RealAlertmanager]:
    """Not started yet."""
    made = RealAlertmanager(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def up(make_up: Callable[..., Up], upstream: RealAlertmanager) -> Up:
    """Compares three times a second with ``upstream``, and with a replica that is never there."""
    return make_up(
        INCIDENTD_ALERTMANAGER_URL=f"{upstream.url} http://127.0.0.1:{free_port()}",
        INCIDENTD_RECONCILE_SECONDS="0.3",
        INCIDENTD_RECONCILE_SETTLE_SECONDS="3",
        INCIDENTD_RECONCILE_UNTOLD_SECONDS="10",
    ).start()


def webhook(up: Up) -> tuple[str, str]:
    return f"{up.url}/api/v1/alertmanager", up.printed(r"bearer token (\S+)")


def alert(slo: str, began: datetime, until: datetime) -> dict[str, object]:
    """A P0 of avalo, as Prometheus posts it to Alertmanager."""
    return {
        "labels": {"alertname": "Down", "system": "avalo", "slo": slo, "sli": "outage"},
        "annotations": {"summary": f"{slo} is down", "value": "1"},
        "startsAt": began.isoformat(),
        "endsAt": until.isoformat(),
    }


def kinds(up: Up, slo: str) -> list[str]:
    return [str(entry["kind"]) for entry in up.timeline(slo)]


def look(up: Up, times: int) -> None:
    """Wait until it has compared so often again; the last of these may still be under way."""
    (database,) = up.state.glob("*.db")
    turns: set[int] = set()

    def has_looked() -> bool:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            turns.update(row[0] for row in connection.execute("SELECT at FROM pings WHERE name = 'alertmanager'"))
        return len(turns) > times

    wait_until(has_looked, f"{times} looks", 120)


def test_a_silence_is_shown_and_an_end_that_nobody_told_is_found_out(up: Up, upstream: RealAlertmanager) -> None:
    upstream.start(*webhook(up))
    began = SystemClock().now()
    upstream.post("alerts", [alert("core-api", began, began + HOUR)])
    wait_until(lambda: up.state_of("core-api") == "triggered", "the incident")
    matcher = {"name": "slo", "value": "core-api", "isRegex": False, "isEqual": True}
    times = {"startsAt": began.isoformat(), "endsAt": (began + HOUR).isoformat()}
    upstream.post("silences", {"matchers": [matcher], "createdBy": "ann", "comment": "deploy", **times})

    def silenced() -> bool:
        found = up.incident("core-api")
        return bool(found and found["silenced"])

    wait_until(silenced, "the silence to be shown")
    found = up.incident("core-api")
    assert found is not None
    assert found["silenced"]["alerts"] == 1
    assert found["silenced"]["why"].startswith("silenced by ann until ")
    upstream.post("alerts", [alert("core-api", began, SystemClock().now())])
    wait_until(lambda: up.state_of("core-api") in ("recovering", "resolved"), "the end")
    told = kinds(up, "core-api")
    assert told.index("silenced") < told.index("reconciled") < told.index("recovering")
    (entry,) = [each for each in up.timeline("core-api") if each["kind"] == "reconciled"]
    assert entry["actor"] == "alertmanager"
    assert "no notification said so" in entry["sentence"]


def test_what_alertmanager_could_tell_nobody_opens_an_incident_that_says_so(up: Up, upstream: RealAlertmanager) -> None:
    upstream.start(f"http://127.0.0.1:{free_port()}/", "nobody-is-there-0123456789")
    began = SystemClock().now()
    upstream.post("alerts", [alert("core-api", began, began + HOUR)])
    wait_until(lambda: up.state_of("core-api") == "triggered", "the incident")
    assert kinds(up, "core-api")[:2] == ["opened", "reconciled"]
    wait_until(lambda: any(e.action == "trigger" for e in up.received().pagerduty.events), "its page")


def test_an_alertmanager_that_restarts_empty_closes_nothing_until_it_is_told_again(
    up: Up, upstream: RealAlertmanager
) -> None:
    upstream.start(*webhook(up))
    began = SystemClock().now()
    upstream.post("alerts", [alert("core-api", began, began + HOUR)])
    wait_until(lambda: up.state_of("core-api") == "triggered", "the incident")
    look(up, 3)
    upstream.kill()
    upstream.start(*webhook(up))
    look(up, 20)
    assert up.state_of("core-api") == "triggered"
    assert "reconciled" not in kinds(up, "core-api")
    upstream.post("alerts", [alert("other-api", began, began + HOUR)])
    wait_until(lambda: up.state_of("core-api") in ("recovering", "resolved"), "the end")
    assert "reconciled" in kinds(up, "core-api")
