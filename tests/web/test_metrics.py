"""``GET /metrics`` of the web part: what it tells, what it costs, and what it does when the database doesn't answer."""

import asyncio
import gzip
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy.engine import Connection

from incidentd.errors import StoreUnavailableError
from incidentd.meter.folder import summed
from incidentd.store import cycles, heartbeats, rules
from incidentd.store.engine import Store
from incidentd.store.heartbeats import Heartbeat
from incidentd.tier import Tier
from incidentd.web import metrics
from incidentd.web.app import create_app
from tests.incident.build import Story
from tests.servers import program
from tests.test_meter import HOSTILE, Series, value, values
from tests.web.client import Client
from tests.web.fake import API_TOKEN, NOW, WEBHOOK_TOKEN, FakeRuntime, keep

PATH = "/api/v1/alertmanager"
SOUND = (Path(__file__).parents[1] / "payloads" / "am025_firing.json").read_bytes()
BEARER = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
JSON = {"Content-Type": "application/json"}
LATER = timedelta(seconds=2)

T = TypeVar("T")


def fired(tier: Tier) -> Story:
    story = Story()
    story.fire(tier=tier, region="eu")
    return story


def scraped(client: Client, runtime: FakeRuntime) -> bytes:
    """A fresh scrape: an answer is kept for a second."""
    runtime.clock.advance(LATER)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.content


def gauges(raw: bytes) -> set[str]:
    return {name for name, _ in values(raw)} & {
        "incidentd_incidents",
        "incidentd_oldest_undelivered_page_seconds",
        "incidentd_overdue_incidents",
        "incidentd_cycle_age_seconds",
        "incidentd_rules_info",
    }


def test_no_token_is_needed_and_the_type_is_prometheus_own(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert client.post("/metrics").status_code == 405


def test_prometheus_finds_nothing_to_complain_of(client: Client, runtime: FakeRuntime) -> None:
    runtime.store.write(lambda tx: cycles.beat(tx, "one", NOW))
    runtime.store.write(lambda tx: rules.put_in_force(tx, "v7", {}, NOW))
    raw = scraped(client, runtime)
    assert len(gauges(raw)) == 5
    lint = subprocess.run([program("promtool"), "check", "metrics"], input=raw, capture_output=True, check=False)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, b"")


def test_webhooks_are_counted_by_whatever_they_were_answered(client: Client, runtime: FakeRuntime) -> None:
    sound = {**BEARER, **JSON}
    client.post(PATH, content=SOUND, headers=sound)
    client.post(PATH, content=SOUND, headers=sound)
    client.post(PATH, content=b"[", headers=sound)
    client.post(PATH, content=SOUND, headers=JSON)
    client.get(PATH)
    client.request("BREW", PATH)
    client.post(PATH, content=b" " * (17 << 20), headers=sound)
    client.post(PATH, content=gzip.compress(SOUND), headers={**sound, "Content-Encoding": "gzip"})
    runtime.failure = StoreUnavailableError("away")
    client.post(PATH, content=SOUND, headers=sound)
    runtime.failure = KeyError("a fault of ours")
    client.post(PATH, content=SOUND, headers=sound)
    raw = scraped(client, runtime)
    counted = {answer: value(raw, "incidentd_webhooks_total", answer=answer) for answer in _ANSWERS}
    assert counted == {"200": 2, "400": 1, "401": 1, "405": 2, "413": 1, "415": 1, "503": 2}


_ANSWERS = ("200", "400", "401", "405", "413", "415", "503")


def test_nothing_that_strangers_send_adds_a_series(client: Client, runtime: FakeRuntime) -> None:
    before = values(scraped(client, runtime)).keys()
    for odd in ("x", "%00", "../metrics", "é", "%7B%22", "a" * 2000):
        client.get(f"/{odd}")
        client.post(f"{PATH}/{odd}", content=SOUND, headers={**BEARER, **JSON})
        client.get(f"/metrics?{odd}={odd}")
    for method in ("BREW", "X" * 200, "PATCH"):
        client.request(method, PATH)
        client.request(method, "/metrics")
    for odd in HOSTILE[:6]:
        alert = {"status": "firing", "labels": {"severity": odd, odd or "x": odd, "tier": odd}}
        content = json.dumps({"version": "4", "alerts": [alert]}, ensure_ascii=True).encode()
        client.post(PATH, content=content, headers={**BEARER, **JSON})
    assert values(scraped(client, runtime)).keys() == before


def test_incidents_stand_by_tier_and_state_with_every_pair_there(client: Client, runtime: FakeRuntime) -> None:
    keep(runtime.store, fired(Tier.P0))
    keep(runtime.store, fired(Tier.P0))
    raw = scraped(client, runtime)
    found = {labels: count for (name, labels), count in values(raw).items() if name == "incidentd_incidents"}
    assert len(found) == len(Tier) * 3
    assert sum(found.values()) == 2
    assert value(raw, "incidentd_incidents", tier="P0", state="triggered") == 2
    assert value(raw, "incidentd_database_up") == 1


