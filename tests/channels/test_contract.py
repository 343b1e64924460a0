"""What every channel keeps to, whatever its receiver does."""

import gc
import gzip
import logging
import socket
import threading
import time
import traceback
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest

from incidentd.channels.channel import Receipt
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError
from tests.channels import receiver as acts
from tests.channels import story
from tests.channels.conftest import Kit
from tests.channels.receiver import answer
from tests.servers import free_port

DEADLINE = 1.5
LATE = 8.0
"""What a busy machine may take on top; a read time-out that starts anew with each byte takes 20 s."""


def test_a_first_message_is_accepted_and_its_reference_kept(kit: Kit) -> None:
    receipt = kit.deliver()
    assert receipt.sent
    assert receipt.reference
    assert len(kit.sent) == 1


def test_a_first_message_is_not_silent(kit: Kit) -> None:
    assert kit.channel.silent(kit.first) is None


def test_what_never_came_to_be_says_nothing_of_an_episode_that_is_over(kit: Kit) -> None:
    news = replace(kit.first, incident=story.incident(episode=2, round=2))
    silent = kit.channel.silent(news)
    assert silent is not None
    assert not silent.asked
    assert kit.deliver(news) == silent
    assert not kit.sent


def test_what_may_have_come_to_be_is_not_silent(kit: Kit) -> None:
    assert kit.channel.silent(replace(kit.first, incident=story.acknowledged(), uncertain=True)) is None


def test_connections_are_kept_alive(kit: Kit) -> None:
    for _ in range(5):
        kit.deliver()
    assert kit.receiver.connections == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 302, 307])
def test_what_may_pass_is_transient(kit: Kit, status: int) -> None:
    kit.receiver.usual = answer(status, {"oops": 1})
    with pytest.raises(TransientError, match=str(status)):
        kit.deliver()
    assert len(kit.sent) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_no_retry_mends_is_permanent(kit: Kit, status: int) -> None:
    kit.receiver.usual = answer(status, {"oops": 1})
    with pytest.raises(PermanentError, match=str(status)):
        kit.deliver()


def test_a_redirect_is_not_followed(kit: Kit) -> None:
    kit.receiver.usual = answer(307, {}, {"Location": kit.receiver.url + "/elsewhere"})
    with pytest.raises(TransientError):
        kit.deliver()
    assert [each.path == "/elsewhere" for each in kit.sent] == [False]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1),
        ("3600", 60),
        ("-1", None),
        ("abc", None),
        (None, None),
        (format_datetime(story.NOW + timedelta(seconds=20), usegmt=True), 20),
        (format_datetime(story.NOW + timedelta(days=2), usegmt=True), 60),
        (format_datetime(story.NOW - timedelta(days=2), usegmt=True), None),
    ],
)
def test_retry_after_is_honoured_up_to_a_minute(kit: Kit, header: str | None, seconds: float | None) -> None:
    kit.receiver.usual = answer(429, {}, {"Retry-After": header} if header else {})
    with pytest.raises(TransientError) as caught:
        kit.deliver()
    assert not isinstance(caught.value, UncertainError)
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def _dripping(kit: Kit) -> bytes:
    return acts.message(202 if kit.name == "pagerduty" else 200, {"ok": True, "dedup_key": "x", "padding": "x" * 400})


@pytest.mark.parametrize("misery", ["silence", "head", "body", "endless body", "closing body"])
def test_the_deadline_is_total(kit: Kit, misery: str) -> None:
    whole = _dripping(kit)
    head = whole.index(b"\r\n\r\n") + 4
    closing = whole.replace(b"\r\nContent-Length", b"\r\nConnection: close\r\nContent-Length")
    kit.receiver.usual = {
        "silence": acts.silence,
        "head": acts.drip(whole),
        "body": acts.drip(whole, head),
        "endless body": acts.drip(b"HTTP/1.1 200 OK\r\n\r\n{" + b" " * 1000, 19),
        "closing body": acts.drip(closing, len(closing) - 400),
    }[misery]
    started = time.monotonic()
    with pytest.raises(UncertainError, match="time allowed"):
        kit.deliver(seconds=DEADLINE)
    assert DEADLINE * 0.9 <= time.monotonic() - started < DEADLINE + LATE


