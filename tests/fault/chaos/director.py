"""Does what the plan says, when it says so, and writes down what was done."""

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from random import Random

from incidentd.sandbox.fault import Service
from tests.fault.chaos import process_fault, receiver_fault, store_fault
from tests.fault.chaos.happened import Happened
from tests.fault.chaos.plan import Fault
from tests.fault.chaos.process_fault import End, nothing
from tests.fault.chaos.station import Station

Do = Callable[[Station, Random], tuple[str, End]]
Way = Callable[[Station, Random, Service], tuple[str, End]]

_LOOK_SECONDS = 0.2
_HANDS = 24


def _at(way: Way, service: Service) -> Do:
    return lambda station, random: way(station, random, service)


def _of(service: Service, **ways: Way) -> Mapping[str, Do]:
    title = {"pagerduty": "PagerDuty", "slack": "Slack"}[service]
    return {f"{title}: {name.replace('_', ' ')}": _at(way, service) for name, way in ways.items()}


_RECEIVER = {
    "5xx": receiver_fault.status,
    "429": receiver_fault.rate_limit,
    "reply_lost": receiver_fault.lose_reply,
    "no_answer": receiver_fault.hang,
    "a_byte_a_second": receiver_fault.drip,
}
DEEDS: Mapping[str, Do] = {
    "kill -9 of the web part": process_fault.kill_web,
    "kill -9 of a worker": process_fault.kill_worker,
    "kill -9 of a timekeeper": process_fault.kill_timekeeper,
    "kill -9 of a whole group": process_fault.kill_group,
    "sender frozen beyond its lease": process_fault.freeze_sender,
    "web part frozen": process_fault.freeze_web,
    "timekeeper frozen": process_fault.freeze_timekeeper,
    "SIGTERM to the web part": process_fault.end_web,
    "SIGTERM to a group": process_fault.end_group,
    "exit at a named point": process_fault.exit_at_a_point,
    "Redis killed": store_fault.kill_redis,
    "Redis emptied": store_fault.empty_redis,
    "Redis frozen": store_fault.freeze_redis,
    "wrong jobs in the queues": store_fault.plant_jobs,
    "PostgreSQL: connections ended": store_fault.end_connections,
    "PostgreSQL stopped": store_fault.stop_postgresql,
    "PostgreSQL read-only": store_fault.make_read_only,
    "SQLite locked": store_fault.lock_sqlite,
    **_of("pagerduty", **_RECEIVER, malformed_once=receiver_fault.malformed),
    **_of("slack", **_RECEIVER, ok_false=receiver_fault.slack_error),
    "receivers refuse connections": receiver_fault.refuse,
}


class Director:
    """``copies`` sends copies of webhooks, which is a fault too, but not of this house."""

    def __init__(
        self, station: Station, faults: Sequence[Fault], copies: Callable[[Random], None], now: Callable[[], datetime]
    ) -> None:
        self._station = station
        self._faults = faults
        self._copies = copies
        self._now = now
        self._lock = threading.Lock()
        # By the plan none hits what another still has; but on a busy machine a server may take its time to come back.
        self._taken = {thing: threading.Lock() for fault in faults for thing in fault.kind.hits}
        # For as long as the run: what a thread has started dies with it (prctl(2), PR_SET_PDEATHSIG).
        self._hands = ThreadPoolExecutor(_HANDS, "fault")
        self._happened: list[Happened] = []
        self.broken: list[str] = []
        """Faults that could not be done: the run says nothing about them."""

    @property
    def happened(self) -> list[Happened]:
        """All so far, the earliest first."""
        with self._lock:
            return list(self._happened)

    def run(self) -> None:
        """Do it all; returns when every fault is over, and starts again what dies meanwhile."""
        began = time.monotonic()
        done = []
        for fault in self._faults:
            while (left := began + fault.at - time.monotonic()) > 0:
                self._station.look()
                time.sleep(min(left, _LOOK_SECONDS))
            done.append(self._hands.submit(self._do_in_turn, fault))
        while not all(each.done() for each in done):
            self._station.look()
            time.sleep(_LOOK_SECONDS)
        self._station.end_extras()

    def close(self) -> None:
        """What it has started ends with it."""
        self._hands.shutdown()

    def _do_in_turn(self, fault: Fault) -> None:
        with ExitStack() as turn:
            for thing in sorted(fault.kind.hits):
                turn.enter_context(self._taken[thing])
            self._do(fault)

    def _do(self, fault: Fault) -> None:
        number = self._begin(fault)
        try:
            detail, end = self._deed(fault)
            self._note(number, detail=detail)
            time.sleep(fault.seconds)
            end()
        except Exception:  # noqa: BLE001 - the harness's own fault must not pass for a sound run
            self.broken.append(f"{fault.kind.name}: {traceback.format_exc()}")
        finally:
            self._note(number, ended_at=self._now())

    def _deed(self, fault: Fault) -> tuple[str, End]:
        random = Random(fault.chance)
        if fault.kind.name in DEEDS:
            return DEEDS[fault.kind.name](self._station, random)
        self._copies(random)
        return "", nothing

    def _begin(self, fault: Fault) -> int:
        with self._lock:
            self._happened.append(Happened(fault.kind.name, self._now(), None))
            return len(self._happened) - 1

    def _note(self, number: int, **changes: object) -> None:
        with self._lock:
            self._happened[number] = replace(self._happened[number], **changes)  # type: ignore[arg-type]
