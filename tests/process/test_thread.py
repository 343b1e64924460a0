"""The small threads that others stand on."""

import threading
import time
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from incidentd.process.courier import Courier
from incidentd.process.gather import GatherThread


class Doer:
    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def do(self, items: Sequence[int]) -> None:
        self.calls.append(list(items))
        self.entered.set()
        assert self.gate.wait(120)
        if 13 in items:
            raise ValueError("thirteen")


def test_what_gathers_meanwhile_goes_together_once_and_in_order() -> None:
    doer = Doer()
    thread = GatherThread("test", doer.do, most=3)
    thread.put([0])
    assert doer.entered.wait(120)
    thread.put([3, 1])
    thread.put([1, 2, 4])
    doer.gate.set()
    thread.close()
    assert doer.calls == [[0], [3, 1, 2], [4]]


def test_a_failure_is_logged_and_the_thread_goes_on() -> None:
    doer = Doer()
    doer.gate.set()
    thread = GatherThread("test", doer.do, most=1)
    with capture_logs() as logs:
        thread.put([13, 14])
        thread.close()
    assert doer.calls == [[13], [14]]
    assert [line["event"] for line in logs] == ["thread_failed"]


def test_what_can_wait_a_moment_does_but_no_closing_waits_for_it() -> None:
    doer = Doer()
    doer.gate.set()
    thread = GatherThread("test", doer.do, delay=60)
    thread.put([1])
    assert not doer.entered.wait(0.05)
    thread.put([2])
    thread.close()
    assert doer.calls == [[1, 2]]


def test_closing_can_drop_what_has_not_begun() -> None:
    doer = Doer()
    thread = GatherThread("test", doer.do)
    thread.put([1])
    assert doer.entered.wait(120)
    thread.put([2])
    closing = threading.Thread(target=thread.close, kwargs={"drop": True})
    closing.start()
    while not thread._closing:  # the gate may open only once close has dropped
        time.sleep(0.001)
    doer.gate.set()
    closing.join(120)
    assert doer.calls == [[1]]


def test_a_courier_brings_the_result_or_the_error() -> None:
    courier = Courier("test")
    assert courier.run(lambda: 42, 10) == 42
    with pytest.raises(ZeroDivisionError):
        courier.run(lambda: 1 // 0, 10)
    courier.close()


def test_a_courier_is_waited_for_no_longer_than_asked_and_late_errands_are_not_run() -> None:
    courier, gate, ran = Courier("test"), threading.Event(), threading.Event()
    with pytest.raises(TimeoutError):
        courier.run(lambda: gate.wait(120), 0.01)
    with pytest.raises(TimeoutError):
        courier.run(ran.set, 0.01)
    gate.set()
    assert courier.run(lambda: "next", 10) == "next"
    assert not ran.is_set()
    courier.close()
