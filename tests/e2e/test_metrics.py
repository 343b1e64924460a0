"""``/metrics`` of real processes: everything together, and a worker group by itself."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from incidentd import __version__
from incidentd.meter.folder import PLACE
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.e2e.notification import notification
from tests.e2e.part import part
from tests.e2e.up import Up, command
from tests.servers import RedisServer, children_of, free_port, lives, program, wait_until
from tests.test_meter import value

PATIENCE_SECONDS = 90.0


def scraped(listen: str) -> bytes:
    """What is told at this address; empty while nobody answers."""
    try:
        answer = requests.get(f"http://{listen}/metrics", timeout=10)
    except requests.RequestException:
        return b""
    answer.raise_for_status()
    return answer.content


def lint(raw: bytes) -> bytes:
    found = subprocess.run([program("promtool"), "check", "metrics"], input=raw, capture_output=True, check=False)
    return found.stdout + found.stderr


def until(listen: str, name: str, at_least: float, **labels: str) -> bytes:
    """What is told as soon as this series has come so far."""
    told = b""

    def holds() -> bool:
        nonlocal told
        told = scraped(listen)
        return bool(told) and value(told, f"incidentd_{name}", **labels) >= at_least

    wait_until(holds, f"{name} {labels} to be {at_least}", PATIENCE_SECONDS)
    return told


def test_up_tells_the_sum_of_its_processes_and_a_killed_worker_takes_nothing_with_it(
    make_up: Callable[..., Up],
) -> None:
    up = make_up().start()
    assert up.post(notification("core-api")).status_code == 200
    until(up.listen, "deliveries_total", 1, channel="pagerduty", outcome="accepted")
    killed = up.part("page")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: up.part("page") not in (None, killed), "another worker in its place")
    assert up.post(notification("wallet-success")).status_code == 200
    assert requests.post(f"{up.url}/api/v1/alertmanager", json={}, timeout=10).status_code == 401
    wait_until(lambda: bool(up.incident("wallet-success")), "the second incident")
    wait_until(lambda: len(up.received().pagerduty.events) >= 2, "the second page", PATIENCE_SECONDS)
    pages = len({event.dedup_key for event in up.received().pagerduty.events})
    until(up.listen, "deliveries_total", pages, channel="pagerduty", outcome="accepted")
    told = until(up.listen, "acceptance_seconds_count", 2, channel="pagerduty")
    assert value(told, "incidentd_webhooks_total", answer="200") == 2
    assert value(told, "incidentd_webhooks_total", answer="401") == 1
    assert value(told, "incidentd_alerts_total", outcome="news") == 2
    assert value(told, "incidentd_acceptance_seconds_count", channel="pagerduty") >= 2
    assert value(told, "incidentd_job_seconds_count", queue="page") >= 2
    assert value(told, "incidentd_database_up") == 1
    assert lint(told) == b""


def test_what_is_told_begins_anew_with_each_start(make_up: Callable[..., Up]) -> None:
    up = make_up().start()
    assert up.post(notification("core-api")).status_code == 200
    until(up.listen, "webhooks_total", 1, answer="200")
    assert up.interrupt() == 0
    up.start()
    assert value(until(up.listen, "database_up", 1), "incidentd_webhooks_total", answer="200") == 0


# A worker group by itself.


@pytest.fixture
def settings(tmp_path: Path, rules: Path, redis_server: RedisServer) -> Iterator[dict[str, str]]:
    url = f"sqlite:///{tmp_path / 'incidentd.db'}"
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    yield {
        "INCIDENTD_DATABASE_URL": url,
        "INCIDENTD_REDIS_URL": redis_server.url,
        "INCIDENTD_RULES": str(rules),
        "INCIDENTD_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "INCIDENTD_WORKERS_PAGE": "1",
        "INCIDENTD_WORKERS_ESCALATE": "1",
        "TMPDIR": str(temporary),
    }


def statements(told: bytes) -> float:
    return value(told, "incidentd_statement_seconds_count", verb="select")


def test_a_worker_group_tells_its_sum_and_files_stay_as_few_as_places(settings: dict[str, str], tmp_path: Path) -> None:
    listen = settings["INCIDENTD_METRICS_LISTEN"]
    with part("worker", settings, tmp_path) as process:
        first = until(listen, "statement_seconds_count", 20, verb="select")
        assert requests.get(f"http://{listen}/-/healthy", timeout=10).json() == {"status": "healthy"}
        assert requests.get(f"http://{listen}/", timeout=10).status_code == 404
        assert requests.post(f"http://{listen}/metrics", timeout=10).status_code == 405
        wait_until(lambda: len(_files(settings)) == 8, "two files for each of four processes", PATIENCE_SECONDS)
        for _ in range(3):
            keeper = _timekeeper(process.pid)
            before = statements(scraped(listen))
            os.kill(keeper, signal.SIGKILL)
            assert statements(scraped(listen)) >= before
            wait_until(partial(_has_another, process.pid, keeper), "another in its place", PATIENCE_SECONDS)
            until(listen, "statement_seconds_count", before + 20, verb="select")
        assert statements(scraped(listen)) > statements(first)
        assert len(_files(settings)) == 8
        assert lint(scraped(listen)) == b""
    assert list(Path(settings["TMPDIR"]).iterdir()) == []


def test_an_address_that_is_taken_is_refused_and_named(settings: dict[str, str], tmp_path: Path) -> None:
    listen = settings["INCIDENTD_METRICS_LISTEN"]
    with part("worker", settings, tmp_path):
        until(listen, "build_info", 1, version=__version__)
        ended = command("worker", cwd=tmp_path, **settings)
    assert ended.returncode == 2
    assert f"INCIDENTD_METRICS_LISTEN: {listen} is taken" in ended.stderr


def test_an_address_that_is_none_is_refused_and_named(settings: dict[str, str], tmp_path: Path) -> None:
    ended = command("worker", cwd=tmp_path, **settings | {"INCIDENTD_METRICS_LISTEN": "nowhere"})
    assert (ended.returncode, "INCIDENTD_METRICS_LISTEN is not host:port" in ended.stderr) == (2, True)


def _files(settings: dict[str, str]) -> list[Path]:
    return list(Path(settings["TMPDIR"]).glob("incidentd-metrics-*/*"))


def _has_another(group: int, killed: int) -> bool:
    return _timekeeper(group) not in (0, killed)


def _timekeeper(group: int) -> int:
    """The process id of the group's timekeeper that counts already; 0 while there is none."""
    for child in children_of(group):
        try:
            environ = Path(f"/proc/{child}/environ").read_bytes()
            argv = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if lives(child) and f"{PLACE}=timekeeper-1".encode() in environ and b"workers.process" in argv:
            return child
    return 0
