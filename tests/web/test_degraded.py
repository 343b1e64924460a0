"""What people and Prometheus see while something is missing: a banner, a metric, and pages in place of raw errors."""

from dataclasses import replace
from datetime import timedelta

import pytest

from incidentd.errors import StoreUnavailableError
from incidentd.lifecycle.degraded import Known, Mode, Receiver, degraded
from tests.incident.build import Story
from tests.test_meter import value
from tests.web.client import Client
from tests.web.fake import API_TOKEN, NOW, FakeRuntime, keep

HTML = {"Accept": "text/html,application/xhtml+xml"}
AWAY = Receiver(
    name="page-oncall",
    kind="pagerduty",
    place="PagerDuty <b>oncall</b>",
    pages=True,
    stand_in="Slack #incidents",
    failing_since=NOW - timedelta(minutes=3),
    waits=1,
    tries=4,
)
KNOWN = Known(began_at=NOW, cycle_at=NOW, redis_since=NOW - timedelta(seconds=20), receivers=(AWAY,))


def fired() -> Story:
    story = Story()
    story.fire(region="eu")
    return story


@pytest.fixture
def missing(runtime: FakeRuntime) -> FakeRuntime:
    runtime.missing = degraded(KNOWN, NOW)
    return runtime


def test_every_page_says_what_is_missing_since_when_and_what_that_means(person: Client, missing: FakeRuntime) -> None:
    incident = keep(missing.store, fired())
    for path in ("/", "/?state=resolved", f"/incidents/{incident}", "/nowhere", f"/incidents/{incident}x"):
        page = person.get(path).text
        assert "PagerDuty &lt;b&gt;oncall&lt;/b&gt; has not accepted pages for 3 min</b>" in page, path
        assert 'since <time datetime="2026-03-02T11:57:00+00:00"' in page
        assert (
            "They go to Slack #incidents as well, and are tried again.</bdi> This ends when it accepts again." in page
        )
        assert page.index("PagerDuty") < page.index("Redis has not answered for 20 s</b>")


def test_where_nothing_is_missing_nothing_is_said(person: Client) -> None:
    page = person.get("/").text
    assert 'class="banner"' not in page
    assert '<div id="banner" data-live>' in page


def test_a_stranger_is_told_nothing(client: Client, missing: FakeRuntime) -> None:
    for path in ("/", "/sign-in", "/nowhere"):
        assert 'class="banner"' not in client.get(path, headers=HTML).text


def test_ten_things_that_are_missing_leave_room_for_the_page(person: Client, runtime: FakeRuntime) -> None:
    many = tuple(replace(AWAY, name=f"page-{number}") for number in range(10))
    runtime.missing = degraded(replace(KNOWN, receivers=many), NOW)
    page = person.get("/").text
    assert page.count("has not accepted pages") == 6
    assert "and 5 more" in page


def test_the_metric_has_every_mode_with_and_without_the_database(
    client: Client, missing: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = client.get("/metrics").content
    assert {mode: value(raw, "incidentd_degraded", mode=mode) for mode in Mode} == {
        mode: float(mode in (Mode.PAGERDUTY, Mode.REDIS)) for mode in Mode
    }
    missing.missing = degraded(Known(began_at=NOW, database_since=NOW), NOW)
    monkeypatch.setattr(missing.store, "read", _away)
    missing.clock.advance(timedelta(seconds=2))
    raw = client.get("/metrics").content
    assert value(raw, "incidentd_degraded", mode="database") == 1
    assert value(raw, "incidentd_database_up") == 0


def _away(_work: object) -> None:
    raise StoreUnavailableError("away")


def test_without_the_database_people_read_what_still_holds(
    person: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = keep(runtime.store, fired())
    monkeypatch.setattr(runtime.store, "read", _away)
    for path in ("/", f"/incidents/{incident}"):
        answer = person.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert "A new P0 is paged all the same" in answer.text
        assert "comes back by itself" in answer.text
    runtime.failure = StoreUnavailableError("away")
    answer = person.post(f"/incidents/{incident}/acknowledge", data={"actor": "Ann"})
    assert answer.status_code == 503
    assert "What you asked for was not done." in answer.text
    assert f'<a href="/incidents/{incident}">Back</a>' in answer.text


def test_programs_get_problems_all_the_same(api: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.store, "read", _away)
    for path, headers in (("/api/v1/incidents", HTML), ("/api/v1/incidents", {}), ("/", {})):
        answer = api.get(path, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/nowhere", "/incidents", "/incidents/", "/robots.txt", "/a/b/c/d", "/admin.php"])
def test_an_unknown_page_is_a_page_for_people_and_a_problem_for_programs(person: Client, path: str) -> None:
    answer = person.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Nothing has this address</h1>" in answer.text
    answer = person.get(path, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/-/nowhere", "/slack/nowhere", "/static/nowhere", "/metrics/x"])
def test_an_address_of_programs_stays_one_in_a_browser(person: Client, path: str) -> None:
    answer = person.get(path, headers={"Authorization": f"Bearer {API_TOKEN}"})
    kind = "text/html; charset=utf-8" if path == "/metrics/x" else "application/problem+json"
    assert (answer.status_code, answer.headers["content-type"]) == (404, kind)


def test_what_nobody_foresaw_is_a_page_too(
    person: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_work: object) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(runtime.store, "read", broken)
    answer = person.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "the log says more under this request id" in answer.text
    assert "a fault of ours" not in answer.text
    assert "Traceback" not in answer.text
