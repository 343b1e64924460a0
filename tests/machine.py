"""What the machine kept from a test's processes: a time that is asked of incidentd is not asked of its machine.

Linux counts for each thread how long it ran, and how long it was ready to run and had no processor.
https://docs.kernel.org/scheduler/sched-stats.html (/proc/<pid>/schedstat); of what a virtual machine is denied as a
whole, proc_stat(5) tells: steal.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

Span = tuple[datetime, datetime]
"""From when to when."""

OBSERVER = "observer"
"""What the names of threads begin with that watch the machine: what they wait for keeps nobody."""

_REFERENCE_SECONDS = 0.01
"""What the piece of work below takes on a machine of the kind that the times are promised for."""
_TEXT = json.dumps([{"labels": {f"name-{number}": "value" * 3}, "number": number} for number in range(200)])
_ROUNDS = 20
_NANO = 1e-9
_LOOK_SECONDS = 0.2
_STEAL = 8
"""Its place in the first line of /proc/stat."""


class Stopwatch:
    """Runs from the moment it is made. ``spans``: when the machine stood still, as somebody else saw it.

    Its withheld time is that of this process and of all that it started, summed up: never less than was kept from any
    of them, and next to nothing on a machine that has time.
    """

    def __init__(self, spans: Callable[[], Sequence[Span]] = tuple) -> None:
        self._spans = spans
        self.restart()

    def restart(self) -> None:
        """Begin anew: what was before is over."""
        self._before, self._stolen = _threads(), _stolen()
        self._seen = dict(self._before)
        self.began_at, self._began = datetime.now(UTC), time.monotonic()

    @property
    def passed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._began

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Look again and again: what ends meanwhile takes its counts along."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(_LOOK_SECONDS):
                self._look()

        thread = threading.Thread(target=follow, name=f"{OBSERVER} of threads", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _look(self) -> None:
        self._seen |= _threads()

    def withheld(self) -> float:
        """For how many of these seconds somebody who had work to do was not let, or did it on a slow processor."""
        self._look()
        ran = waited = 0.0
        for thread, (its_run, its_wait) in self._seen.items():
            before = self._before.get(thread, (0.0, 0.0))
            ran += its_run - before[0]
            waited += its_wait - before[1]
        still = stood_still(self._spans(), self.began_at, datetime.now(UTC)).total_seconds()
        return waited + ran * (1 - 1 / slowness()) + _stolen() - self._stolen + still

    def complaint(self, within: float, took: float | None = None) -> str:
        """What was slow, if not the machine: empty where it took no longer than ``within`` seconds and was withheld.

        ``took``: what the receivers' own times say, where that is closer than the time that has passed by now.
        """
        took = self.passed if took is None else took
        if took <= within or took <= within + (withheld := self.withheld()):
            return ""
        return f"took {took:.2f} s where {within:g} s are promised and the machine withheld {withheld:.2f} s"


def slowness() -> float:
    """How many times slower this processor is than those that the times are promised for; never below 1."""
    return max(1.0, min(_work() for _ in range(3)) / _REFERENCE_SECONDS)


def stood_still(spans: Sequence[Span], since: datetime, until: datetime) -> timedelta:
    """For how long in all within a time, whatever stood still: who had answered by then otherwise may be too late."""
    total, reached = timedelta(), since
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, until)
        if begin < end:
            total, reached = total + (end - begin), end
    return total


def _work() -> float:
    began = time.thread_time()
    for _ in range(_ROUNDS):
        _keys(json.loads(json.dumps(json.loads(_TEXT))))
    return time.thread_time() - began


def _keys(found: list[dict[str, object]]) -> int:
    return len({(name, str(value)) for each in found for name, value in each.items()})


def _threads() -> dict[tuple[int, int], tuple[float, float]]:
    """How many seconds each thread of this process and its descendants has run and has waited for a processor."""
    found: dict[tuple[int, int], tuple[float, float]] = {}
    processes = [os.getpid()]
    observers = {each.native_id for each in threading.enumerate() if each.name.startswith(OBSERVER)}
    while processes:
        process = processes.pop()
        for thread in _listed(process):
            folder = Path(f"/proc/{process}/task/{thread}")
            ran, waited, *_ = [*map(int, _read(folder / "schedstat")), 0, 0]
            if thread not in observers:
                found[process, thread] = ran * _NANO, waited * _NANO
            processes += map(int, _read(folder / "children"))
    return found


def _listed(process: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{process}/task")]  # noqa: PTH208 - names are all it needs
    except OSError:
        return []


def _read(path: Path) -> list[str]:
    """The words of a file of a process that may be gone by now."""
    try:
        return path.read_text().split()
    except OSError:
        return []


def _stolen() -> float:
    words = _read(Path("/proc/stat"))
    return int(words[_STEAL]) / os.sysconf("SC_CLK_TCK") if len(words) > _STEAL else 0.0
