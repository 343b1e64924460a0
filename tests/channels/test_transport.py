"""The transport on its own: TLS, names that never resolve, and the completeness of its translation."""

import inspect
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import requests.exceptions
import urllib3.exceptions

from incidentd.channels import transport
from incidentd.channels.deadline import Call, Deadline, Watchman
from incidentd.channels.failure import FOREIGN, translate
from incidentd.channels.resolver import Resolver
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, TransientError, UncertainError
from tests.channels import receiver as acts
from tests.channels.conftest import adapter
from tests.channels.receiver import Receiver, answer
from tests.servers import wait_until


@pytest.fixture
def secure(certificate: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(answer(200, {}), context=context) as receiver:
        yield receiver


@pytest.fixture
def http() -> Iterator[DeadlineAdapter]:
    made = adapter()
    yield made
    made.close()


@pytest.fixture
def session(http: DeadlineAdapter) -> requests.Session:
    return furnish(requests.Session(), http, "https://receiver.invalid")


@pytest.fixture
def trusting(http: DeadlineAdapter, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> requests.Session:
    """A session of a process whose environment vouches for the receiver."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_suffix(".crt")))
    return furnish(requests.Session(), http, "https://receiver.invalid")


def test_a_certificate_that_nobody_vouches_for_stops_the_request(secure: Receiver, session: requests.Session) -> None:
    with pytest.raises(TransientError, match="TLS") as caught:
        session.post(secure.url, data=b"secret", timeout=5)
    assert not isinstance(caught.value, UncertainError)
    assert not secure.requests


def test_verification_can_not_be_switched_off(secure: Receiver, session: requests.Session) -> None:
    session.verify = False
    with pytest.raises(TransientError, match="TLS"):
        session.post(secure.url, data=b"secret", timeout=5)


def test_a_trusted_certificate_is_taken_and_its_connection_kept(secure: Receiver, trusting: requests.Session) -> None:
    for _ in range(3):
        assert trusting.post(secure.url, data=b"x", timeout=5).ok
    assert secure.connections == 1


def meet(both: threading.Barrier, receiver: Receiver, request: acts.Request, sock: socket.socket) -> bool:
    both.wait(acts.PATIENCE)
    return answer(200, {})(receiver, request, sock)


def burst(receiver: Receiver, session: requests.Session) -> None:
    """Two requests side by side."""
    receiver.usual = partial(meet, threading.Barrier(2))
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: session.post(receiver.url, data=b"x", timeout=9).ok, range(2)))


def waiting(http: DeadlineAdapter) -> list[Any]:
    """The connections that wait to be used again."""
    pools = http.poolmanager.pools
    return [each for key in pools.keys() for each in pools[key].pool.queue if each is not None]  # noqa: SIM118


def test_what_leads_to_an_address_is_looked_up_once(http: DeadlineAdapter, tmp_path: Path) -> None:
    request = requests.Request("POST", "https://receiver.invalid:8443/v2/enqueue").prepare()
    host, tls = http.build_connection_pool_key_attributes(request, str(tmp_path))
    assert (host["host"], host["port"], tls["ca_cert_dir"]) == ("receiver.invalid", 8443, str(tmp_path))
    tmp_path.rmdir()
    again = http.build_connection_pool_key_attributes(request, str(tmp_path))
    assert again == (host, tls)
    assert again[0] is not host
    assert "ca_cert_dir" not in http.build_connection_pool_key_attributes(request, verify=True)[1]
    for number in range(200):
        other = requests.Request("POST", f"https://receiver.invalid/{number}").prepare()
        http.build_connection_pool_key_attributes(other, verify=True)
    assert "ca_certs" in http.build_connection_pool_key_attributes(request, str(tmp_path))[1]


def test_what_a_burst_opened_is_used_again(secure: Receiver, http: DeadlineAdapter, trusting: requests.Session) -> None:
    for _ in range(2):
        burst(secure, trusting)
    assert secure.connections == len(waiting(http)) == 2


def test_what_a_burst_opened_is_shut_after_a_while_though_nothing_follows(
    secure: Receiver, http: DeadlineAdapter, trusting: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "IDLE_SECONDS", 0.05)
    for connections in (2, 4):
        burst(secure, trusting)
        wait_until(lambda: not waiting(http), "the connections to be shut")
        assert secure.connections == connections


def test_what_has_not_rested_for_long_is_kept_when_others_are_shut(
    secure: Receiver, http: DeadlineAdapter, trusting: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "IDLE_SECONDS", 3600.0)
    burst(secure, trusting)
    older, younger = waiting(http)
    older.rests_since -= 3600.0
    (key,) = http.poolmanager.pools.keys()
    http.poolmanager.pools[key].pool.sweep(Watchman())
    assert waiting(http) == [younger]


@pytest.mark.parametrize("at_once", [0, 60])
def test_the_deadline_is_total_under_tls(secure: Receiver, trusting: requests.Session, at_once: int) -> None:
    secure.usual = acts.drip(acts.message(200, {"padding": "x" * 200}), at_once)
    started = time.monotonic()
    with pytest.raises(UncertainError, match="time allowed"):
        trusting.post(secure.url, data=b"x", timeout=1.5)
    assert time.monotonic() - started < 8


def test_the_deadline_ends_a_tls_greeting_that_is_dripped(session: requests.Session) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip_greeting() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"\x16\x03\x03\x40\x00")
                while not stop.wait(0.05):
                    sock.sendall(b"\x02")

        thread = threading.Thread(target=drip_greeting)
        thread.start()
        started = time.monotonic()
        with pytest.raises(TransientError) as caught:
            session.post(f"https://127.0.0.1:{listener.getsockname()[1]}", data=b"x", timeout=0.5)
        took = time.monotonic() - started
        stop.set()
        thread.join()
    assert took < 20
    assert not isinstance(caught.value, UncertainError)


def test_the_deadline_ends_a_name_look_up_that_hangs(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    lookups: list[str] = []

    def hang(host: str, *_: object, **__: object) -> list[object]:
        lookups.append(host)
        over.wait(30)
        raise socket.gaierror("at last")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(TransientError, match="time allowed") as caught:
            session.post("http://slow.example", data=b"x", timeout=0.2)
        assert not isinstance(caught.value, UncertainError)
    over.set()
    assert time.monotonic() - started < 20
    assert lookups == ["slow.example"], "those who wait for the same name share one look-up"


def test_a_request_body_that_nobody_reads_ends_at_the_deadline(session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(UncertainError):
            session.post(f"http://127.0.0.1:{listener.getsockname()[1]}", data=b"x" * (64 << 20), timeout=0.5)
    # The sockets of a machine wait for minutes; that of a busy one for seconds.
    assert time.monotonic() - started < 20


def _foreign_errors() -> list[type[BaseException]]:
    modules = (requests.exceptions, urllib3.exceptions)
    found = {each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)}
    return sorted((each for each in found if issubclass(each, Exception) and not issubclass(each, Warning)), key=str)


@pytest.mark.parametrize("kind", _foreign_errors(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_foreign_error_is_caught_and_translated(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    assert isinstance(error, FOREIGN)
    before, after = Call(Deadline(1)), Call(Deadline(1))
    after.sent = True
    assert isinstance(translate(error, before), DeliveryError)
    assert not isinstance(translate(error, before), UncertainError)
    assert isinstance(translate(error, after), UncertainError)


def test_a_request_without_time_left_is_not_sent(http: DeadlineAdapter, session: requests.Session) -> None:
    with Receiver(answer(200, {})) as receiver:
        with pytest.raises(TransientError):
            session.post(receiver.url, data=b"x", timeout=0.0)
        assert not receiver.requests


def test_deadlines_are_met_in_their_order_however_they_were_set() -> None:
    watchman = Watchman()
    calls = [Call(Deadline(seconds)) for seconds in (30, 0.05, 0.1, 0.01)]
    for call in calls:
        watchman.watch(call)
    end = time.monotonic() + 5
    while not all(call.expired for call in calls[1:]) and time.monotonic() < end:
        time.sleep(0.005)
    assert [call.expired for call in calls] == [False, True, True, True]


def test_a_resolver_names_what_does_not_exist() -> None:
    with pytest.raises(OSError, match=r"name|Name|not known"):
        Resolver().addresses("x" * 100 + ".invalid", 80, Deadline(5))
