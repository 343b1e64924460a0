"""PagerDuty: which action a slot asks for, and events inside the provider's limits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentd.channels.channel import News
from incidentd.channels.pagerduty_event import action, dedup_key, event, size, smallest
from incidentd.errors import PermanentError, UncertainError
from incidentd.incident.state import Incident
from incidentd.sandbox.event import event_errors
from incidentd.tier import Tier
from tests.channels import story
from tests.channels.conftest import Kit
from tests.channels.receiver import answer
from tests.channels.story import acknowledged, incident, recovering, resolved

NEVER: Mapping[str, str] = {}
TRIGGERED = {"dedup_key": "k", "sent": "trigger", "tier": "P0"}
ACKNOWLEDGED = {"dedup_key": "k", "sent": "acknowledge", "tier": "P0"}
RESOLVED = {"dedup_key": "k", "sent": "resolve", "tier": "P0"}


@pytest.mark.parametrize(
    ("state", "slot", "reference", "expected"),
    [
        # the present round
        (incident(), "e1.r1.l1", NEVER, "trigger"),
        (incident(), "e1.r1.l1", TRIGGERED, None),
        (incident(tier=Tier.P1), "e1.r1.l1", TRIGGERED, "trigger"),
        (incident(), "e1.r1.l1", ACKNOWLEDGED, None),
        (incident(), "e1.r1.l2.1", NEVER, "trigger"),
        (acknowledged(), "e1.r1.l1", NEVER, None),
        (acknowledged(), "e1.r1.l1", TRIGGERED, "acknowledge"),
        (acknowledged(tier=Tier.P1), "e1.r1.l1", TRIGGERED, "acknowledge"),
        (acknowledged(), "e1.r1.l1", ACKNOWLEDGED, None),
        (recovering(), "e1.r1.l1", NEVER, None),
        (recovering(), "e1.r1.l1", TRIGGERED, None),
        (recovering(tier=Tier.P1), "e1.r1.l1", TRIGGERED, None),
        (acknowledged(recovering_at=story.NOW), "e1.r1.l1", NEVER, None),
        (acknowledged(recovering_at=story.NOW), "e1.r1.l1", TRIGGERED, "acknowledge"),
        (resolved(), "e1.r1.l1", NEVER, None),
        (resolved(), "e1.r1.l1", TRIGGERED, "resolve"),
        (resolved(), "e1.r1.l1", ACKNOWLEDGED, "resolve"),
        (resolved(), "e1.r1.l1", RESOLVED, None),
        # an older round, before and after the new one's page was accepted
        (incident(round=2), "e1.r1.l1", NEVER, None),
        (incident(round=2, paged_round=1), "e1.r1.l1", TRIGGERED, None),
        (incident(round=2, paged_round=1), "e1.r1.l1", ACKNOWLEDGED, None),
        (incident(round=2, paged_round=2), "e1.r1.l1", TRIGGERED, "resolve"),
        (incident(round=2, paged_round=2), "e1.r1.l1", ACKNOWLEDGED, "resolve"),
        (incident(round=2, paged_round=2), "e1.r1.l1", RESOLVED, None),
        (incident(round=2, paged_round=2), "e1.r1.l1", NEVER, None),
        (incident(round=2, paged_round=2), "e1.r2.l1", TRIGGERED, None),
        (acknowledged(round=2, paged_round=1), "e1.r1.l1", TRIGGERED, "acknowledge"),
        (recovering(round=2, paged_round=2), "e1.r1.l1", TRIGGERED, "resolve"),
        # an older episode
        (incident(episode=2, round=2), "e1.r1.l1", TRIGGERED, "resolve"),
        (incident(episode=2, round=2), "e1.r1.l1", NEVER, None),
        (acknowledged(episode=2, round=2), "e1.r1.l1", ACKNOWLEDGED, "resolve"),
        (incident(episode=2, round=2), "e2.r2.l1", NEVER, "trigger"),
    ],
)
def test_the_action_brings_the_page_up_to_the_state(
    state: Incident, slot: str, reference: Mapping[str, str], expected: str | None
) -> None:
    assert action(state, slot, reference) == expected


@pytest.mark.parametrize(
    ("state", "slot", "reference", "expected"),
    [
        (incident(), "e1.r1.l1", NEVER, "trigger"),
        (incident(), "e1.r1.l1", TRIGGERED, "trigger"),
        (acknowledged(), "e1.r1.l1", NEVER, "acknowledge"),
        (acknowledged(), "e1.r1.l1", ACKNOWLEDGED, "acknowledge"),
        (recovering(), "e1.r1.l1", NEVER, None),
        (resolved(), "e1.r1.l1", NEVER, "resolve"),
        (resolved(), "e1.r1.l1", RESOLVED, "resolve"),
        (incident(episode=2, round=2), "e1.r1.l1", NEVER, "resolve"),
        (incident(round=2, paged_round=2), "e1.r1.l1", NEVER, "resolve"),
    ],
)
def test_a_page_that_may_be_out_there_is_answered_and_ended_all_the_same(
    state: Incident, slot: str, reference: Mapping[str, str], expected: str | None
) -> None:
    assert action(state, slot, reference, uncertain=True) == expected


def test_each_round_level_and_repeat_has_a_dedup_key_of_its_own() -> None:
    slots = ["e1.r1.l1", "e1.r1.l2", "e1.r2.l1", "e1.r1.l1.1", "e1.r1.l11", "e1.r11.l1"]
    keys = [dedup_key(incident(), slot) for slot in slots]
    others = [dedup_key(incident(key="other"), "e1.r1.l1"), dedup_key(incident(origin=story.minutes(1)), "e1.r1.l1")]
    assert len({*keys, *others}) == 8
    assert all(key.startswith("incidentd:") and len(key) <= 255 for key in keys)


def test_the_dedup_key_is_the_same_in_every_process() -> None:
    assert dedup_key(incident(id="another", title="x", last=9), "e1.r1.l1") == dedup_key(incident(), "e1.r1.l1")
    assert dedup_key(incident(), "e1.r1.l1") == (
        "incidentd:571982e90544d10df6638f66c702f17c129cef4aa6826b2a6a99737bb8fbbe90"
    )


def test_trigger_acknowledge_and_resolve_carry_one_dedup_key(pagerduty: Kit) -> None:
    reference: Mapping[str, str] = {}
    for state in (incident(), acknowledged(), resolved()):
        reference = pagerduty.deliver(story.news("e1.r1.l1", state, reference=reference)).reference
    bodies = [each.json for each in pagerduty.sent]
    assert [body["event_action"] for body in bodies] == ["trigger", "acknowledge", "resolve"]
    assert len({body["dedup_key"] for body in bodies}) == 1
    assert {body["routing_key"] for body in bodies} == {story.SECRET}
    assert {each.path for each in pagerduty.sent} == {"/v2/enqueue"}
    assert all(event_errors(body) == [] for body in bodies)


def test_an_older_episode_is_resolved_under_its_own_key(pagerduty: Kit) -> None:
    reopened = incident(episode=2, round=2, origin=story.minutes(60))
    pagerduty.deliver(story.news("e1.r1.l1", reopened, reference={**TRIGGERED, "dedup_key": "incidentd:old"}))
    assert pagerduty.sent[0].json["dedup_key"] == "incidentd:old"


def test_an_older_episode_whose_reply_was_lost_is_resolved_under_the_key_of_its_opening(pagerduty: Kit) -> None:
    reopened = incident(episode=2, round=2, origin=story.minutes(60))
    pagerduty.deliver(story.news("e1.r1.l1", reopened, entries=(story.opened(),), uncertain=True))
    assert pagerduty.sent[0].json["event_action"] == "resolve"
    assert pagerduty.sent[0].json["dedup_key"] == dedup_key(incident(), "e1.r1.l1")


def test_what_became_untrue_before_it_was_sent_is_not_sent(pagerduty: Kit) -> None:
    for state in (acknowledged(), recovering(), resolved()):
        receipt = pagerduty.deliver(story.news("e1.r1.l1", state))
        assert (receipt.sent, receipt.reference) == (False, {})
    assert not pagerduty.sent


def test_answering_a_page_that_may_be_out_there_is_not_recorded_as_a_page(pagerduty: Kit) -> None:
    receipt = pagerduty.deliver(story.news("e1.r1.l1", acknowledged(), uncertain=True))
    assert pagerduty.sent[0].json["event_action"] == "acknowledge"
    assert (receipt.sent, receipt.reference["sent"]) == (False, "acknowledge")
    over = pagerduty.deliver(story.news("e1.r1.l1", resolved(), reference=receipt.reference))
    assert pagerduty.sent[1].json["event_action"] == "resolve"
    assert (over.sent, over.reference["sent"]) == (False, "resolve")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_fault_of_pagerdutys_own_leaves_open_whether_it_pages(pagerduty: Kit, status: int) -> None:
    pagerduty.receiver.usual = answer(status, {})
    with pytest.raises(UncertainError):
        pagerduty.deliver()


def test_after_a_takeover_the_state_is_told_once_more(pagerduty: Kit) -> None:
    assert pagerduty.deliver(story.news("e1.r1.l1", resolved(), reference=RESOLVED, again=True)).sent
    assert pagerduty.sent[0].json["event_action"] == "resolve"


@pytest.mark.parametrize(("tier", "severity"), [("P0", "critical"), ("P1", "error"), ("P2", "warning"), ("P3", "info")])
def test_severity_follows_the_tier(tier: str, severity: str) -> None:
    said: Any = event(story.news("e1.r1.l1", incident(tier=Tier(tier))), "avalo")["payload"]
    assert said["severity"] == severity


def test_a_page_says_what_is_wrong_and_where_to_look(pagerduty: Kit) -> None:
    pagerduty.deliver(story.news("e1.r1.l2"))
    body = pagerduty.sent[0].json
    assert body["payload"]["summary"] == "P0 Core API availability (level 2, engineering manager)"
    assert body["payload"]["source"] == "avalo"
    assert body["payload"]["component"] == "core-api-availability"
    details = body["payload"]["custom_details"]
    assert (details["value"], details["objective"], details["regions"]) == ("99.4", "99.5", "eu-west-1")
    assert (details["row"], details["reason"]) == ("avalo/core-api-below-99.5", "availability 99.4 < 99.5")
    assert {link["text"]: link["href"] for link in body["links"]} == {
        "Incident": story.INCIDENT_URL,
        "Runbook": "https://runbook.example/core",
        "Dashboard": "https://grafana.example/d/1",
        "Prometheus": "https://prometheus.example/graph?g0.expr=up&g0.tab=1",
    }
    assert body["client_url"] == story.INCIDENT_URL


def test_standing_in_for_another_destination_is_said_first(pagerduty: Kit) -> None:
    pagerduty.deliver(story.news("e1.r1.l1", notice="This stands in for page-manager."))
    payload = pagerduty.sent[0].json["payload"]
    assert payload["summary"].startswith("[This stands in for page-manager.] P0 ")
    assert payload["custom_details"]["notice"] == "This stands in for page-manager."


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://", "http://a b"])
def test_what_is_no_web_address_is_no_link(pagerduty: Kit, url: str) -> None:
    alert = story.detail(generator_url=url, annotations={"dashboard_url": url})
    pagerduty.deliver(story.news("e1.r1.l1", runbook=url, alerts=(alert,)))
    assert [link["text"] for link in pagerduty.sent[0].json["links"]] == ["Incident"]


def test_a_page_that_is_called_malformed_goes_out_in_its_smallest_form(pagerduty: Kit) -> None:
    pagerduty.receiver.script = [answer(400, {"status": "invalid event", "errors": ["?"]})]
    receipt = pagerduty.deliver()
    assert receipt.sent
    assert "smallest" in receipt.detail
    body = pagerduty.sent[1].json
    assert set(body) == {"event_action", "payload", "links", "client_url", "dedup_key", "routing_key"}
    assert set(body["payload"]) == {"summary", "source", "severity"}
    assert body["dedup_key"] == pagerduty.sent[0].json["dedup_key"]


@pytest.mark.parametrize(("state", "reference", "tries"), [(incident(), NEVER, 2), (resolved(), TRIGGERED, 1)])
def test_an_event_that_stays_malformed_is_given_up(
    pagerduty: Kit, state: Incident, reference: Mapping[str, str], tries: int
) -> None:
    pagerduty.receiver.usual = answer(400, {"errors": ["?"]})
    with pytest.raises(PermanentError):
        pagerduty.deliver(story.news("e1.r1.l1", state, reference=reference))
    assert len(pagerduty.sent) == tries


def test_a_storm_of_alerts_and_huge_annotations_still_pages(pagerduty: Kit) -> None:
    annotations = {f"{'n' * 90}{number}": "ü" * 100_000 for number in range(90)}
    alerts = tuple(story.detail(fingerprint=f"{number:016x}", annotations=annotations) for number in range(500))
    pagerduty.deliver(story.news("e1.r1.l1", incident(title="t" * 5000, reason="r" * 5000), alerts=alerts))
    assert len(pagerduty.sent[0].body) < 512_000
    body = pagerduty.sent[0].json
    assert len(body["payload"]["summary"]) <= 1024
    assert body["payload"]["summary"].endswith("(level 1, on-call engineer)")
    assert body["payload"]["custom_details"]["alerts_in_all"] == 500


@st.composite
def any_news(draw: st.DrawFn) -> News:
    text = st.text(max_size=3000)
    alert = story.detail(
        labels=draw(st.dictionaries(text, text, max_size=3)),
        annotations=draw(st.dictionaries(st.sampled_from(["value", "summary", "dashboard_url"]), text, max_size=3)),
        generator_url=draw(text),
    )
    state = incident(title=draw(text), system=draw(text), slo=draw(text), row=draw(text), reason=draw(text))
    plain = story.news("e1.r1.l1", state, alerts=(alert,) * draw(st.integers(0, 60)))
    return replace(plain, objective=draw(text), runbook=draw(text), url=draw(text), notice=draw(text))


@settings(max_examples=60, deadline=None)
@given(any_news())
def test_whatever_an_alert_says_the_event_is_valid(news: News) -> None:
    for properties in (event(news, "source"), smallest(news, "source")):
        frame = {"routing_key": "k" * 32, "event_action": "trigger", "dedup_key": "d"}
        assert event_errors({**frame, **properties}) == []
        assert size(properties) < 512_000
