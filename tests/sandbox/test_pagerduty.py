import json
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from incidentd.clock import ManualClock
from incidentd.sandbox.event import event_errors
from incidentd.sandbox.pagerduty import AlertState
from incidentd.sandbox.server import SandboxServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pdpyras import PDHTTPError

KEY = "R" * 32
OTHER_KEY = "S" * 32
Session = Callable[..., Any]


def event(**changes: Any) -> dict[str, Any]:
    payload = {"summary": "Checkout fails", "source": "avalo", "severity": "critical"}
    if changes.get("payload") is not None:
        changes["payload"] = payload | changes["payload"]
    whole = {"routing_key": KEY, "event_action": "trigger", "dedup_key": "k", "payload": payload} | changes
    return {name: value for name, value in whole.items() if value is not None}


def enqueue(sandbox: SandboxServer, body: dict[str, Any] | bytes) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", data=data, timeout=5)


SOUND = [
    event(),
    event(dedup_key=None),
    event(dedup_key="k" * 255),
    event(payload={"summary": "x" * 1024}),
    event(payload={"timestamp": "2026-01-05T12:00:00.000+00:00", "component": "c", "group": "g", "class": "k"}),
    event(payload={"custom_details": {"value": 1}}),
    event(links=[{"href": "https://e.org", "text": "Runbook"}, {"href": "http://e.org"}]),
    event(images=[{"src": "https://e.org/i.png", "href": "https://e.org", "alt": "graph"}]),
    event(client="incidentd", client_url="https://e.org"),
    event(event_action="acknowledge", payload=None),
    event(event_action="resolve", payload=None),
]

UNSOUND = [
    (event(routing_key=None), "'routing_key' is missing or blank"),
    (event(routing_key="R" * 31), "Length of 'routing_key' is incorrect (should be 32 characters)"),
    (event(routing_key=5), "'routing_key' is missing or blank"),
    (event(event_action=None), "'event_action' is missing or blank"),
    (event(event_action="page"), "'event_action' is invalid"),
    (event(dedup_key="k" * 256), "'dedup_key' is too long (maximum is 255 characters)"),
    (event(dedup_key=7), "'dedup_key' is missing or blank"),
    (event(event_action="acknowledge", dedup_key=None), "'dedup_key' is missing or blank"),
    (event(event_action="resolve", dedup_key=""), "'dedup_key' is missing or blank"),
    (event(payload=None), "'payload' is missing or blank"),
    (event(payload={"summary": ""}), "'payload.summary' is missing or blank"),
    (event(payload={"summary": "x" * 1025}), "'payload.summary' is too long (maximum is 1024 characters)"),
    (event(payload={"source": None}), "'payload.source' is missing or blank"),
    (event(payload={"severity": "P0"}), "'payload.severity' is invalid"),
    (event(payload={"severity": None}), "'payload.severity' is invalid"),
    (event(payload={"custom_details": "text"}), "'payload.custom_details' is invalid"),
    (event(payload={"timestamp": "yesterday"}), "'payload.timestamp' is invalid"),
    (event(payload={"component": ["c"]}), "'payload.component' is invalid"),
    (event(links={"href": "https://e.org"}), "'links' is invalid (must be an array)"),
    (event(links=[{"text": "no address"}]), "'links[0].href' is missing or invalid"),
    (event(links=[{"href": "javascript:alert(1)"}]), "'links[0].href' is missing or invalid"),
    (event(images=[{"src": "http://e.org/i.png"}]), "'images[0].src' is missing or invalid"),
    (event(client_url=["x"]), "'client_url' is invalid"),
    ([event()], "Event object must be a JSON object"),
]


@pytest.mark.parametrize("sound", SOUND)
def test_an_event_that_pagerduty_documents_is_valid(sound: dict[str, Any]) -> None:
    assert event_errors(sound) == []


@pytest.mark.parametrize(("unsound", "error"), UNSOUND)
def test_an_event_that_pagerduty_refuses_is_refused_for_that_reason(unsound: object, error: str) -> None:
    (found,) = event_errors(unsound)
    assert found.startswith(error)


def test_all_faults_of_an_event_are_named_in_the_vendors_shape(sandbox: SandboxServer) -> None:
    answer = enqueue(sandbox, event(routing_key="short", payload={"severity": "P0"}))
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert answer.json()["message"] == "Event object is invalid"
    assert len(answer.json()["errors"]) == 2
    assert sandbox.pagerduty.events == ()


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"a": NaN}', b"[" * 100_000, b"\xff"])
def test_what_is_no_json_object_gets_400(sandbox: SandboxServer, body: bytes) -> None:
    answer = enqueue(sandbox, body)
    assert (answer.status_code, answer.json()["status"]) == (400, "invalid event")


