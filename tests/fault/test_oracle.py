"""What the oracle says of requests, one by one: which copy of a page is excused, and which comes after the answer."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.fault.request import Attempt, Patience, late, matched, repeated
from tests.lifecycle.bench import BEGIN, SECOND

PATIENCE = Patience(lease=6 * SECOND, http=3 * SECOND)
STOOD_STILL = Patience(PATIENCE.lease, PATIENCE.http, [(BEGIN, BEGIN + 2 * SECOND)])
ANSWER, ANSWERED_AT = 4, BEGIN + 10 * SECOND


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def attempt(began: float, ended: float, upto: int = 1) -> Attempt:
    return Attempt(upto, BEGIN + after(began), BEGIN + after(ended))


@pytest.mark.parametrize(
    ("accepted", "recorded", "in_flight", "is_wrong"),
    [
        ([1], [attempt(0, 2)], 0, False),
        ([1, 8], [attempt(7, 9)], 1, False),
        ([1, 8], [attempt(7, 9)], 0, True),
        ([1, 8, 15], [attempt(14, 16)], 1, True),
        ([1, 8, 15], [attempt(14, 16)], 2, False),
        ([1, 1.5], [attempt(0, 2)], 0, True),
        ([1, 8], [attempt(0, 2), attempt(7, 9)], 1, True),
        ([1, 13], [attempt(0, 2), attempt(12, 14)], 0, False),
        ([1, 13, 25], [attempt(0, 2), attempt(12, 14), attempt(24, 26)], 1, True),
        ([2.9], [attempt(0, 2)], 0, False),
        ([3.1], [attempt(0, 2)], 0, True),
    ],
    ids=[
        "once",
        "again after its sender was stopped",
        "again though nobody was",
        "twice again after it was stopped once",
        "twice again after it was stopped twice",
        "twice at once",
        "again although it was recorded",
        "once more ten seconds after",
        "once more and once more",
        "by a clock that is behind",
        "of another time",
    ],
)
def test_a_page_comes_again_only_for_a_request_that_was_in_flight(
    accepted: Sequence[float], recorded: Sequence[Attempt], in_flight: int, is_wrong: bool
) -> None:
    page = matched([BEGIN + after(at) for at in accepted], recorded)
    assert bool(list(repeated(page, in_flight, PATIENCE))) is is_wrong


@pytest.mark.parametrize(("seconds", "is_wrong"), [(1, False), (30, True)], ids=["then", "later"])
def test_what_was_accepted_while_the_machine_stood_still_may_come_again(seconds: int, is_wrong: bool) -> None:
    page = matched([BEGIN + seconds * SECOND, BEGIN + 60 * SECOND], [attempt(59, 61)])
    assert bool(list(repeated(page, 0, STOOD_STILL))) is is_wrong


@pytest.mark.parametrize(
    ("at", "recorded", "is_wrong"),
    [
        (9, [attempt(8, 10)], False),
        (11, [attempt(9, 12, upto=ANSWER - 1)], False),
        (11, [attempt(9, 12, upto=ANSWER)], True),
        (10.1, [attempt(10, 11, upto=ANSWER)], True),
        (11, [attempt(4, 12, upto=ANSWER - 1)], True),
        (9, [attempt(1, 12, upto=ANSWER - 1)], False),
        (15, [], False),
        (17, [], True),
    ],
    ids=[
        "before it",
        "on its way",
        "with knowledge of it",
        "with knowledge of it, at once",
        "held back for longer than a lease",
        "held back, but not until it",
        "unrecorded, within a lease",
        "unrecorded, later",
    ],
)
def test_nobody_is_paged_by_a_decision_taken_after_the_answer(
    at: float, recorded: Sequence[Attempt], is_wrong: bool
) -> None:
    page = matched([BEGIN + after(at)], recorded)
    assert bool(list(late(page, ANSWER, ANSWERED_AT, PATIENCE))) is is_wrong


def test_a_sender_may_hold_a_page_back_for_as_long_as_the_machine_stood_still() -> None:
    page = matched([BEGIN + after(7)], [attempt(0, 8, upto=ANSWER - 1)])
    assert list(late(page, ANSWER, BEGIN + SECOND, STOOD_STILL)) == []
    assert list(late(page, ANSWER, BEGIN + SECOND, PATIENCE)) != []
