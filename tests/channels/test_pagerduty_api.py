"""PagerDuty's REST API: what is asked, and what becomes of any answer."""

from typing import Any

import pytest

from incidentd.channels.pagerduty_api import PagerDutyApi
from incidentd.errors import DeliveryError, PermanentError, TransientError
from tests import canary
from tests.channels.receiver import Receiver, answer, silence

TOKEN = canary.of("INCIDENTD_PAGERDUTY_API_TOKEN")


def test_a_users_address_is_asked_for_with_the_token() -> None:
    with Receiver(answer(200, {"user": {"id": "P1", "email": "ann@example.org"}})) as receiver:
        assert PagerDutyApi(TOKEN, receiver.url).email("P1", 5) == "ann@example.org"
        (request,) = receiver.requests
    assert request.path == "/users/P1"
    assert request.headers["authorization"] == f"Token token={TOKEN}"


def test_the_keys_of_an_incidents_alerts_are_told_once_each() -> None:
    alerts = [{"alert_key": key} for key in ("a", "b", "a", None, 7, "")] + [None, "x"]
    with Receiver(answer(200, {"alerts": alerts})) as receiver:
        assert PagerDutyApi(TOKEN, receiver.url).alert_keys("Q1", 5) == ("a", "b")


@pytest.mark.parametrize("told", [{}, [], {"user": None, "alerts": None}, {"user": {"email": 7}, "alerts": {}}])
def test_an_answer_that_says_nothing_is_nothing(told: Any) -> None:
    with Receiver(answer(200, told)) as receiver:
        api = PagerDutyApi(TOKEN, receiver.url)
        assert (api.email("P1", 5), api.alert_keys("Q1", 5)) == ("", ())


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, PermanentError), (403, PermanentError), (404, PermanentError), (302, PermanentError),
     (429, TransientError), (500, TransientError), (503, TransientError)],
)  # fmt: skip
def test_a_refusal_says_whether_it_is_worth_another_try(status: int, kind: type[DeliveryError]) -> None:
    with Receiver(answer(status, {"error": {"message": TOKEN}})) as receiver, pytest.raises(kind) as raised:
        PagerDutyApi(TOKEN, receiver.url).email("P1", 5)
    assert not canary.leaks(f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}")


def test_nobody_there_and_an_address_that_is_none() -> None:
    with pytest.raises(TransientError):
        PagerDutyApi(TOKEN, "http://127.0.0.1:9").email("P1", 5)
    with pytest.raises(PermanentError):
        PagerDutyApi(TOKEN, "http://[").email("P1", 5)


@pytest.mark.parametrize("name", ["", "../users", "P1?x=1", "P 1", "ü", "x" * 41])
def test_what_is_no_id_gets_into_no_address(name: str) -> None:
    with Receiver(answer(200, {})) as receiver:
        api = PagerDutyApi(TOKEN, receiver.url)
        for ask in (api.email, api.alert_keys):
            with pytest.raises(PermanentError):
                ask(name, 5)
        assert receiver.requests == []


def test_an_answer_that_never_ends_is_cut_off_in_time() -> None:
    with Receiver(silence) as receiver, pytest.raises(TransientError):
        PagerDutyApi(TOKEN, receiver.url).alert_keys("Q1", 0.2)
