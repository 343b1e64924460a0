"""``/rules``: the table as people read it, a form to try an alert, what changed, and what a shadow would do."""

import html
import re
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from incidentd.classify import Rules, parse
from incidentd.incident.command import Note
from incidentd.store import rules as stored
from incidentd.store import shadow
from incidentd.store.row_matches import Matches, row_matches
from incidentd.store.shadow import Comparison, Difference
from incidentd.tier import Tier
from incidentd.web import row_counts
from tests.incident.build import Story
from tests.web.client import Client
from tests.web.fake import API_TOKEN, NOW, FakeRuntime, keep, keep_alert

EVIL = "<script>alert(1)</script>{{7*7}}\"'><img src=x onerror=alert(1)>"


def words(page: str) -> str:
    """What people see, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def later(person: Client, runtime: FakeRuntime, by: timedelta) -> None:
    """Time passes, and the person signs in again: no session lasts for days."""
    runtime.clock.advance(by)
    assert person.post("/sign-in", data={"token": API_TOKEN}).status_code == 303


def in_force(runtime: FakeRuntime, **changes: tuple[str, str]) -> Rules:
    """Another table, some text of files replaced, in force from now on."""
    texts = dict(runtime.rules.files)
    for stem, (old, new) in changes.items():
        assert old in texts[f"{stem}.yaml"]
        texts[f"{stem}.yaml"] = texts[f"{stem}.yaml"].replace(old, new, 1)
    table = parse(texts)
    runtime.store.write(lambda tx: stored.put_in_force(tx, table.version, table.files, runtime.clock.now()))
    runtime.rules = table
    return table


def tried(person: Client, labels: str, value: str = "") -> str:
    answer = person.post("/rules", data={"labels": labels, "value": value})
    assert answer.status_code == 200
    return answer.text


def test_every_row_is_there_in_its_order_with_tier_conditions_and_who_is_told(
    person: Client, runtime: FakeRuntime
) -> None:
    page = person.get("/rules").text
    names = re.findall(r'<td class="what"><strong><bdi>([^<]+)</bdi>', page)
    rows = [row.name.partition("/")[2] for row in runtime.rules.rows]
    assert names[: len(rows)] == rows
    shown = words(page)
    assert f"{len(rows)} rows, asked from top to bottom" in shown
    assert "P0 core-api-below-99.5 slo is core-api sli is availability value below 99.5" in shown
    levels = "at once: incidents, management, management-mail (if set up), page-oncall after 5 min: page-manager after"
    assert f"{levels} 15 min: page-cto" in shown
    assert "slo is one of its 12 objectives" in shown
    assert "Any other alert" in shown


@pytest.mark.parametrize(
    ("search", "found", "hidden"),
    [
        ("core-api-below", ["core-api-below-99.5", "core-api-below-99.8"], "secondary-api-below-99.5"),
        ("CHAT-BACKEND send p1", ["send-over-300"], "send-over-250"),
        ("tickets", ["message-errors-from-0.08"], "core-api-outage"),
        ("value below 99.8", ["core-api-below-99.8"], "core-api-below-99.5"),
    ],
)
def test_it_is_searched_by_all_words_in_whatever_a_row_says(
    person: Client, search: str, found: list[str], hidden: str
) -> None:
    page = person.get("/rules", params={"q": search}).text
    assert all(f"<bdi>{name}</bdi>" in page for name in found)
    assert f"<bdi>{hidden}</bdi>" not in page


def test_a_search_that_finds_nothing_says_so_and_is_inert(person: Client) -> None:
    page = person.get("/rules", params={"q": EVIL}).text
    assert "No row matches" in page
    assert "<script>alert" not in page
    assert "49" not in re.findall(r'name="q" value="([^"]*)"', page)[0]


def test_when_each_row_last_matched_and_how_often_in_30_days(person: Client, runtime: FakeRuntime) -> None:
    incident = keep(runtime.store, _fired())
    for number in range(3):
        keep_alert(runtime.store, incident, {"alertname": f"A{number}"}, row="avalo/core-api-outage")
    keep_alert(runtime.store, incident, {"alertname": "S"}, row="severity")
    page = words(person.get("/rules", params={"q": "core-api-outage"}).text)
    assert re.search(r"core-api-outage .* 02 Mar 2026, 12:00 3", page)
    assert re.search(r"security .* never 0", words(person.get("/rules", params={"q": "avalo/security"}).text))
    later(person, runtime, timedelta(days=31))
    page = words(person.get("/rules", params={"q": "core-api-outage"}).text)
    assert re.search(r"core-api-outage .* 02 Mar 2026, 12:00 0", page)


def test_the_database_is_asked_for_counts_once_however_many_look(
    person: Client, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    def ask(tx: Connection, rows: Collection[str], since: datetime) -> dict[str, Matches]:
        asked.append(since)
        return row_matches(tx, rows, since)

    monkeypatch.setattr("incidentd.web.row_counts.row_matches", ask)
    for _ in range(5):
        person.get("/rules")
    assert asked == [NOW - timedelta(days=30)]
    in_force(runtime, tiers=("response: 15m", "response: 20m"))
    person.get("/rules")
    runtime.clock.advance(timedelta(seconds=row_counts.KEPT_SECONDS))
    person.get("/rules")
    assert len(asked) == 3


def test_an_observed_system_says_so_until_its_day(person: Client, runtime: FakeRuntime) -> None:
    in_force(runtime, avalo=("system: avalo\n", "system: avalo\nobserve: true\nobserve_until: 2026-03-09\n"))
    assert "observed nobody is told until 09 Mar 2026, 00:00 UTC" in words(person.get("/rules").text)
    shown = words(tried(person, "system=avalo\nslo=core-api\nsli=outage"))
    assert "Who is told nobody, while it is observed" in shown
    later(person, runtime, timedelta(days=8))
    assert "observed" not in words(person.get("/rules").text)
    assert "Who is told at once" in words(tried(person, "system=avalo\nslo=core-api\nsli=outage"))


@pytest.mark.parametrize(
    "labels",
    [
        "alertname=CoreApi\nsystem=avalo\nslo=core-api\nsli=availability\n",
        ' alertname = "CoreApi",\n\nsystem="avalo",\nslo="core-api",\nsli="availability"',
        '{"labels": {"alertname": "CoreApi", "system": "avalo", "slo": "core-api", "sli": "availability"}}',
        '{"alerts": [{"status": "firing", "labels": {"alertname": "CoreApi", "system": "avalo", "slo": "core-api",'
        ' "sli": "availability"}, "annotations": {"value": "99.4"}, "startsAt": "2026-03-02T11:00:00Z"}]}',
    ],
)
def test_an_alert_is_tried_however_it_is_written(person: Client, runtime: FakeRuntime, labels: str) -> None:
    shown = words(tried(person, labels, "99.4"))
    assert "P0 CoreApi Row avalo/core-api-below-99.5 Because availability 99.4 < 99.5" in shown
    assert "Who is told at once: incidents, management, management-mail (if set up), page-oncall" in shown
    assert 'avalo/core-api-outage P0 no no sli="outage" (is availability )' in shown
    assert "avalo/core-api-below-99.5 P0 takes it" in shown
    assert (runtime.webhooks, runtime.actions) == ([], [])


def test_what_was_typed_stays_in_the_form_and_is_inert(person: Client) -> None:
    page = tried(person, f"alertname={EVIL}\nsystem=avalo", EVIL)
    assert "<script>alert" not in page
    assert "49</textarea>" not in page
    assert html.escape(f"alertname={EVIL}", quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("", "write at least one label"),
        ("nonsense", "line 1 is no label"),
        ("a=1\n=2", "line 2 is no label"),
        ("{broken", "begins as JSON and is none from line 1, column 2 on"),
        ("[1]", "no JSON object"),
        ('{"alerts": []}', "there is no alert in it"),
        ('{"labels": {"a": 1}}', "label"),
        ('{"labels": ["a"]}', "label"),
        ("[" * 3000, "begins as JSON and is none"),
        ('{"labels": {"a": "b"}, "annotations": 3}', "annotation"),
    ],
)
def test_what_cannot_be_tried_is_answered_in_words(person: Client, labels: str, said: str) -> None:
    page = tried(person, labels, "1")
    assert said in " ".join(re.findall(r'<p class="bad">([^<]*)</p>', page))


def test_of_a_large_webhook_some_alerts_are_tried_and_the_others_counted(person: Client) -> None:
    alerts = ",".join(f'{{"labels": {{"alertname": "A{number}"}}}}' for number in range(30))
    assert "And 10 more alerts" in words(tried(person, f'{{"alerts": [{alerts}]}}'))


def test_a_stranger_sees_and_tries_nothing_and_no_other_site_can(client: Client, person: Client) -> None:
    person.headers["Origin"] = "https://evil.example"
    assert person.post("/rules", data={"labels": "a=b"}).status_code == 403
    person.cookies.clear()
    for answer in (client.get("/rules"), client.get("/rules/diff?a=ab"), client.post("/rules", data={"labels": "a=b"})):
        assert answer.status_code == 401
    assert client.get("/api/v1/rules/shadow").status_code == 401


def test_versions_are_listed_and_what_each_changed_is_a_page(person: Client, runtime: FakeRuntime) -> None:
    first = in_force(runtime).version
    later(person, runtime, timedelta(days=1))
    second = in_force(runtime, tiers=("response: 15m", "response: 20m")).version
    page = person.get("/rules").text
    assert "in force since 03 Mar 2026, 12:00 UTC" in words(page)
    link = f"/rules/diff?a={first}&b={second}"
    assert html.escape(link) in page
    shown = words(person.get(link).text)
    assert "Tiers changed P1 response 15m → 20m" in shown
    assert "They are the same table" in words(person.get(f"/rules/diff?a={second}").text)


@pytest.mark.parametrize(("query", "status"), [("a=ffff", 404), ("a=previous", 404), ("a=%25", 400), ("", 400)])
def test_a_version_that_is_none_is_a_page_of_its_own(
    person: Client, runtime: FakeRuntime, query: str, status: int
) -> None:
    in_force(runtime)
    answer = person.get(f"/rules/diff?{query}")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, "text/html")


def test_an_incident_says_when_a_newer_table_is_in_force(person: Client, runtime: FakeRuntime) -> None:
    version = in_force(runtime).version
    incident = keep(runtime.store, _fired(), version=version)
    assert "newer table" not in person.get(f"/incidents/{incident}").text
    newer = in_force(runtime, tiers=("response: 15m", "response: 20m")).version
    assert html.escape(f"/rules/diff?a={version}&b={newer}") in person.get(f"/incidents/{incident}").text


def test_an_observed_incident_says_so_on_its_page_in_the_list_and_in_the_api(
    person: Client, api: Client, runtime: FakeRuntime
) -> None:
    plain, observed = keep(runtime.store, _fired()), keep(runtime.store, _fired(), observed=True)
    assert "nobody is told of it" in words(person.get(f"/incidents/{observed}").text)
    assert "nobody is told of it" not in words(person.get(f"/incidents/{plain}").text)
    assert person.get("/").text.count(">observed</span>") == 1
    assert person.get("/?observed=false").text.count(">observed</span>") == 0
    for wanted, found in (("true", observed), ("false", plain)):
        (listed,) = api.get(f"/api/v1/incidents?observed={wanted}").json()["incidents"]
        assert (listed["id"], listed["observed"]) == (found, wanted == "true")


def test_what_the_shadow_would_do_is_listed_where_one_is_set(person: Client, api: Client, runtime: FakeRuntime) -> None:
    version = in_force(runtime).version
    assert "Shadow table" not in person.get("/rules").text
    runtime.settings = runtime.settings.model_copy(update={"shadow_rules": Path("second")})
    assert "None could be read yet" in person.get("/rules").text
    assert api.get("/api/v1/rules/shadow").json()["shadow"] is None
    example = f'{{"labels": {{"alertname": "{"<b>evil"}"}}, "from": "x", "to": "y"}}'
    found = Difference("avalo/a", "avalo/b", Tier.P2, Tier.P0, "more_urgent", 3, NOW, NOW, example)
    runtime.store.write(lambda tx: shadow.put(tx, "v2", {"tiers.yaml": ""}, NOW))
    assert "No new alert has been compared yet" in person.get("/rules").text
    runtime.store.write(lambda tx: shadow.add(tx, Comparison(version, "v2", NOW, NOW, 8, 3), [found]))
    page = person.get("/rules").text
    assert "of 8 new alerts since 02 Mar 2026, 12:00 UTC it judges 3 otherwise" in words(page)
    assert "3 P2 avalo/a P0 avalo/b more urgent" in words(page)
    assert "<b>evil" not in page
    told = api.get("/api/v1/rules/shadow").json()
    assert (told["in_force"], told["shadow"], told["alerts"], told["differing"]) == (version, "v2", 8, 3)
    assert told["differences"][0]["after"] == {"row": "avalo/b", "tier": "P0"}


def test_signing_in_leads_back_to_the_rules(client: Client) -> None:
    client.headers["Accept"] = "text/html"
    assert 'value="/rules"' in client.get("/rules").text


def _fired() -> Story:
    story = Story()
    story.fire(region="eu")
    story.do(Note("ann", "looking"))
    return story