def test_a_body_over_512_kb_is_refused_and_one_below_taken(sandbox: SandboxServer) -> None:
    room = 512_000 - len(json.dumps(event(payload={"custom_details": {"x": ""}})))
    assert enqueue(sandbox, event(payload={"custom_details": {"x": "x" * room}})).status_code == 202
    assert enqueue(sandbox, event(payload={"custom_details": {"x": "x" * (room + 1)}})).status_code == 400


def test_pdpyras_triggers_acknowledges_and_resolves(
    sandbox: SandboxServer, events_session: Session, clock: ManualClock
) -> None:
    session = events_session()
    key = session.trigger("Checkout fails", "avalo", severity="error", dedup_key="k", links=[{"href": "https://e.org"}])
    assert key == "k"
    (alert,) = sandbox.pagerduty.alerts
    assert (alert.state, alert.latest.payload["severity"], alert.opened_at) == ("triggered", "error", clock.now())
    clock.advance(timedelta(minutes=2))
    session.acknowledge("k")
    assert sandbox.pagerduty.alerts[0].state is AlertState.ACKNOWLEDGED
    session.resolve("k")
    (alert,) = sandbox.pagerduty.alerts
    assert alert.state is AlertState.RESOLVED
    assert [event.action for event in alert.events] == ["trigger", "acknowledge", "resolve"]
    assert alert.events[1].at - alert.opened_at == timedelta(minutes=2)


def test_pdpyras_raises_on_an_event_that_is_refused(sandbox: SandboxServer, events_session: Session) -> None:
    with pytest.raises(PDHTTPError) as raised:
        events_session("short").trigger("Checkout fails", "avalo")
    assert raised.value.response.status_code == 400


def test_without_dedup_key_each_trigger_is_an_alert_of_its_own(sandbox: SandboxServer, events_session: Session) -> None:
    keys = {events_session().trigger("Checkout fails", "avalo") for _ in range(2)}
    assert {alert.dedup_key for alert in sandbox.pagerduty.alerts} == keys
    assert len(keys) == 2


def test_a_trigger_on_an_open_alert_appends_and_leaves_it_acknowledged(sandbox: SandboxServer) -> None:
    for action in ("trigger", "acknowledge", "trigger"):
        assert enqueue(sandbox, event(event_action=action)).status_code == 202
    (alert,) = sandbox.pagerduty.alerts
    assert (alert.state, len(alert.events)) == (AlertState.ACKNOWLEDGED, 3)


def test_a_trigger_after_resolve_opens_a_new_alert(sandbox: SandboxServer) -> None:
    for action in ("trigger", "resolve", "trigger"):
        enqueue(sandbox, event(event_action=action))
    assert [alert.state for alert in sandbox.pagerduty.alerts] == ["resolved", "triggered"]


@pytest.mark.parametrize("late", [{"dedup_key": "unknown"}, {"routing_key": OTHER_KEY}])
def test_an_answer_to_no_open_alert_of_that_routing_key_is_dropped_with_202(
    sandbox: SandboxServer, late: dict[str, str]
) -> None:
    enqueue(sandbox, event())
    assert enqueue(sandbox, event(event_action="resolve", **late)).status_code == 202
    assert [alert.state for alert in sandbox.pagerduty.alerts] == ["triggered"]
    assert [event.dropped for event in sandbox.pagerduty.events] == [False, True]


def test_the_same_key_on_two_services_is_two_alerts(sandbox: SandboxServer) -> None:
    enqueue(sandbox, event())
    enqueue(sandbox, event(routing_key=OTHER_KEY))
    assert [alert.routing_key for alert in sandbox.pagerduty.alerts] == [KEY, OTHER_KEY]


def test_each_request_is_kept_raw_with_the_instant_and_the_answer(sandbox: SandboxServer, clock: ManualClock) -> None:
    enqueue(sandbox, b"{")
    enqueue(sandbox, event())
    refused, accepted = sandbox.pagerduty.requests
    assert (refused.body, refused.status, refused.accepted) == (b"{", 400, False)
    assert (accepted.status, accepted.accepted, accepted.received_at) == (202, True, clock.now())
    assert accepted.path == "/sandbox/pagerduty/v2/enqueue"
    assert accepted.received_monotonic >= refused.received_monotonic > 0