def test_the_deadline_holds_on_a_kept_alive_connection(kit: Kit) -> None:
    kit.deliver()
    kit.receiver.usual = acts.drip(_dripping(kit))
    started = time.monotonic()
    with pytest.raises(UncertainError):
        kit.deliver(seconds=DEADLINE)
    assert time.monotonic() - started < DEADLINE + LATE
    assert kit.receiver.connections == 1


def test_after_a_deadline_the_next_message_goes_out(kit: Kit) -> None:
    kit.receiver.script = [acts.silence]
    with pytest.raises(UncertainError):
        kit.deliver(seconds=1.0)
    assert kit.deliver().sent


def test_one_that_hangs_delays_no_other(kit: Kit) -> None:
    kit.receiver.script = [acts.silence]

    def hang() -> None:
        with pytest.raises(UncertainError):
            kit.deliver(seconds=9.0)

    hanging = threading.Thread(target=hang)
    hanging.start()
    while not kit.sent:
        time.sleep(0.001)
    started = time.monotonic()
    assert kit.deliver().sent
    assert time.monotonic() - started < 9
    kit.receiver.hang_up()
    hanging.join()


def test_threads_share_a_channel(kit: Kit) -> None:
    receipts: list[Receipt] = []
    threads = [threading.Thread(target=lambda: receipts.extend(kit.deliver() for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 80
    assert all(receipt.sent for receipt in receipts)
    assert kit.receiver.connections <= 8


def test_a_refused_connection_was_never_sent(kit: Kit) -> None:
    kit.channel = kit.make(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match="refused") as caught:
        kit.deliver()
    assert not isinstance(caught.value, UncertainError)


def test_an_unknown_name_was_never_sent(kit: Kit) -> None:
    kit.channel = kit.make("http://nowhere.invalid")
    with pytest.raises(TransientError, match="resolved") as caught:
        kit.deliver()
    assert not isinstance(caught.value, UncertainError)


@pytest.mark.parametrize("address", ["http://", "ftp://127.0.0.1", "http://[::1", "http://127.0.0.1:99999999"])
def test_an_address_that_is_none_is_permanent(kit: Kit, address: str) -> None:
    kit.channel = kit.make(address)
    with pytest.raises(PermanentError):
        kit.deliver()


def test_a_secret_that_no_header_can_hold_is_permanent_or_sent(kit: Kit) -> None:
    kit.destination = {
        "pagerduty": story.pager(secret=""),
        "slack": story.board(secret="x\r\ny: z"),
        "webhook": story.hook(headers={"Authorization": "x\r\ny: z"}),
    }[kit.name]
    with pytest.raises(PermanentError):
        kit.deliver()
    assert not kit.sent


@pytest.mark.parametrize("loss", [acts.drop, acts.reset, answer(200, raw=b"", headers={"Content-Length": "500"})])
def test_a_lost_reply_is_uncertain(kit: Kit, loss: acts.Behaviour) -> None:
    def then_close(receiver: acts.Receiver, request: acts.Request, sock: socket.socket) -> bool:
        loss(receiver, request, sock)
        return False

    kit.receiver.usual = then_close
    with pytest.raises(UncertainError):
        kit.deliver()
    assert len(kit.sent) == 1


@pytest.mark.parametrize("body", [b"<html>Welcome to our Wi-Fi</html>", b"null", b"[1]", b"\xff\xfe", b"", b"[" * 5000])
def test_an_answer_that_says_nothing_is_uncertain(kit: Kit, body: bytes) -> None:
    kit.receiver.usual = answer(200, raw=body)
    if kit.name == "webhook":
        # There the status says it all.
        assert kit.deliver().reference["reference"] == ""
        return
    with pytest.raises(UncertainError):
        kit.deliver()


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_endless_answer_is_cut_off(kit: Kit, encoding: str) -> None:
    body = b'{"ok": true, "padding": "' + b"x" * (3 << 20) + b'"}'
    headers = {"Content-Encoding": encoding} if encoding else {}
    raw = gzip.compress(body) if encoding else body
    kit.receiver.usual = answer(200, raw=raw, headers=headers)
    with pytest.raises(UncertainError):
        kit.deliver()


def test_a_connection_closed_while_idle_is_opened_anew(kit: Kit) -> None:
    kit.deliver()
    kit.receiver.hang_up()
    assert kit.deliver().sent
    assert len(kit.sent) == 2


def test_a_connection_closed_under_the_request_is_retried_only_where_twice_is_harmless(kit: Kit) -> None:
    kit.receiver.script = [kit.accepts, acts.drop]
    kit.deliver()
    if kit.name == "pagerduty":
        assert kit.deliver().sent
        assert [each.connection for each in kit.sent] == [1, 1, 2]
    else:
        with pytest.raises(UncertainError):
            kit.deliver()
        assert len(kit.sent) == 2


@pytest.mark.parametrize(
    "then",
    [
        [acts.leave],
        *([acts.drop, answer(status, {}, {"Retry-After": "3"})] for status in (400, 403, 429, 500)),
        [acts.drop, acts.drop],
    ],
)
def test_what_becomes_of_a_second_try_says_nothing_of_the_first(pagerduty: Kit, then: list[acts.Behaviour]) -> None:
    pagerduty.receiver.script = [pagerduty.accepts, *then]
    pagerduty.deliver()
    with pytest.raises(UncertainError):
        pagerduty.deliver()
    assert len(pagerduty.sent) == 1 + len(then)


def test_no_cookie_is_kept(kit: Kit) -> None:
    kit.receiver.script = [answer(503, {}, {"Set-Cookie": "a=b"})]
    with pytest.raises(TransientError):
        kit.deliver()
    kit.deliver()
    assert "cookie" not in kit.sent[1].headers


def test_a_proxy_of_the_environment_is_used(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", kit.receiver.url)
    monkeypatch.setenv("http_proxy", kit.receiver.url)
    kit.channel = kit.make("http://receiver.invalid")
    assert kit.deliver().sent
    assert kit.sent[0].target.startswith("http://receiver.invalid/")


MISERIES: dict[str, acts.Behaviour] = {
    "echo": lambda r, q, s: answer(400, {"error": story.SECRET, "echo": q.body.decode(), "head": dict(q.headers)})(
        r, q, s
    ),
    "echo ok false": answer(200, {"ok": False, "error": story.SECRET}),
    "echo text": lambda r, q, s: answer(500, raw=q.body + str(q.headers).encode())(r, q, s),
    "echo unreadable": lambda r, q, s: answer(200, raw=q.body + str(q.headers).encode())(r, q, s),
    "unauthorized": answer(401, {}),
    "silence": acts.silence,
    "drop": acts.drop,
    "garbage": acts.drip(b"\x00nonsense\r\n\r\n", 13),
}


@pytest.mark.parametrize("misery", MISERIES)
def test_no_secret_is_in_any_error_or_log(kit: Kit, misery: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # As process/log.py has it: it tells each request's path, which is a secret of some receivers.
    caplog.set_level(logging.WARNING, "urllib3")
    kit.receiver.usual = MISERIES[misery]
    if kit.name == "webhook" and misery in ("echo ok false", "echo unreadable"):
        receipt = kit.deliver(seconds=DEADLINE)
        assert story.SECRET not in f"{receipt}{caplog.text}"
        return
    with pytest.raises(DeliveryError) as caught:
        kit.deliver(seconds=DEADLINE)
    error: BaseException | None = caught.value
    told = [caplog.text, repr(kit.destination), repr(kit.channel), *traceback.format_exception(caught.value)]
    while error is not None:
        told += [str(error), repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    assert story.SECRET not in "".join(told)
    assert "127.0.0.1" not in str(caught.value)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_no_socket_is_left_open(kit: Kit) -> None:
    kit.receiver.script = [acts.drop, acts.silence, answer(500)]
    for _ in range(3):
        with pytest.raises(TransientError):
            kit.deliver(seconds=0.2)
    kit.deliver()
    kit.adapter.close()
    gc.collect()
