"""Receivers that put a page off or refuse it, as incidentd's processes meet them."""

import json
from datetime import datetime, timedelta
from typing import Any

from incidentd.lifecycle.deliver import WIDTH
from incidentd.lifecycle.parcel import STANDS_IN
from incidentd.sandbox.fault import FaultKind
from incidentd.store.tables import INCIDENTS
from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import TIMEKEEPER, WEB, Plant
from tests.lifecycle.bench import KEYS

PUT_OFF_SECONDS = 20
PAGED_SECONDS = 5.0
SMALLEST = {"summary", "source", "severity"}


def test_while_more_pages_than_there_are_threads_wait_for_their_retry_after_that_of_another_incident_leaves(
    plant: Plant,
) -> None:
    _start(plant)
    waiting = [f"waits-{number}" for number in range(WIDTH + 1)]
    plant.sandbox.fail("pagerduty", FaultKind.RATE_LIMIT, times=None, retry_after=str(PUT_OFF_SECONDS))
    plant.fire(*waiting, climbs=False)
    plant.until(lambda: len(_first_tries(plant)) == len(waiting), "each of them to be put off")
    plant.sandbox.faults.clear()
    watch = plant.stopwatch()
    plant.fire("other", climbs=False)
    plant.until(lambda: plant.is_paged("other"), "the page that nobody put off")
    assert plant.late_pages(watch, PAGED_SECONDS) == []
    plant.until(lambda: not lacks(plant), "all to be told")
    assert _too_early(plant) == []
    assert wrongs(plant) == []


def test_a_page_that_is_called_malformed_is_tried_in_its_smallest_form_given_up_and_told_elsewhere(
    plant: Plant,
) -> None:
    _start(plant)
    plant.sandbox.fail("pagerduty", FaultKind.STATUS, status=400, times=None, target=KEYS[1])
    plant.fire("calm", climbs=False)
    plant.until(lambda: _cards(plant, "page-oncall"), "the alarm in Slack")
    plant.until(lambda: any(STANDS_IN in card for card in _cards(plant, "calm")), "its card to stand in for the page")
    plant.until(lambda: lacks(plant) == ["level 1 of calm was not paged"], "all else to be told")
    whole, smallest = _sent_of(plant, "calm")
    assert set(whole["payload"]) > SMALLEST == set(smallest["payload"])
    # One for each alert and one alarm, although nobody takes the alarm's page either.
    assert plant.store.read(lambda tx: len(list(tx.execute(INCIDENTS.select())))) == len(plant.told) + 1


def _start(plant: Plant) -> None:
    plant.start(WEB)
    plant.start(TIMEKEEPER)
    plant.wait_for_web()
    plant.fire("before", climbs=False)
    plant.until(lambda: not lacks(plant), "all of before to be told")


def _sent_of(plant: Plant, place: str) -> list[dict[str, Any]]:
    """What PagerDuty was sent of it; the smallest form says no place."""
    sent = [json.loads(request.body) for request in plant.sandbox.pagerduty.requests]
    (key,) = {each["dedup_key"] for each in sent if place in json.dumps(each["payload"].get("custom_details"))}
    return [each for each in sent if each["dedup_key"] == key]


def _first_tries(plant: Plant) -> dict[str, datetime]:
    """When each alert was first refused, by its key."""
    refused = [request for request in plant.sandbox.pagerduty.requests if request.status == 429]
    return {json.loads(request.body)["dedup_key"]: request.received_at for request in reversed(refused)}


def _too_early(plant: Plant) -> list[str]:
    put_off, found = timedelta(seconds=PUT_OFF_SECONDS), _first_tries(plant)
    accepted = {event.dedup_key: event.at for event in plant.sandbox.pagerduty.events}
    return [key for key, at in found.items() if accepted[key] - at < put_off]


def _cards(plant: Plant, says: str) -> list[str]:
    shown = [f"{card.text} {json.dumps(card.blocks)}" for card in plant.sandbox.slack.cards("#incidents")]
    return [each for each in shown if says in each]
