"""Degraded modes with real processes: each is said while it lasts, on the page and as a metric, and no longer."""

from collections.abc import Callable, Iterator

import pytest
import requests

from tests.e2e.browser import Browser
from tests.e2e.notification import notification
from tests.e2e.up import Up
from tests.servers import PostgresServer, RedisServer, wait_until
from tests.test_meter import value

SECONDS = 120.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.kill()


def is_degraded(up: Up, mode: str) -> bool:
    raw = requests.get(f"{up.url}/metrics", timeout=10).content
    return value(raw, "incidentd_degraded", mode=mode) == 1


def banner(browser: Browser) -> str:
    return str(browser.run("return document.getElementById('banner').innerText"))


def sees(browser: Browser, *texts: str) -> None:
    wait_until(lambda: all(text in browser.text() for text in texts), f"{texts} on the page", SECONDS)


def until(browser: Browser, *, says: str) -> None:
    wait_until(lambda: says in banner(browser) if says else not banner(browser).strip(), f"banner {says!r}", SECONDS)


def test_redis_stops_and_comes_back(make_up: Callable[..., Up], browser: Browser, redis_server: RedisServer) -> None:
    up = make_up(INCIDENTD_REDIS_URL=redis_server.url).start()
    browser.open(up.printed(r"pages         (\S+)"))
    sees(browser, "All calm")
    wait_until(lambda: not is_degraded(up, "redis"), "Redis to be found there", SECONDS)
    redis_server.kill()
    until(browser, says="Redis has not answered for")
    wait_until(lambda: is_degraded(up, "redis"), "the metric of redis", SECONDS)
    assert up.post(notification("core-api")).status_code == 200
    sees(browser, "1 open")
    wait_until(lambda: up.received().pagerduty.events, "a page without Redis", SECONDS)
    redis_server.start()
    until(browser, says="")
    wait_until(lambda: not is_degraded(up, "redis"), "the metric to end", SECONDS)
    assert browser.complaints() == []


def test_pagerduty_refuses_and_accepts_again(make_up: Callable[..., Up], browser: Browser) -> None:
    up = make_up().start()
    fault = {"service": "pagerduty", "kind": "status", "status": 503, "times": None}
    assert requests.post(f"{up.url}/sandbox/faults", json=fault, timeout=10).status_code == 204
    assert up.post(notification("core-api")).status_code == 200
    browser.open(up.printed(r"pages         (\S+)"))
    until(browser, says="PagerDuty (page-oncall) has not accepted pages for")
    assert "They go to Slack #incidents as well, and are tried again." in banner(browser)
    wait_until(lambda: "fell_back" in [entry["kind"] for entry in up.timeline("core-api")], "the fallback", SECONDS)
    wait_until(lambda: is_degraded(up, "pagerduty"), "the metric of pagerduty", SECONDS)
    assert requests.delete(f"{up.url}/sandbox/faults", timeout=10).status_code == 204
    until(browser, says="")
    wait_until(lambda: not is_degraded(up, "pagerduty"), "the metric of pagerduty", SECONDS)
    assert up.received().pagerduty.events
    assert browser.complaints() == []


def test_postgresql_stops_and_the_page_says_what_holds_and_comes_back(
    make_up: Callable[..., Up], browser: Browser
) -> None:
    server = PostgresServer().create()
    try:
        with server.database() as url:
            up = make_up(INCIDENTD_DATABASE_URL=url).start()
            browser.open(up.printed(r"pages         (\S+)"))
            sees(browser, "All calm")
            server.stop()
            until(browser, says="The database has not answered for")
            sees(browser, "All calm")
            wait_until(lambda: is_degraded(up, "database"), "the metric of database", SECONDS)
            browser.open(f"{up.url}/")
            sees(browser, "incidentd can't reach its database", "A new P0 is paged all the same", "not answered for")
            assert up.post_once(notification("core-api")).status_code == 503
            wait_until(lambda: up.received().pagerduty.events, "the direct page", SECONDS)
            server.start()
            sees(browser, "core-api is down")
            until(browser, says="")
            assert up.interrupt() == 0
    finally:
        server.remove()
