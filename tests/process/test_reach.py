"""Redis away, Redis back: a process says each once."""

import redis
from structlog.testing import capture_logs

from incidentd.process.reach import Reach

ERROR = redis.ConnectionError("gone")
AWAY, BACK = "redis_unreachable", "redis_back"


def said(*words: tuple[str, str]) -> list[str]:
    """What is logged when these parts say so, one after the other."""
    reach = Reach()
    with capture_logs() as logs:
        for part, word in words:
            if word == "lost":
                reach.lost(part, ERROR)
            else:
                reach.found(part)
    return [line["event"] for line in logs]


def test_an_outage_is_told_once_with_its_cause_however_often_it_is_met() -> None:
    reach = Reach()
    with capture_logs() as logs:
        for _ in range(3):
            reach.lost("worker", ERROR)
    assert logs == [{"event": AWAY, "log_level": "warning", "cause": "ConnectionError"}]


def test_parts_of_a_process_tell_an_outage_once_together() -> None:
    outage = [("worker", "lost"), ("enqueuer", "lost"), ("enqueuer", "found"), ("worker", "found")]
    assert said(*outage) == [AWAY, BACK]
    assert said(*outage, *outage) == [AWAY, BACK, AWAY, BACK]


def test_a_part_that_hears_late_that_redis_is_back_starts_no_outage() -> None:
    assert said(
        ("worker", "lost"), ("enqueuer", "lost"), ("worker", "found"), ("enqueuer", "lost"), ("enqueuer", "found")
    ) == [AWAY, BACK]


def test_a_part_that_never_lost_it_does_not_call_it_back() -> None:
    assert said(("enqueuer", "lost"), ("worker", "found")) == [AWAY]


def test_what_was_never_away_is_not_told_of() -> None:
    assert said(("worker", "found"), ("worker", "found")) == []
