"""Runs child processes, and starts again what dies, whatever its exit status: none of them is ever done.

An RQ worker ends with status 0 when Redis hands it something that it can't read, so 0 is a death like any other.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import structlog

from incidentd.process.hang_up import held, release
from incidentd.process.orphan import leashed

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
HEALTHY_SECONDS = 10.0
STOP_SECONDS = 35.0
CRASHES = 3
"""So many deaths one after the other, none after a healthy life, are no accident."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Child:
    """A command to keep running, ``count`` times. ``env`` is the whole environment; None: the supervisor's own.

    ``outlives``: stopped only when all that don't are gone, as they need it until their end. ``place`` is a variable
    that tells each process which of them it is, such as ``page-1``: the one that takes a dead one's place is told the
    same.

    It starts with SIGHUP blocked, so that one which comes before it can be handled waits: see ``hang_up``.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    count: int = 1
    outlives: bool = False
    place: str | None = None


def next_delay(delay: float, lived: float) -> float:
    """Seconds to wait after a death: short again after a healthy life, else twice as long as before."""
    if lived >= HEALTHY_SECONDS or not delay:
        return FIRST_DELAY_SECONDS
    return min(delay * 2, LONGEST_DELAY_SECONDS)


@dataclass(slots=True)
class _Place:
    """Where one child runs, again and again."""

    child: Child
    number: int
    process: subprocess.Popen[bytes] | None = None
    born_at: float = 0.0
    start_at: float = 0.0
    delay: float = 0.0
    owed_reload: bool = False

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def keeps_dying(self) -> bool:
        """Whether it has died again and again without a healthy life in between."""
        return self.delay >= FIRST_DELAY_SECONDS * float(2 ** (CRASHES - 1))

    @property
    def environ(self) -> Mapping[str, str] | None:
        """The whole environment; None: the supervisor's own."""
        if self.child.place is None:
            return self.child.env
        own = os.environ if self.child.env is None else self.child.env
        return {**own, self.child.place: f"{self.child.name}-{self.number}"}

    def start(self, now: float) -> None:
        try:
            # A group of its own: Ctrl-C in a terminal reaches the supervisor only, which stops all in their order.
            with held():
                self.process = subprocess.Popen(
                    leashed(self.child.argv), env=self.environ, stdin=subprocess.DEVNULL, process_group=0
                )
        except OSError as error:
            self._wait(now, lived=0.0)
            _log.warning("child_not_started", child=self.child.name, number=self.number, cause=str(error))
            return
        self.born_at = now
        _log.info("child_started", child=self.child.name, number=self.number, pid=self.process.pid)
        if self.owed_reload:
            self.reload()

    def reap(self, now: float) -> bool:
        """Whether the child has just died; then it is to start again after a while."""
        if self.process is None or self.process.poll() is None:
            return False
        lived = now - self.born_at
        self._wait(now, lived)
        _log.info(
            "child_ended",
            child=self.child.name,
            number=self.number,
            pid=self.process.pid,
            status=self.process.returncode,
            lived_seconds=round(lived, 3),
        )
        self.process = None
        return True

    def _wait(self, now: float, lived: float) -> None:
        self.delay = next_delay(self.delay, lived)
        self.start_at = now + self.delay

    def reload(self) -> None:
        """Hang up on the child; on the next one where there is none just now."""
        self.send(signal.SIGHUP)
        self.owed_reload = self.process is None or self.process.poll() is not None

    def send(self, what: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(what)


@dataclass(slots=True)
class _Wishes:
    """What signals have asked for since the last look."""

    stop: bool = False
    reload: bool = False

    def note(self, signum: int, _frame: FrameType | None) -> None:
        if signum in (signal.SIGTERM, signal.SIGINT):
            self.stop = True
        elif signum == signal.SIGHUP:
            self.reload = True


@dataclass
class Supervisor:
    """Keeps ``children`` running until SIGTERM or SIGINT. ``run`` belongs to the main thread.

    ``started`` is called once, when all have been started for the first time; ``crashing`` with a child's name at each
    death of one that dies again and again.
    """

    children: Sequence[Child]
    stop_seconds: float = STOP_SECONDS
    started: Callable[[], None] = lambda: None
    crashing: Callable[[str], None] = lambda _name: None
    _wishes: _Wishes = field(default_factory=_Wishes, init=False)
    _places: list[_Place] = field(default_factory=list, init=False)

    def run(self) -> int:
        """Returns 0 when all has ended as asked. Children get SIGTERM, ``stop_seconds`` of time, then SIGKILL."""
        self._places = [_Place(child, number) for child in self.children for number in range(1, child.count + 1)]
        with _signals(self._wishes) as wake:
            self._start_due()
            self.started()
            while not self._wishes.stop:
                _sleep(wake, self._until_next_start())
                self._look()
            self._stop(wake)
        return 0

    def _look(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.reap(now):
                _log.warning("child_restarts", child=place.child.name, number=place.number, seconds=place.delay)
                if place.keeps_dying:
                    self.crashing(place.child.name)
        if self._wishes.reload:
            self._wishes.reload = False
            for place in self._places:
                place.reload()
        if not self._wishes.stop:
            self._start_due()

    def _start_due(self) -> None:
        for place in self._places:
            now = time.monotonic()
            if not place.running and place.start_at <= now:
                place.start(now)

    def _until_next_start(self) -> float | None:
        waits = [place.start_at - time.monotonic() for place in self._places if not place.running]
        return max(0.0, min(waits)) if waits else None

    def _stop(self, wake: int) -> None:
        _log.info("stopping")
        for outlives in (False, True):
            places = [place for place in self._places if place.child.outlives is outlives]
            self._send(places, signal.SIGTERM)
            self._await(places, wake, self.stop_seconds)
            for place in places:
                if place.running:
                    _log.warning("child_killed", child=place.child.name, number=place.number)
            self._send(places, signal.SIGKILL)
            self._await(places, wake, None)
        _log.info("stopped")

    @staticmethod
    def _send(places: Sequence[_Place], what: signal.Signals) -> None:
        for place in places:
            place.send(what)

    @staticmethod
    def _await(places: Sequence[_Place], wake: int, seconds: float | None) -> None:
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            for place in places:
                place.reap(time.monotonic())
            left = None if end is None else end - time.monotonic()
            if not any(place.running for place in places) or (left is not None and left <= 0):
                return
            _sleep(wake, left)


@contextmanager
def _signals(wishes: _Wishes) -> Iterator[int]:
    """Notes signals, a child's death among them; yields the descriptor that becomes readable at each."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    watched = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {signum: signal.signal(signum, wishes.note) for signum in watched}
    wakeup = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    release()
    try:
        yield readable
    finally:
        signal.set_wakeup_fd(wakeup)
        for signum, handler in before.items():
            signal.signal(signum, handler)
        os.close(readable)
        os.close(writable)


def _sleep(wake: int, seconds: float | None) -> None:
    """Until a signal comes, or ``seconds`` have passed."""
    ready, _, _ = select.select([wake], [], [], seconds)
    if ready:
        os.read(wake, 4096)
