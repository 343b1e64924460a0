"""What excuses an error is tested too: only a machine that stood still does, and only for its time."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fault.plant import running
from tests.fault.standstill import Standstill
from tests.servers import wait_until

SECOND = timedelta(seconds=1)
REFUSED = '{{"level": "error", "exception": "StoreUnavailableError", "timestamp": "{:%Y-%m-%dT%H:%M:%S.%fZ}"}}'


def test_a_disk_that_takes_a_second_is_noticed_and_no_time_before_it(tmp_path: Path) -> None:
    pauses = [0.0, 1.0, 0.0]
    looker = Standstill(tmp_path / "disk", lambda _: time.sleep(pauses.pop(0) if pauses else 0.0))
    began = datetime.now(UTC)
    looker.start()
    wait_until(lambda: not pauses, "the disk to be asked")
    wait_until(lambda: looker.was_within(began, began + SECOND), "the second to be noticed")
    looker.close()
    assert not looker.was_within(began - 2 * SECOND, began - SECOND)


def test_each_processor_is_watched_and_the_disk(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    looker = Standstill(tmp_path / "disk")
    looker.start()
    threads = [each.native_id for each in set(threading.enumerate()) - before if each.native_id]
    every = os.sched_getaffinity(0)
    own = {frozenset({processor}) for processor in every}
    wait_until(lambda: own <= {frozenset(os.sched_getaffinity(each)) for each in threads}, "each to keep to its own")
    looker.close()
    assert len(threads) == len(every) + 1
    assert os.sched_getaffinity(0) == every


def test_what_is_short_makes_late_and_is_no_excuse(tmp_path: Path) -> None:
    looker = Standstill(tmp_path / "disk")
    now = datetime.now(UTC)
    looker.note(now - 0.3 * SECOND, now)
    assert looker.all == [(now - 0.3 * SECOND, now)]
    assert looker.found == []
    assert not looker.was_within(now - SECOND, now)


def test_a_write_that_takes_a_moment_makes_late(tmp_path: Path) -> None:
    pauses = [0.3, 0.0]
    looker = Standstill(tmp_path / "disk", lambda _: time.sleep(pauses.pop(0) if pauses else 0.0))
    looker.start()
    wait_until(lambda: not pauses, "the disk to be asked")
    looker.close()
    assert any(end - begin >= 0.3 * SECOND for begin, end in looker.all)


def test_only_a_refusal_of_the_database_at_a_standstill_is_no_error(tmp_path: Path) -> None:
    with running(f"sqlite:///{tmp_path / 'unused.db'}", tmp_path) as plant:
        plant.start("timekeeper").kill()
        now = datetime.now(UTC)
        lines = [REFUSED.format(now), REFUSED.format(now - 60 * SECOND), '{"level": "error", "event": "other"}']
        plant.parts["timekeeper"].log.write_text("\n".join(lines))
        plant.standstill.note(now - SECOND, now)
        assert plant.errors() == lines[1:]
