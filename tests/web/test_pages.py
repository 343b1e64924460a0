"""The pages: what they say, that what alerts say is inert on them, and who gets in."""

import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import Response

from incidentd.incident.command import ChangeTier, Note
from incidentd.incident.slot import Slot
from incidentd.incident.state import State
from incidentd.session import session_secret
from incidentd.settings import load_settings
from incidentd.store.cursors import open_slots
from incidentd.store.deliveries import Delivery, Outcome, insert
from incidentd.store.tables import CURSORS
from incidentd.tier import Tier
from incidentd.web.session import COOKIE, sign_in, sign_in_link
from tests.incident.build import MINUTE, Story, policy, tiers
from tests.web.client import Client
from tests.web.fake import API_TOKEN, NOW, PUBLIC_URL, FakeRuntime, keep, keep_alert

HTML = {"Accept": "text/html,application/xhtml+xml"}
API = "/api/v1/incidents"
EVIL = "<script>alert(1)</script>{{7*7}}\"'><img src=x onerror=alert(1)>"


def fired(tier: Tier = Tier.P1) -> Story:
    story = Story()
    story.fire(tier=tier, region="eu")
    return story


@pytest.fixture
def incident(runtime: FakeRuntime) -> str:
    return keep(runtime.store, fired())


def test_the_list_is_by_urgency_with_tier_title_state_and_level(person: Client, runtime: FakeRuntime) -> None:
    over = fired()
    over.resolve()
    for story, title in ((fired(Tier.P2), "calm"), (over, "gone"), (fired(Tier.P0), "burning")):
        keep(runtime.store, story, title=title)
    page = person.get("/").text
    assert page.index("burning") < page.index("calm") < page.index("gone")
    assert "level 1: On-call engineer" in page
    assert "<bdi>Engineering manager</bdi> <time" in page
    assert "in 5 min" in page
    assert "2 open" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [("", {"one", "two"}), ("?tier=P0", {"one"}), ("?tier=&q=&system=&state=", {"one", "two"}), ("?q=two", {"two"}),
     ("?state=open", {"one", "two"}), ("?state=resolved", set())],
)  # fmt: skip
def test_filters(person: Client, runtime: FakeRuntime, query: str, shown: set[str]) -> None:
    keep(runtime.store, fired(Tier.P0), title="incident one")
    keep(runtime.store, fired(Tier.P1), title="incident two")
    assert set(re.findall(r"<bdi>incident (one|two)", person.get("/" + query).text)) == shown


def test_more_leads_to_the_next_page_with_the_same_filter(person: Client, runtime: FakeRuntime) -> None:
    for number in range(3):
        keep(runtime.store, fired(), title=f"incident {number}")
    page = person.get("/?limit=2&q=incident").text
    more = re.search(r'href="(/\?[^"]*cursor=[^"]*)"', page)
    assert more is not None
    assert "incident 2" in person.get(more[1].replace("&amp;", "&")).text


@pytest.mark.parametrize("query", ["limit=1e9", "since=junk", "cursor=junk", "tier=P7", "q=%00", "what=ever"])
def test_a_bad_query_is_400_in_words(person: Client, query: str) -> None:
    answer = person.get("/?" + query)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert query.partition("=")[0] in answer.text


def test_the_page_tells_the_whole_story(person: Client, runtime: FakeRuntime) -> None:
    story = fired(Tier.P0)
    story.forward(minutes=4)
    story.off(minutes=1, seconds=3)
    story.tick()
    story.forward(seconds=57)
    story.acknowledge("Ann")
    found = keep(runtime.store, story)
    keep_alert(
        runtime.store,
        found,
        {"alertname": "CoreApiAvailability", "region": "eu"},
        annotations={"runbook_url": "https://runbooks.example/core", "value": "99.41"},
        generator_url="http://prometheus.example/graph",
    )
    slot = Slot("pagerduty-engineer", "e1.r1.l1", paging=True)
    delivery = Delivery(
        found, slot.destination, slot.name, 1, 1, NOW, NOW + timedelta(milliseconds=240), Outcome.ACCEPTED, "202"
    )
    runtime.store.write(lambda tx: open_slots(tx, [(found, Tier.P0, slot)], NOW))
    runtime.store.write(lambda tx: insert(tx, [delivery]))
    page = person.get(f"/incidents/{found}").text
    assert page.count('<span class="since"') == len(story.entries)
    for said in (
        "+0:00:00", "+0:05:03", "+0:06:00", "due 12:05:00, 3 s late", "Ann", "avalo", "core-api", "a breached",
        "<code>row</code>", ">v1</code>", "pagerduty-engineer", "round 1, level 1", "240 ms", "99.41",
        'href="https://runbooks.example/core"', 'href="http://prometheus.example/graph"', "missed",
    ):  # fmt: skip
        assert said in page, said
    for sentence in runtime.sentences(story.incident, story.entries):
        assert sentence.split("<")[0].split("'")[0].split("&")[0][:30] in page


