"""One run: faults and alerts side by side, then quiet until all has come to rest."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from incidentd.clock import SystemClock
from tests.fault.chaos.director import Director
from tests.fault.chaos.error_line import unexpected
from tests.fault.chaos.evidence import Evidence, gather
from tests.fault.chaos.pace import Pace
from tests.fault.chaos.person import People
from tests.fault.chaos.plan import one_by_one, plan
from tests.fault.chaos.record import keep
from tests.fault.chaos.station import LEVEL_SECONDS, Station, station
from tests.fault.chaos.story import stories
from tests.fault.chaos.summary import Summary, count_faults
from tests.fault.chaos.upstream import Upstream
from tests.fault.chaos.verdict import Case, delays, duplicates, lacks, owed, seen, wrongs
from tests.fault.standstill import Standstill

FAULTS_PER_SECOND = 0.52
ALERTS_PER_SECOND = 0.7
_START_SECONDS = 300.0
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 300.0
"""What is not there by then is lost, also on a machine that is busy with other things."""
_REST_SECONDS = 13.0
"""An echo comes 10 s after what it repeats: it must change nothing."""

Say = Callable[[str], None]


def run(
    database: str, seed: int, minutes: float, pace: Pace, folder: Path, say: Say, *, single: bool = False
) -> Summary:
    """Returns what came of it. ``single``: one fault at a time, to see what each of them costs."""
    with station(database, folder, pace) as made:
        made.start()
        _await_web(made)
        return _play(made, database, seed, minutes, say, single=single)


def _play(made: Station, database: str, seed: int, minutes: float, say: Say, *, single: bool) -> Summary:
    clock, pace = SystemClock(), made.pace
    attack = pace.attack(minutes * 60)
    told = stories(seed, attack, ALERTS_PER_SECOND)
    count = max(1, round(attack * FAULTS_PER_SECOND))
    faults = one_by_one(seed, attack, pace.lease) if single else plan(seed, attack, count, database, pace.lease)
    upstream = Upstream(made.url, made.environ["INCIDENTD_WEBHOOK_TOKEN"], clock.now, clock.now())
    people = People(made, told, clock.now)
    director = Director(made, faults, upstream.copy, clock.now)
    standstill = Standstill(made.folder / "standstill")
    standstill.start()

    def case() -> Case:
        return Case(
            told, upstream.answered, people.answers, director.happened,
            timedelta(seconds=LEVEL_SECONDS), timedelta(seconds=pace.lease), pace.in_flight, standstill.found,
        )  # fmt: skip

    with _threads(lambda: upstream.run(told), people.run), _progress(director, upstream, say):
        director.run()
        say(f"{database}: all {len(faults)} faults are over; now all must come to rest")
        evidence, missing = _rest(made, case, time.monotonic() + _PATIENCE_SECONDS, upstream)
        upstream.stop()
        people.stop()
    director.close()
    standstill.close()
    summary = _summary(database, seed, minutes, case(), evidence, missing, director, upstream)
    keep(made.folder, case(), evidence, summary)
    return summary


def _rest(made: Station, case: Callable[[], Case], end: float, upstream: Upstream) -> tuple[Evidence, list[str]]:
    """Look until nothing is lacking and stays so; else until the time is over."""
    quiet_since: float | None = None
    while True:
        made.look()
        evidence = gather(made)
        missing = lacks(case(), evidence) + ([] if upstream.is_done else ["webhooks are not answered"])
        now = time.monotonic()
        quiet_since = None if missing else (quiet_since or now)
        if (quiet_since and now - quiet_since >= _REST_SECONDS) or now >= end:
            return evidence, missing
        time.sleep(_LOOK_SECONDS)


def _summary(
    database: str, seed: int, minutes: float, case: Case, evidence: Evidence, missing: Sequence[str],
    director: Director, upstream: Upstream,
) -> Summary:  # fmt: skip
    strange = [f"answered with {status}" for status in upstream.statuses if 300 <= status < 500]
    strange += [f"an unexpected error line: {text[:300]}" for text in unexpected(evidence.errors, case.faults)]
    strange += [f"the harness failed: {text}" for text in director.broken]
    return Summary(
        database, [seed], minutes,
        statuses=upstream.statuses,
        faults=count_faults(case.faults),
        alerts=len(evidence.found),
        expected=len(owed(case)),
        seen=len(seen(case, evidence)),
        delays=delays(case, evidence),
        duplicates=duplicates(case, evidence),
        losses=[*missing, *wrongs(case, evidence), *strange],
    )  # fmt: skip


def _await_web(made: Station) -> None:
    end = time.monotonic() + _START_SECONDS
    while not made.is_ready():
        if time.monotonic() > end:
            raise TimeoutError(f"incidentd did not start; logs: {made.folder}")
        made.look()
        time.sleep(0.1)


@contextmanager
def _threads(*work: Callable[[], None]) -> Iterator[None]:
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


@contextmanager
def _progress(director: Director, upstream: Upstream, say: Say) -> Iterator[None]:
    over = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        while not over.wait(15):
            done, answers = len(director.happened), upstream.statuses
            refused = sum(answers.values()) - answers[200]
            say(f"{time.monotonic() - began:4.0f} s  {done} faults  {answers[200]} webhooks taken, {refused} not")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
