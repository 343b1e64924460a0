"""One recording through two tables, on as many cores as there are."""

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from incidentd.classify import Rules
from incidentd.replay.judge import judge
from incidentd.replay.outcome import Outcome, merged, outcome_of
from incidentd.replay.recording import Recording
from incidentd.replay.share import Share, shares

Pair = tuple[Outcome, Outcome]
Progress = Callable[[int, int], None]
"""Called with how much of how much is played."""

WORTH_A_PROCESS = 5000
"""With fewer alerts than this, starting processes would take longer than what they do."""

MOST_PROCESSES = 8

_EVERY = 200
# A process says so often how far it has come.
_LOOK_SECONDS = 0.2


def side_by_side(
    recording: Recording, tables: tuple[Rules, Rules], progress: Progress = lambda *_: None, cores: int | None = None
) -> Pair:
    """What the recording comes to under each of both tables.

    ``cores``: in so many processes; None: as many as there are cores, where there is enough to do.
    """
    if cores is None:
        cores = min(os.cpu_count() or 1, MOST_PROCESSES) if len(recording.alerts) >= WORTH_A_PROCESS else 1
    with _without_collector():
        judged = (judge(recording, tables[0]), judge(recording, tables[1]))
        parts = shares(recording, tables, judged, cores)
        return _put_together(parts, tables, _played(parts, tables, cores, progress))


def _put_together(parts: Sequence[Share], tables: tuple[Rules, Rules], played: Sequence[Pair]) -> Pair:
    before, after = (
        merged(rules.version, [(share.numbers, pair[side]) for share, pair in zip(parts, played, strict=True)])
        for side, rules in enumerate(tables)
    )
    return before, after


def _played(parts: Sequence[Share], tables: tuple[Rules, Rules], cores: int, progress: Progress) -> list[Pair]:
    """Each part's outcomes: this process plays every so many parts, and others the others."""
    total = sum(share.weight for share in parts)
    lots = [lot for start in range(cores) if (lot := parts[start::cores])]
    context = multiprocessing.get_context("fork")
    counts = [context.Value("L", 0) for _ in lots]
    workers = [_Worker(context, lot, tables, count) for lot, count in zip(lots[1:], counts[1:], strict=True)]

    def look() -> None:
        progress(sum(count.value for count in counts), total)

    found: dict[int, Pair] = {}
    outcomes = [_play(lot, tables, count, look) for lot, count in zip(lots[:1], counts[:1], strict=True)]
    outcomes += [worker.wait(look) for worker in workers]
    for start, lot_outcomes in enumerate(outcomes):
        found |= dict(zip(range(start, len(parts), cores), lot_outcomes, strict=True))
    look()
    return [found[number] for number in range(len(parts))]


class _Worker:
    """Another process that plays a lot."""

    def __init__(self, context: Any, lot: Sequence[Share], tables: tuple[Rules, Rules], count: Any) -> None:
        self._lot, self._tables, self._count = lot, tables, count
        self._pipe, there = context.Pipe(duplex=False)
        self._process = context.Process(target=_send, args=(there, lot, tables, count), daemon=True)
        self._process.start()
        there.close()

    def wait(self, look: Callable[[], None]) -> list[Pair]:
        """What it came to. If it was killed, perhaps for want of memory, this process does the same once more."""
        while not self._pipe.poll(_LOOK_SECONDS):
            look()
        try:
            found: list[Pair] = self._pipe.recv()
        except EOFError:
            self._count.value = 0
            found = _play(self._lot, self._tables, self._count, look)
        self._process.join()
        return found


def _send(pipe: Connection, lot: Sequence[Share], tables: tuple[Rules, Rules], count: Any) -> None:
    pipe.send(_play(lot, tables, count, lambda: None))
    pipe.close()


def _play(lot: Sequence[Share], tables: tuple[Rules, Rules], count: Any, look: Callable[[], None]) -> list[Pair]:
    waiting = 0

    def note(more: int) -> None:
        nonlocal waiting
        waiting += more
        if waiting >= _EVERY:
            count.value += waiting
            waiting = 0
            look()

    found = []
    for share in lot:
        before = outcome_of(share.recording, tables[0], share.before, note)
        after = before if share.same else outcome_of(share.recording, tables[1], share.after, note)
        found.append((before, after))
    count.value += waiting
    return found


@contextmanager
def _without_collector() -> Iterator[None]:
    """What is kept until the end need not be looked through for cycles again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