def opened_again() -> Story:
    """Open for 20 min at 12:00, and again since 12:45."""
    story = fired()
    story.off(minutes=15)
    story.resolve_alert()
    story.forward(minutes=5)
    assert story.state is State.RESOLVED
    story.off(minutes=25)
    story.fire(region="eu")
    return story


def test_an_incident_that_opened_again_is_open_for_as_long_as_its_present_episode(
    person: Client, runtime: FakeRuntime
) -> None:
    runtime.clock.advance(timedelta(hours=1))
    keep(runtime.store, fired(), title="the first time")
    found = keep(runtime.store, opened_again(), title="the second time")
    rows = person.get("/").text.split('<li class="row')
    (once,), (again,) = ([row for row in rows if f"the {which} time" in row] for which in ("first", "second"))
    assert "open for 1 h<" in once
    assert "open again for 15 min<" in again
    page = person.get(f"/incidents/{found}").text
    assert "open again for 15 min<" in page
    assert re.search(r"First opened.*?12:00:00 UTC.*?Opened again.*?12:45:00 UTC.*?episode 2", page, re.DOTALL)


def test_the_page_counts_from_the_opening_of_each_episode(person: Client, runtime: FakeRuntime) -> None:
    story = opened_again()
    found = keep(runtime.store, story)
    for episode, accepted_at in ((1, NOW + timedelta(seconds=2)), (2, NOW + timedelta(minutes=45, seconds=3))):
        slot = Slot("pagerduty-engineer", f"e{episode}.r{episode}.l1", paging=True)
        accept = sa.update(CURSORS).where(CURSORS.c.slot == slot.name).values(accepted_at=accepted_at)
        runtime.store.write(lambda tx: open_slots(tx, [(found, Tier.P1, slot)], NOW))  # noqa: B023 - done at once
        runtime.store.write(lambda tx: tx.execute(accept))  # noqa: B023 - done at once
    page = person.get(f"/incidents/{found}").text
    assert re.findall(r"\((\S+ \S+) after opening\)", page) == ["2.0 s", "3.0 s"]
    offsets = re.findall(r'<span class="since"[^>]*>([^<]+)<', page)
    assert offsets[0] == "+0:00:00"
    assert "+0:20:00" in offsets
    assert offsets[-1] == "+0:00:00"


@pytest.mark.parametrize("path", ["/", "/incidents/{id}"])
def test_nothing_that_an_alert_or_a_person_says_is_alive(person: Client, runtime: FakeRuntime, path: str) -> None:
    story = fired()
    story.acknowledge(EVIL)
    story.do(Note(EVIL, EVIL))
    story.do(ChangeTier(EVIL, Tier.P0, EVIL))
    found = keep(runtime.store, story, title=EVIL, system=EVIL, slo=EVIL, row=EVIL, reason=EVIL, policy=EVIL)
    keep_alert(
        runtime.store, found, {"alertname": EVIL, EVIL: EVIL, "region": EVIL}, annotations={EVIL: EVIL}, row=EVIL,
        generator_url=EVIL, runbook=EVIL,
    )  # fmt: skip
    page = person.get(path.format(id=found)).text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "{{7*7}}" in page
    assert "49\"'" not in page
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/page.js" defer>']


def test_updates_in_a_row_are_one_line_with_the_earlier_ones_behind_it(person: Client, runtime: FakeRuntime) -> None:
    story = Story(policy({Tier.P2: replace(tiers()[Tier.P2], updates=15 * MINUTE)}))
    story.fire(tier=Tier.P2)
    story.acknowledge("Ann")
    story.forward(minutes=46)
    story.note("Bob")
    story.forward(minutes=15)
    page = person.get(f"/incidents/{keep(runtime.store, story)}").text
    timeline = page[page.index('id="timeline"') : page.index('class="side"')]
    assert story.kinds.count("update") == 4
    assert timeline.count('<li class="update">') == 2
    assert timeline.count("<details") == 1
    assert "2 earlier updates" in timeline
    said = [f"Open for {length} as P2" for length in ("45 min", "15 min", "30 min", "1 h")]
    assert sorted(said, key=timeline.index) == said


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example", "/\\evil", "http:///x",
     "vbscript:x", "https://evil.example/\" onclick=\"x", " https://x.example", "ftp://x.example", "http://[",
     "https://a b"],
)  # fmt: skip
def test_what_is_no_web_address_is_text_and_no_link(person: Client, runtime: FakeRuntime, url: str) -> None:
    found = keep(runtime.store, fired())
    annotations = {"runbook_url": url, "dashboard_url": url, "summary": url}
    keep_alert(runtime.store, found, {"alertname": "A"}, annotations=annotations, generator_url=url, runbook=url)
    links = re.findall(r'href="([^"]*)"', person.get(f"/incidents/{found}").text)
    assert {link.split("/")[1] for link in links} <= {"", "static", "incidents", "drills", "heartbeats", "rules"}


