import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from incidentd.errors import StoreUnavailableError
from incidentd.process.group_commit import GroupCommit
from incidentd.web.wait import stored


class Store:
    """Doubles numbers; refuses odd batches as told; can be held to let items gather."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.unavailable: set[int] = set()
        self.poison: set[int] = set()
        self.held = threading.Event()
        self.held.set()
        self.entered = threading.Event()

    def together(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.entered.set()
        assert self.held.wait(120)
        if self.unavailable & set(items):
            raise StoreUnavailableError("away")
        if self.poison & set(items):
            raise ValueError("poison")
        return [item * 2 for item in items]


@contextmanager
def writer(store: Store, most: int = 256, room: int = 4096, heaviest: int = 10_000) -> Iterator[GroupCommit[int, int]]:
    commit = GroupCommit(store.together, most=most, room=room, weigh=lambda item: item, heaviest=heaviest)
    try:
        yield commit
    finally:
        store.held.set()
        commit.close()


def gather(store: Store, commit: GroupCommit[int, int]) -> None:
    """Occupy the writer with item 0, so that what follows gathers."""
    store.held.clear()
    commit.submit(0)
    assert store.entered.wait(120)


def test_the_first_goes_at_once_and_what_arrives_meanwhile_goes_together_in_order() -> None:
    store = Store()
    with writer(store) as commit:
        gather(store, commit)
        futures = [commit.submit(item) for item in range(1, 6)]
        store.held.set()
        assert [future.result(120) for future in futures] == [2, 4, 6, 8, 10]
    assert store.batches == [[0], [1, 2, 3, 4, 5]]


def test_a_batch_is_bounded() -> None:
    store = Store()
    with writer(store, most=2) as commit:
        gather(store, commit)
        futures = [commit.submit(item) for item in range(1, 6)]
        store.held.set()
        assert [future.result(120) for future in futures] == [2, 4, 6, 8, 10]
    assert store.batches == [[0], [1, 2], [3, 4], [5]]


def test_a_batch_takes_no_more_once_it_is_heavy() -> None:
    store = Store()
    with writer(store, heaviest=6) as commit:
        gather(store, commit)
        futures = [commit.submit(item) for item in (9, 1, 3, 4, 1, 2)]
        store.held.set()
        assert [future.result(120) for future in futures] == [18, 2, 6, 8, 2, 4]
    assert store.batches == [[0], [9], [1, 3, 4], [1, 2]]


def test_when_a_batch_fails_each_is_done_singly_and_the_faulty_one_fails_alone() -> None:
    store = Store()
    store.poison = {2}
    with writer(store) as commit:
        gather(store, commit)
        futures = [commit.submit(item) for item in (1, 2, 3)]
        store.held.set()
        assert futures[0].result(120) == 2
        with pytest.raises(ValueError, match="poison"):
            futures[1].result(120)
        assert futures[2].result(120) == 6
    assert store.batches == [[0], [1, 2, 3], [1], [2], [3]]


def test_a_lonely_failure_is_not_tried_twice() -> None:
    store = Store()
    store.poison = {1}
    with writer(store) as commit, pytest.raises(ValueError, match="poison"):
        commit.submit(1).result(120)
    assert store.batches == [[1]]


def test_when_the_store_is_away_nobody_waits_for_it_in_turn() -> None:
    store = Store()
    store.unavailable = {2}
    with writer(store) as commit:
        gather(store, commit)
        futures = [commit.submit(item) for item in (1, 2, 3)]
        store.held.set()
        assert all(isinstance(future.exception(10), StoreUnavailableError) for future in futures)
    assert store.batches == [[0], [1, 2, 3]]


def test_when_the_store_goes_away_while_done_singly_the_rest_is_refused_at_once() -> None:
    class Failing(Store):
        def together(self, items: list[int]) -> list[int]:
            self.unavailable = {2} if len(items) == 1 else set()
            return super().together(items)

    store = Failing()
    store.poison = {1}
    with writer(store) as commit:
        gather(store, commit)
        futures = [commit.submit(item) for item in (1, 2, 3)]
        store.held.set()
        assert [type(future.exception(10)) for future in futures] == [
            ValueError,
            StoreUnavailableError,
            StoreUnavailableError,
        ]
    assert store.batches == [[0], [1, 2, 3], [1], [2]]


def test_a_wrong_number_of_results_fails_rather_than_answers_somebody_elses() -> None:
    commit: GroupCommit[int, int] = GroupCommit(lambda _items: [1, 2])
    with pytest.raises(Exception, match="not one result for each item"):
        commit.submit(1).result(120)
    commit.close()


def test_too_many_waiting_are_refused() -> None:
    store = Store()
    with writer(store, room=2) as commit:
        gather(store, commit)
        waiting = [commit.submit(1), commit.submit(2)]
        with pytest.raises(StoreUnavailableError):
            commit.submit(3)
        store.held.set()
        assert [future.result(120) for future in waiting] == [2, 4]


def test_one_who_left_before_the_writer_came_is_not_written() -> None:
    store = Store()
    with writer(store) as commit:
        gather(store, commit)
        left, stayed = commit.submit(1), commit.submit(2)
        assert left.cancel()
        store.held.set()
        assert stayed.result(120) == 4
    assert store.batches == [[0], [2]]


def test_close_finishes_what_waits_and_takes_nothing_new() -> None:
    store = Store()
    with writer(store) as commit:
        gather(store, commit)
        waiting = commit.submit(1)
        closing = threading.Thread(target=commit.close)
        closing.start()
        store.held.set()
        closing.join(120)
        assert waiting.result(0) == 2
        with pytest.raises(StoreUnavailableError):
            commit.submit(2)


def test_many_threads_each_get_their_own_result() -> None:
    store = Store()
    with writer(store) as commit, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda item: commit.submit(item).result(120), range(2_000)))
    assert results == [item * 2 for item in range(2_000)]
    assert sorted(item for batch in store.batches for item in batch) == list(range(2_000))


def test_asyncio_awaits_its_results() -> None:
    store = Store()

    async def submit_all(commit: GroupCommit[int, int]) -> list[int]:
        return await asyncio.gather(*(asyncio.wrap_future(commit.submit(item)) for item in range(100)))

    with writer(store) as commit:
        assert asyncio.run(submit_all(commit)) == [item * 2 for item in range(100)]


class Body:
    """An item that can be watched."""


@pytest.mark.parametrize("count", [1, 3])
def test_what_meets_an_unavailable_store_is_freed_with_its_futures_by_itself(count: int) -> None:
    def together(_items: list[Body]) -> list[None]:
        raise StoreUnavailableError("away")

    async def refused(commit: GroupCommit[Body, None], body: Body) -> None:
        with pytest.raises(StoreUnavailableError):
            await stored(commit.submit(body), 10)

    async def all_refused(commit: GroupCommit[Body, None], bodies: list[Body]) -> None:
        await asyncio.gather(*(refused(commit, body) for body in bodies))

    commit = GroupCommit[Body, None](together)
    bodies = [Body() for _ in range(count)]
    watched = [weakref.ref(body) for body in bodies]
    gc.disable()
    try:
        asyncio.run(all_refused(commit, bodies))
        commit.close()
        bodies.clear()
        left = [body() for body in watched]
    finally:
        gc.enable()
    assert left == [None] * count
