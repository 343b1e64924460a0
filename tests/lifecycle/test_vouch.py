"""incidentd vouches for itself to an outsider: once in each interval, and only while pages get out."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from incidentd.clock import ManualClock
from incidentd.errors import StoreUnavailableError, TransientError
from incidentd.lifecycle.vouch import Voucher
from incidentd.meter import Meter
from incidentd.meter.exposition import text
from incidentd.store.engine import Store, open_engine
from tests.servers import wait_until
from tests.test_meter import value

MINUTE = timedelta(minutes=1)


class Outsider:
    """Counts. ``failing``: he refuses; ``gate``: he doesn't answer before it is set."""

    def __init__(self) -> None:
        self.pings = 0
        self.failing = False
        self.gate: threading.Event | None = None
        self.closed = threading.Event()

    def ping(self, seconds: float) -> None:
        self.pings += 1
        if self.gate:
            assert self.gate.wait(seconds)
        if self.failing:
            raise TransientError("it answered with status 500")

    def close(self) -> None:
        self.closed.set()


class Ground:
    """A database, a clock, and how things stand; as many vouchers as a test likes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.outsider = Outsider()
        self.meter = Meter()
        self.delivering = (True, "ok")
        self.failure: Exception | None = None

    def is_delivering(self) -> tuple[bool, str]:
        if self.failure:
            raise self.failure
        return self.delivering

    def voucher(self) -> Voucher:
        return Voucher(self.outsider, MINUTE, 10.0, self.store, self.clock.now, self.is_delivering, self.meter)

    def counted(self) -> dict[str, float]:
        raw = text(self.meter.collect())
        return {each: value(raw, "incidentd_pings_total", outcome=each) for each in ("accepted", "failed", "withheld")}


@pytest.fixture
def ground(database_url: str) -> Iterator[Ground]:
    with closing(Store(open_engine(database_url))) as store:
        yield Ground(store)


def test_one_ping_in_each_interval(ground: Ground) -> None:
    voucher = ground.voucher()
    for _ in range(120):
        voucher.vouch()
        ground.clock.advance(timedelta(seconds=1))
    assert ground.outsider.pings == 2
    assert ground.counted() == {"accepted": 2, "failed": 0, "withheld": 0}


def test_of_several_timekeepers_one_pings(ground: Ground) -> None:
    vouchers = [ground.voucher() for _ in range(4)]
    ground.voucher().vouch()
    ground.clock.advance(MINUTE)
    start = threading.Barrier(4)

    def vouch(voucher: Voucher) -> None:
        start.wait()
        voucher.vouch()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(vouch, vouchers))
    assert ground.outsider.pings == 2


def test_while_pages_dont_get_out_nobody_vouches_and_the_next_ping_comes_as_soon_as_they_do(ground: Ground) -> None:
    voucher = ground.voucher()
    ground.delivering = (False, "3 overdue")
    with capture_logs() as logs:
        for _ in range(300):
            voucher.vouch()
            ground.clock.advance(timedelta(seconds=1))
    assert ground.outsider.pings == 0
    assert [(line["event"], line["cause"]) for line in logs] == [("ping_withheld", "3 overdue")]
    ground.delivering = (True, "ok")
    with capture_logs() as logs:
        voucher.vouch()
    assert ground.outsider.pings == 1
    assert [line["event"] for line in logs] == ["ping_accepted"]


def test_one_withheld_ping_is_counted_for_each_interval_by_all_timekeepers_together(ground: Ground) -> None:
    vouchers = [ground.voucher() for _ in range(3)]
    for second in range(300):
        ground.delivering = (second < 60, "3 overdue")
        for voucher in vouchers:
            voucher.vouch()
        ground.clock.advance(timedelta(seconds=1))
    assert ground.counted() == {"accepted": 1, "failed": 0, "withheld": 4}


def test_without_a_database_a_timekeeper_counts_one_withheld_ping_for_each_that_was_due(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_work: object) -> None:
        raise StoreUnavailableError("away")

    voucher = ground.voucher()
    voucher.vouch()
    with monkeypatch.context() as patch:
        patch.setattr(ground.store, "read", away)
        for _ in range(240):
            voucher.vouch()
            ground.clock.advance(timedelta(seconds=1))
    assert ground.counted() == {"accepted": 1, "failed": 0, "withheld": 3}
    voucher.vouch()
    assert ground.counted() == {"accepted": 2, "failed": 0, "withheld": 3}


def test_a_database_that_cant_be_asked_is_no_reason_to_vouch(ground: Ground) -> None:
    ground.failure = StoreUnavailableError("away")
    ground.voucher().vouch()
    assert ground.outsider.pings == 0
    assert ground.counted()["withheld"] == 1


def test_a_ping_that_fails_is_counted_told_once_and_tried_again_in_the_next_interval(ground: Ground) -> None:
    voucher = ground.voucher()
    ground.outsider.failing = True
    with capture_logs() as logs:
        for _ in range(3):
            voucher.vouch()
            ground.clock.advance(MINUTE)
    assert ground.counted() == {"accepted": 0, "failed": 3, "withheld": 0}
    assert [(line["event"], line["cause"]) for line in logs] == [("ping_failed", "it answered with status 500")]


@pytest.mark.parametrize("leap", [timedelta(hours=1), -timedelta(hours=1)])
def test_a_clock_that_leaps_keeps_nobody_from_vouching(ground: Ground, leap: timedelta) -> None:
    voucher = ground.voucher()
    voucher.vouch()
    ground.clock.jump(leap)
    voucher.vouch()
    assert ground.outsider.pings == 2


def test_it_begins_with_the_first_cycle_and_ends_with_the_process(ground: Ground) -> None:
    voucher = ground.voucher()
    assert ground.outsider.pings == 0
    voucher.begin()
    voucher.begin()
    wait_until(lambda: ground.outsider.pings == 1, "the first ping")
    voucher.close()
    assert ground.outsider.closed.wait(120)


def test_an_outsider_who_hangs_holds_up_nobody(ground: Ground) -> None:
    ground.outsider.gate = threading.Event()
    voucher = ground.voucher()
    voucher.begin()
    wait_until(lambda: ground.outsider.pings == 1, "the ping")
    voucher.begin()
    voucher.close()
    ground.outsider.gate.set()
    assert ground.outsider.closed.wait(120)


def test_whatever_goes_wrong_it_vouches_again(ground: Ground) -> None:
    ground.failure = KeyError("a fault of ours")
    voucher = Voucher(
        ground.outsider,
        timedelta(seconds=1),
        10.0,
        ground.store,
        ground.clock.now,
        ground.is_delivering,
        ground.meter,
    )
    with capture_logs() as logs:
        voucher.begin()
        wait_until(lambda: "ping_crashed" in [line["event"] for line in logs], "the fault to be told")
        ground.failure = None
        wait_until(lambda: ground.outsider.pings == 1, "the ping after it")
        voucher.close()
        assert ground.outsider.closed.wait(120)