def test_pages_may_load_nothing_from_elsewhere_and_stand_in_no_frame(person: Client, incident: str) -> None:
    answer = person.get(f"/incidents/{incident}")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in answer.text
    assert "onclick" not in answer.text
    assert not re.search(r'(src|href)="https?:', answer.text)


def test_a_stranger_learns_how_to_get_in_and_nothing_else(client: Client, incident: str) -> None:
    for path in ("/", f"/incidents/{incident}", "/incidents/nonsense"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 401
        assert "incidentd link" in answer.text
        assert "avalo" not in answer.text
    assert client.get("/").json()["status"] == 401


def test_the_link_signs_in_for_12_hours(client: Client, runtime: FakeRuntime, incident: str) -> None:
    link = sign_in_link(PUBLIC_URL + "/", runtime.session_secret, NOW)
    answer = client.get(link.removeprefix(PUBLIC_URL), headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Max-Age=43200"))
    assert client.get("/", headers=HTML).status_code == 200
    runtime.clock.advance(timedelta(hours=12))
    assert client.get("/", headers=HTML).status_code == 401


def test_the_cookie_is_secure_where_the_address_is(client: Client, runtime: FakeRuntime) -> None:
    runtime.settings = runtime.settings.model_copy(update={"public_url": "https://incidentd.example"})
    link = sign_in_link("https://incidentd.example", runtime.session_secret, NOW)
    assert "Secure" in client.get(link.removeprefix("https://incidentd.example")).headers["set-cookie"]


def test_an_old_a_forged_and_another_purposes_token_sign_nobody_in(client: Client, runtime: FakeRuntime) -> None:
    good = sign_in_link("", runtime.session_secret, NOW)
    client.get(good)
    session = client.cookies[COOKIE]
    client.cookies.clear()
    old = sign_in_link("", runtime.session_secret, NOW - timedelta(hours=12))
    forged = sign_in_link("", b"another secret", NOW)
    for link in (
        old,
        forged,
        good[:-2],
        "/sign-in?token=",
        "/sign-in?token=%00",
        f"/sign-in?token={session}",
        "/sign-in",
    ):
        answer = client.get(link, headers=HTML)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    for cookie in ("junk", good.partition("=")[2], session[:-1], "\u00fc"):
        answer = client.get("/", headers={**HTML, "Cookie": f"{COOKIE}={cookie}".encode()})
        assert answer.status_code == 401


@pytest.mark.parametrize("secret", [b"", hashlib.sha256(b"incidentd session\0").digest()], ids=["empty", "constant"])
def test_without_an_api_token_nothing_that_is_signed_holds(client: Client, runtime: FakeRuntime, secret: bytes) -> None:
    runtime.session_secret = session_secret(load_settings({}))
    assert client.get(sign_in_link("", secret, NOW)).status_code == 401
    forged = Response()
    sign_in(forged, secret, NOW, secure=False)
    client.headers["Cookie"] = forged.headers["set-cookie"].partition(";")[0]
    assert client.get("/", headers=HTML).status_code == 401
    assert client.get("/api/v1/incidents").status_code == 401


def test_signing_in_with_the_api_token_leads_back_to_the_incident(client: Client, incident: str) -> None:
    page = client.get(f"/incidents/{incident}", headers=HTML).text
    wanted = re.search(r'name="next" value="([^"]*)"', page)
    assert wanted is not None
    headers = {**HTML, "Origin": "http://testserver"}
    answer = client.post("/sign-in", data={"token": API_TOKEN, "next": wanted[1]}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/incidents/{incident}")


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/incidents/../sign-out", "/\\evil", "x"])
def test_signing_in_leads_nowhere_else(client: Client, wanted: str) -> None:
    answer = client.post("/sign-in", data={"token": API_TOKEN, "next": wanted}, headers={"Origin": "http://testserver"})
    assert answer.headers["location"] == "/"


def test_a_wrong_token_signs_nobody_in(client: Client) -> None:
    answer = client.post("/sign-in", data={"token": "wrong \u00fc"}, headers={"Origin": "http://testserver", **HTML})
    assert answer.status_code == 401
    assert "wrong" not in answer.text
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_it(person: Client) -> None:
    assert person.post("/sign-out").status_code == 303
    assert person.get("/").status_code == 401


@pytest.mark.parametrize(
    ("action", "fields", "state"),
    [
        ("acknowledge", {}, "acknowledged"),
        ("take-over", {}, "acknowledged"),
        ("resolve", {}, "resolved"),
        ("escalate", {}, "triggered"),
        ("notes", {"text": "looking"}, "triggered"),
        ("tier", {"tier": "P0", "reason": "all users"}, "triggered"),
    ],
)
def test_an_action_is_carried_out_in_the_readers_name(
    person: Client, runtime: FakeRuntime, incident: str, action: str, fields: dict[str, str], state: str
) -> None:
    everything = {"actor": "Änn O'Neil", "text": "", "tier": "P1", "reason": "", **fields}
    answer = person.post(f"/incidents/{incident}/{action}", data=everything)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/incidents/{incident}")
    command: Any = runtime.actions[0].command
    assert command.by == "Änn O'Neil"
    page = person.get(f"/incidents/{incident}").text
    assert f'<span class="state {state}">' in page
    assert 'name="actor" value="Änn O&#39;Neil"' in page


def test_a_name_is_asked_for(person: Client, incident: str) -> None:
    answer = person.post(f"/incidents/{incident}/acknowledge", data={"actor": ""})
    assert answer.status_code == 400
    assert "say who you are" in answer.text


def test_what_is_refused_is_said_with_a_way_back(person: Client, incident: str) -> None:
    person.post(f"/incidents/{incident}/acknowledge", data={"actor": "Ann"})
    answer = person.post(f"/incidents/{incident}/acknowledge", data={"actor": "Ben"})
    assert answer.status_code == 409
    assert "Ann has acknowledged this incident already" in answer.text
    assert f'href="/incidents/{incident}"' in answer.text


@pytest.mark.parametrize("action", ["delete", "..", "notes/x", "%00"])
def test_there_is_no_other_action(person: Client, runtime: FakeRuntime, incident: str, action: str) -> None:
    assert person.post(f"/incidents/{incident}/{action}", data={"actor": "Ann"}).status_code in (400, 404, 405)
    assert runtime.actions == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:81"},
        {"Origin": "testserver"},
        {"Origin": "http://["},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "path", ["/incidents/{id}/resolve", "/api/v1/incidents/{id}/resolve", "/sign-out", "/-/reload"]
)
def test_what_another_site_sends_is_403(
    person: Client, runtime: FakeRuntime, incident: str, headers: dict[str, str], path: str
) -> None:
    answer = person.post(path.format(id=incident), data={"actor": "Ann"}, headers=headers)
    assert answer.status_code == 403
    assert runtime.actions == []


def test_a_missing_origin_is_403(person: Client, incident: str) -> None:
    del person.headers["Origin"]
    assert person.post(f"/incidents/{incident}/resolve", data={"actor": "Ann"}).status_code == 403


def test_a_session_may_use_the_api_from_our_own_pages(person: Client, incident: str) -> None:
    assert person.get("/api/v1/incidents").status_code == 200
    assert person.post(f"/api/v1/incidents/{incident}/resolve", json={"actor": "Ann"}).status_code == 200


@pytest.mark.parametrize("name", ["page.css", "page.js", "icon.svg"])
def test_static_files_need_no_session(client: Client, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 200


@pytest.mark.parametrize("which", ["12345", "0", "01890a5d-ac96-774b-bcce-b302099a8057", "nonsense", "9" * 30])
def test_an_unknown_incident_is_a_calm_404_page(person: Client, which: str) -> None:
    answer = person.get(f"/incidents/{which}", headers=HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>There is no such incident</h1>" in answer.text
    assert '<a href="/">All incidents</a>' in answer.text


def test_a_plain_number_is_as_good_as_the_id_of_an_incident(person: Client, incident: str) -> None:
    by_id, by_number = person.get(f"/incidents/{incident}").text, person.get("/incidents/1").text
    assert by_number == by_id
    assert "<h1>Nothing has this address</h1>" in person.get("/no/such/page", headers=HTML).text


def test_an_incident_that_is_over_shows_the_regions_that_it_had(person: Client, runtime: FakeRuntime) -> None:
    story = fired()
    story.fire("b", tier=Tier.P1, region="us")
    firing = keep(runtime.store, story)
    region = '<span class="region"><bdi>{}</bdi></span>'
    assert region.format("us") in person.get(f"/incidents/{firing}").text
    for name in ("a", "b"):
        story.resolve_alert(name)
    recovering = keep(runtime.store, story)
    story.resolve()
    resolved = keep(runtime.store, story)
    assert story.incident.scope == ()
    for path in (f"/incidents/{recovering}", f"/incidents/{resolved}", "/?state=resolved"):
        assert region.format("eu") + region.format("us") in person.get(path).text
