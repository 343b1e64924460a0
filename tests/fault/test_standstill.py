"""What excuses an error is tested too: only a machine that stood still does, and only for its time."""

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


def test_only_a_refusal_of_the_database_at_a_standstill_is_no_error(tmp_path: Path) -> None:
    with running(f"sqlite:///{tmp_path / 'unused.db'}", tmp_path) as plant:
        plant.start("timekeeper").kill()
        now = datetime.now(UTC)
        lines = [REFUSED.format(now), REFUSED.format(now - 60 * SECOND), '{"level": "error", "event": "other"}']
        plant.parts["timekeeper"].log.write_text("\n".join(lines))
        plant.standstill.note(now - SECOND, now)
        assert plant.errors() == lines[1:]
