"""The outsider is pinged by one GET, under a deadline, and no error tells his address."""

import time

import pytest

from incidentd.channels.ping import Outsider
from incidentd.errors import DeliveryError, TransientError, UncertainError
from tests.channels.receiver import Receiver, answer, drip, message, silence
from tests.servers import free_port

CANARY = "a-canary-of-a-path"


def test_a_ping_is_one_get_that_carries_nothing() -> None:
    with Receiver(answer(200, "OK")) as receiver:
        Outsider(f"{receiver.url}/{CANARY}?key=1").ping(5)
    (sent,) = receiver.requests
    assert (sent.target, sent.body) == (f"/{CANARY}?key=1", b"")
    assert sent.headers["user-agent"].startswith("incidentd/")
    assert "authorization" not in sent.headers


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
def test_any_other_answer_than_2xx_is_a_failure_and_no_redirect_is_followed(status: int) -> None:
    refused = pytest.raises(TransientError, match=f"^it answered with status {status}$")
    with Receiver(answer(status, "", {"Location": "/elsewhere"})) as receiver, refused:
        Outsider(f"{receiver.url}/{CANARY}").ping(5)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("behaviour", [silence, drip(message(200, "slowly"))], ids=["silence", "drip"])
def test_one_who_does_not_answer_is_left_at_the_deadline(behaviour: object) -> None:
    with Receiver(behaviour) as receiver:  # type: ignore[arg-type]
        begun = time.monotonic()
        with pytest.raises(UncertainError) as caught:
            Outsider(f"{receiver.url}/{CANARY}").ping(0.5)
        assert time.monotonic() - begun < 5
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/{canary}", "https://{canary}.invalid/", "http://[::1:/{canary}"]
)
def test_an_address_that_leads_nowhere_is_told_without_it(url: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        Outsider(url.format(port=free_port(), canary=CANARY)).ping(5)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error)
        error = error.__cause__ or error.__context__