def test_heartbeats_stand_by_their_names_with_their_silence(client: Client, runtime: FakeRuntime) -> None:
    assert "incidentd_heartbeat_missing" not in {name for name, _ in values(scraped(client, runtime))}
    minute = timedelta(minutes=1)
    backup = Heartbeat("backup", minute, NOW, NOW, NOW + minute)
    watchdog = Heartbeat("watchdog", minute, NOW - minute, None, NOW, missing_since=NOW)
    runtime.store.write(lambda tx: heartbeats.insert(tx, [backup, watchdog]))
    raw = scraped(client, runtime)
    passed = (runtime.clock.now() - NOW).total_seconds()
    assert value(raw, "incidentd_heartbeat_silence_seconds", heartbeat="backup") == passed
    assert value(raw, "incidentd_heartbeat_silence_seconds", heartbeat="watchdog") == passed + 60
    assert value(raw, "incidentd_heartbeat_missing", heartbeat="backup") == 0
    assert value(raw, "incidentd_heartbeat_missing", heartbeat="watchdog") == 1


def test_without_a_timekeeper_or_rules_their_gauges_are_absent(client: Client, runtime: FakeRuntime) -> None:
    raw = scraped(client, runtime)
    assert gauges(raw) == {
        "incidentd_incidents",
        "incidentd_oldest_undelivered_page_seconds",
        "incidentd_overdue_incidents",
    }
    assert value(raw, "incidentd_oldest_undelivered_page_seconds") == 0


def test_a_database_that_fails_is_told_and_the_counters_too(
    client: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post(PATH, content=SOUND, headers={**BEARER, **JSON})

    def read(_store: Store, _work: object) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(Store, "read", read)
    raw = scraped(client, runtime)
    assert value(raw, "incidentd_database_up") == 0
    assert gauges(raw) == set()
    assert value(raw, "incidentd_webhooks_total", answer="200") == 1
    monkeypatch.undo()
    assert value(scraped(client, runtime), "incidentd_database_up") == 1


class Hanging:
    """A database that answers no read until it is let; says how many wait for it."""

    def __init__(self, store: Store) -> None:
        self._read = store.read
        self._gate = threading.Event()
        self.asked = 0

    def read(self, work: Callable[[Connection], T]) -> T:
        self.asked += 1
        assert self._gate.wait(120)
        return self._read(work)

    def let(self) -> None:
        self._gate.set()


def test_without_the_files_that_processes_count_in_the_gauges_are_told(
    client: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "incidentd_webhooks_total" in {name for name, _ in values(scraped(client, runtime))}
    monkeypatch.setattr(runtime.meter, "collect", lambda: summed(tmp_path / "gone"))
    names = {name for name, _ in values(scraped(client, runtime))}
    assert "incidentd_oldest_undelivered_page_seconds" in names
    assert "incidentd_webhooks_total" not in names


@pytest.fixture
def hanging(runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    hanging = Hanging(runtime.store)
    monkeypatch.setattr(runtime.store, "read", hanging.read)
    yield hanging
    hanging.let()


def test_a_database_that_hangs_holds_up_no_scrape_and_nobody_else(
    runtime: FakeRuntime, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metrics.DATABASE_SECONDS < 3
    monkeypatch.setattr(metrics, "DATABASE_SECONDS", 0.5)

    async def story(client: httpx.AsyncClient) -> list[Any]:
        scrapes = [asyncio.create_task(client.get("/metrics")) for _ in range(20)]
        await asyncio.sleep(0)
        webhook = await client.post(PATH, content=SOUND, headers={**BEARER, **JSON})
        waiting = [scrape for scrape in scrapes if not scrape.done()]
        answers = await asyncio.gather(*scrapes)
        hanging.let()
        return [webhook.status_code, len(waiting), *answers]

    status, waiting, *answers = _run(runtime, story)
    assert (status, waiting) == (200, 20)
    assert {value(answer.content, "incidentd_database_up") for answer in answers} == {0}
    assert hanging.asked == 1


def test_a_database_that_holds_every_thread_holds_up_no_scrape(
    runtime: FakeRuntime, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "DATABASE_SECONDS", 0.2)

    async def story(client: httpx.AsyncClient) -> list[Any]:
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        lists = [asyncio.create_task(client.get("/api/v1/incidents", headers=headers)) for _ in range(60)]
        async with asyncio.timeout(60):
            while hanging.asked < _ALL_THREADS:
                await asyncio.sleep(0.01)
        scrape = await client.get("/metrics")
        hanging.let()
        await asyncio.gather(*lists)
        return [scrape]

    (answer,) = _run(runtime, story)
    assert value(answer.content, "incidentd_database_up") == 0


_ALL_THREADS = 40


def test_scrapes_at_once_share_one_answer(runtime: FakeRuntime, hanging: Hanging) -> None:
    async def story(client: httpx.AsyncClient) -> list[Any]:
        scrapes = [asyncio.create_task(client.get("/metrics")) for _ in range(20)]
        async with asyncio.timeout(60):
            while not hanging.asked:
                await asyncio.sleep(0.01)
        hanging.let()
        return await asyncio.gather(*scrapes)

    series: list[dict[Series, float]] = [values(answer.content) for answer in _run(runtime, story)]
    assert all(each == series[0] for each in series)
    assert hanging.asked == 1


def _run(runtime: FakeRuntime, story: Callable[[httpx.AsyncClient], Any]) -> list[Any]:
    async def run() -> list[Any]:
        transport = httpx.ASGITransport(create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            found: list[Any] = await story(client)
            return found

    return asyncio.run(run())
