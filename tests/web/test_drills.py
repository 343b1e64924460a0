"""Drills and heartbeats over HTTP: what is shown, what is begun, and what is refused."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from incidentd.errors import RefusedError, StoreUnavailableError
from incidentd.store import drill_schedules, drills, heartbeats
from incidentd.store.drill_schedules import Planned
from incidentd.store.drills import Drill, Outcome, Step, Taken
from incidentd.store.heartbeats import Heartbeat
from incidentd.tier import Tier
from tests.incident.build import Story
from tests.web.client import Client
from tests.web.fake import HEARTBEAT_TOKEN, NOW, FakeRuntime, keep, shipped

PATH = "/api/v1/drills"
MINUTE = timedelta(minutes=1)
RULES = shipped(
    drills='weekly: {tier: P1, system: avalo, weekdays: [wed], at: "10:00", zone: Europe/Berlin, answer: 10m}\n',
    heartbeats='watchdog: {match: [alertname="Watchdog"], every: 30m, tier: P1}\nbackup: {every: 1h, tier: P2}\n',
)


def fired() -> Story:
    story = Story()
    story.fire(tier=Tier.P1)
    return story


def kept(runtime: FakeRuntime, number: int, **changes: Any) -> Drill:
    drill = Drill(f"d{number}", "weekly", False, Tier.P1, "avalo", NOW + number * MINUTE, MINUTE, started_at=NOW)
    drill = replace(drill, **changes)
    runtime.store.write(lambda tx: drills.insert(tx, drill))
    return drill


# The API.


def test_a_drill_is_begun_and_shown_until_it_ends(api: Client, runtime: FakeRuntime) -> None:
    answer = api.post(PATH, json={"tier": "P1", "system": "avalo"})
    assert answer.status_code == 201
    begun = answer.json()
    assert (begun["outcome"], begun["waits_for"], begun["within"], begun["answer"]) == ("running", "sent", 60, 300)
    assert api.get(f"{PATH}/{begun['id']}").json() == begun
    assert [each["id"] for each in api.get(PATH).json()["drills"]] == [begun["id"]]


def test_a_drill_of_the_rules_is_begun_by_its_name(api: Client, runtime: FakeRuntime) -> None:
    runtime.rules = RULES
    begun = api.post(PATH, json={"name": "weekly"}).json()
    assert (begun["name"], begun["by_hand"], begun["tier"], begun["system"]) == ("weekly", True, "P1", "avalo")
    assert (begun["within"], begun["answer"]) == (300, 600)
    assert api.post(PATH, json={"name": "weekly", "answer": 0}).json()["answer"] is None
    unknown = api.post(PATH, json={"name": "monthly"})
    assert unknown.status_code == 404
    assert unknown.json()["errors"] == [{"field": "name", "message": "known are: weekly"}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tier": "P9"},
        {"tier": "P1", "name": "weekly"},
        {"name": "weekly", "system": "avalo"},
        {"tier": "P1", "system": "unknown"},
        {"tier": "P1", "within": 0},
        {"tier": "P1", "within": 10**9},
        {"tier": "P1", "answer": -1},
        {"tier": "P1", "more": 1},
        {"name": "\x00"},
        [],
    ],
)
def test_what_makes_no_sense_is_refused_and_begins_nothing(api: Client, runtime: FakeRuntime, body: Any) -> None:
    runtime.rules = RULES
    answer = api.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    assert api.get(PATH).json()["drills"] == []


def test_an_unknown_system_is_told_which_ones_are_known(api: Client, runtime: FakeRuntime) -> None:
    runtime.rules = RULES
    (fault,) = api.post(PATH, json={"tier": "P1", "system": "unknown"}).json()["errors"]
    assert fault == {"field": "system", "message": "known are: avalo, chat-backend, agentmesh, astudio, user-metadata"}


def test_a_second_one_by_hand_is_refused_and_a_database_that_is_away_is_said(api: Client, runtime: FakeRuntime) -> None:
    runtime.failure = RefusedError("drill_under_way", "another drill that was begun by hand goes on")
    answer = api.post(PATH, json={"tier": "P1"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "drill_under_way")
    runtime.failure = StoreUnavailableError("away")
    assert api.post(PATH, json={"tier": "P1"}).status_code == 503


@pytest.mark.parametrize("path", [PATH, f"{PATH}/plan?tier=P1", f"{PATH}/d1", "/api/v1/heartbeats"])
def test_a_stranger_and_a_job_learn_nothing(client: Client, path: str) -> None:
    assert client.get(path).status_code == 401
    client.headers["Authorization"] = f"Bearer {HEARTBEAT_TOKEN}"
    assert client.get(path).status_code == 401
    assert client.post(PATH, json={"tier": "P1"}).status_code == 401


def test_the_plan_names_everybody_who_would_be_told_in_their_order(api: Client) -> None:
    told = api.get(f"{PATH}/plan?tier=P1&system=avalo").json()["told"]
    assert [(each["destination"], each["level"], each["pages"]) for each in told] == [
        ("incidents", 0, False),
        ("page-oncall", 1, True),
        ("page-manager", 2, True),
        ("page-cto", 3, True),
    ]
    assert {each["real"] for each in told} == {True}


@pytest.mark.parametrize(
    ("url", "real"),
    [
        ("http://127.0.0.1:8080/sandbox/pagerduty", False),
        ("http://sandbox:8090/sandbox/pagerduty/v2/enqueue", False),
        ("https://events.eu.pagerduty.com", True),
        ("https://sandbox.example.com", True),
    ],
)
def test_only_the_sandbox_counts_as_no_real_people(api: Client, runtime: FakeRuntime, url: str, real: bool) -> None:
    runtime.settings = runtime.settings.model_copy(update={"pagerduty_events_url": url})
    told = {each["kind"]: each["real"] for each in api.get(f"{PATH}/plan?tier=P1").json()["told"]}
    assert told == {"slack": True, "pagerduty": real}


def test_an_incident_says_that_it_is_a_drill_and_lists_can_leave_drills_out(api: Client, runtime: FakeRuntime) -> None:
    real = keep(runtime.store, fired())
    drill = keep(runtime.store, fired(), system="incidentd-drill")
    listed = {each["id"]: each["drill"] for each in api.get("/api/v1/incidents").json()["incidents"]}
    assert listed == {real: False, drill: True}
    for wanted, found in (("true", drill), ("false", real)):
        answer = api.get(f"/api/v1/incidents?drill={wanted}").json()["incidents"]
        assert [each["id"] for each in answer] == [found]
    assert api.get("/api/v1/incidents?drill=junk").status_code == 400


def test_heartbeats_are_listed_the_missing_ones_first(api: Client, runtime: FakeRuntime) -> None:
    runtime.rules = RULES
    silent = replace(Heartbeat.expected("watchdog", 30 * MINUTE, NOW - 60 * MINUTE), missing_since=NOW - 30 * MINUTE)
    heard = Heartbeat.expected("backup", 60 * MINUTE, NOW).heard(NOW, 60 * MINUTE)
    runtime.store.write(lambda tx: heartbeats.insert(tx, [silent, heard]))
    found = api.get("/api/v1/heartbeats").json()["heartbeats"]
    assert [(each["name"], each["missing"], each["reports"], each["every"]) for each in found] == [
        ("watchdog", True, "alert", 1800),
        ("backup", False, "job", 3600),
    ]
    assert found[1]["heard_at"] == "2026-03-02T12:00:00Z"


# The pages.


def test_the_page_shows_each_drill_with_its_steps_and_its_incident(person: Client, runtime: FakeRuntime) -> None:
    runtime.rules = RULES
    plan = {"weekly": Planned("weekly", "wed", NOW + 60 * MINUTE)}
    runtime.store.write(lambda tx: drill_schedules.replace_all(tx, plan))
    incident = keep(runtime.store, fired(), system="incidentd-drill")
    page = Taken(Step.PAGE, NOW, timedelta(milliseconds=240), "page-oncall")
    answer = Taken(Step.ANSWER, NOW, timedelta(seconds=3), "incidentd drill")
    kept(runtime, 1, outcome=Outcome.ACCEPTED, ended_at=NOW, incident_id=incident, steps=(page, answer))
    kept(runtime, 2, outcome=Outcome.FAILED, failed=Step.PAGE, why="<script>refused</script>", ended_at=NOW)
    html = person.get("/drills").text
    assert "The last drill <bdi>weekly</bdi> failed" in html
    assert "240 ms" in html
    assert "incidentd drill</bdi>, a machine" in html
    assert f'href="/incidents/{incident}"' in html
    assert "&lt;script&gt;refused" in html
    assert "<script>refused" not in html
    assert "in 1 h" in html


def test_pages_without_anything_to_show_say_what_would_be_there(person: Client) -> None:
    assert "There has been no drill yet." in person.get("/drills").text
    assert "<code>incidentd drill --tier P1</code>" in person.get("/drills").text
    assert "<code>rules/heartbeats.yaml</code> names none" in person.get("/heartbeats").text


def test_what_an_empty_page_proposes_for_the_rules_fits_in_there(person: Client) -> None:
    drill, heartbeat = (
        unescape(re.findall(r'<pre class="example">(.*?)</pre>', person.get(path).text, re.DOTALL)[0])
        for path in ("/drills", "/heartbeats")
    )
    rules = shipped(drills=drill + "\n", heartbeats=heartbeat + "\n")
    assert (list(rules.drills), list(rules.heartbeats)) == (["weekly"], ["watchdog", "backup"])


def test_the_page_of_heartbeats_says_who_is_missing(person: Client, runtime: FakeRuntime) -> None:
    runtime.rules = RULES
    silent = replace(Heartbeat.expected("watchdog", 30 * MINUTE, NOW - 60 * MINUTE), missing_since=NOW - 30 * MINUTE)
    runtime.store.write(lambda tx: heartbeats.insert(tx, [silent]))
    html = person.get("/heartbeats").text
    assert "1 missing" in html
    assert "not heard yet" in html


@pytest.mark.parametrize("path", ["/drills", "/heartbeats"])
def test_who_is_not_signed_in_gets_the_way_in_and_comes_back(client: Client, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert f'name="next" value="{path}"' in answer.text
    assert "<nav" not in answer.text


def test_drills_are_linked_and_can_be_left_out_of_the_list(person: Client, runtime: FakeRuntime) -> None:
    keep(runtime.store, fired(), system="incidentd-drill", title="DRILL: P1")
    html = person.get("/").text
    assert 'href="/drills"' in html
    assert '<span class="mark">drill</span>' in html
    assert "DRILL: P1" not in person.get("/?drill=false").text
