"""Somebody presses Acknowledge in PagerDuty, as `incidentd up` shows it without any setting."""

import json
import time
from collections.abc import Callable

import requests

from incidentd.sandbox.pagerduty import AlertState
from tests.e2e.rulebook import LEVELS
from tests.e2e.up import EXAMPLE, Up
from tests.servers import wait_until

SLO = "core-api"


def pressed(up: Up, what: str, user: str) -> int:
    """A button of the sandbox's page."""
    form = {"handle": what, "user": user}
    return requests.post(f"{up.url}/sandbox/handle", data=form, headers={"Origin": up.url}, timeout=10).status_code


def test_an_acknowledgement_in_pagerduty_stops_the_levels_and_the_card_says_who(make_up: Callable[..., Up]) -> None:
    up = make_up().start()
    assert up.post(json.loads(EXAMPLE.read_text("utf-8"))).ok
    wait_until(lambda: up.received().pagerduty.alerts, "the first page")
    wait_until(lambda: up.received().slack.cards("#incidents"), "the card")
    # Whichever levels have been paged by now: one answer at PagerDuty answers them all.
    assert pressed(up, "1 acknowledge", "U0BENOKORO") == 200
    wait_until(lambda: up.state_of(SLO) == "acknowledged", "the acknowledgement to count")
    wait_until(lambda: "ben.okoro" in str(up.received().slack.cards("#incidents")[0].blocks), "the card to say who")
    incident = up.incident(SLO)
    assert incident
    assert (incident["acknowledged_by"], incident["wake_at"] is not None) == ("ben.okoro", True)
    (entry,) = [each for each in up.timeline(SLO) if each["kind"] == "acknowledged"]
    assert entry["sentence"].startswith("ben.okoro acknowledged in PagerDuty")
    wait_until(
        lambda: {alert.state for alert in up.received().pagerduty.alerts} == {AlertState.ACKNOWLEDGED},
        "all other pages to be acknowledged",
    )
    # Beyond the instant at which the next level would have been told.
    end = time.monotonic() + sum(LEVELS[:2]) + 1
    wait_until(lambda: time.monotonic() > end, "the levels' time to pass")
    assert pressed(up, "1 resolve", "U0BENOKORO") == 200
    wait_until(lambda: up.state_of(SLO) == "resolved", "the resolve to count")
    # A page that was on its way when the answer came may arrive; those of later levels may not.
    assert max(levels_paged(up)) <= incident["level"]
    assert not [entry for entry in up.timeline(SLO) if entry["kind"] == "level" and entry["number"] > entry_of(up)]
    assert up.interrupt() == 0
    assert up.errors == []


def levels_paged(up: Up) -> set[int]:
    """Of all alerts at PagerDuty."""
    triggers = (event for event in up.received().pagerduty.events if event.action == "trigger")
    return {int(event.payload["custom_details"]["level"]) for event in triggers}


def entry_of(up: Up) -> int:
    """The number of the acknowledgement."""
    return next(int(each["number"]) for each in up.timeline(SLO) if each["kind"] == "acknowledged")
