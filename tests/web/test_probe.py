"""Probes: strangers ask them, so many cost no more than one."""

import asyncio
import gc
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from incidentd.clock import ManualClock
from incidentd.web.probe import Probe
from tests.web.client import Client
from tests.web.fake import FakeRuntime


class Question:
    """Counts how often it is asked; the answer is that number. ``gate`` holds it up, ``failing`` makes it raise."""

    def __init__(self) -> None:
        self.asked = 0
        self.failing = False
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> int:
        self.asked += 1
        assert self.gate.wait(120)
        if self.failing:
            raise ValueError("away")
        return self.asked


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def question() -> Question:
    return Question()


@pytest.fixture
def probe(clock: ManualClock, question: Question) -> Probe[int]:
    return Probe(question, clock.monotonic)


async def met(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def test_an_error_after_all_have_gone_away_is_told_to_nobody(probe: Probe[int], question: Question) -> None:
    told: list[object] = []

    async def go_away() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        question.failing = True
        question.gate.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await probe.answer()
        question.gate.set()
        await met(lambda: len(asyncio.all_tasks()) == 1)
        probe._asking = None
        gc.collect()

    asyncio.run(go_away())
    assert told == []


def test_all_who_ask_at_once_share_one_answer(probe: Probe[int], question: Question) -> None:
    async def many() -> list[int]:
        question.gate.clear()
        asking = [asyncio.create_task(probe.answer()) for _ in range(50)]
        await met(lambda: question.asked > 0)
        question.gate.set()
        return await asyncio.gather(*asking)

    assert asyncio.run(many()) == [1] * 50


def test_an_answer_is_kept_for_a_second(probe: Probe[int], clock: ManualClock) -> None:
    async def one_after_another() -> list[int]:
        answers = []
        for seconds in (0, 0.9, 0.2, 0.9):
            clock.advance(timedelta(seconds=seconds))
            answers.append(await probe.answer())
        return answers

    assert asyncio.run(one_after_another()) == [1, 1, 2, 2]


def test_a_failure_is_everybodys_who_waits_but_not_kept(probe: Probe[int], question: Question) -> None:
    async def failing_first() -> int:
        question.failing = True
        both = await asyncio.gather(probe.answer(), probe.answer(), return_exceptions=True)
        assert [type(each) for each in both] == [ValueError, ValueError]
        question.failing = False
        return await probe.answer()

    assert asyncio.run(failing_first()) == 2


def test_who_goes_away_does_not_take_the_answer_from_the_others(probe: Probe[int], question: Question) -> None:
    async def one_leaves() -> int:
        question.gate.clear()
        leaving, staying = (asyncio.create_task(probe.answer()) for _ in range(2))
        await met(lambda: question.asked > 0)
        leaving.cancel()
        await met(leaving.done)
        question.gate.set()
        return await staying

    assert asyncio.run(one_leaves()) == 1


def test_health_needs_no_token(client: Client, runtime: FakeRuntime) -> None:
    paths = ("/-/healthy", "/-/ready", "/-/delivering")
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    runtime.storing, runtime.delivering = False, (False, "no timekeeper's cycle is fresh")
    runtime.clock.advance(timedelta(seconds=1))
    assert [client.get(path).status_code for path in paths] == [200, 503, 503]
    assert client.get("/-/delivering").json()["detail"] == "no timekeeper's cycle is fresh"
