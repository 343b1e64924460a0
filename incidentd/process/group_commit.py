"""Group commit: what waits at one moment is written together, by one thread.

An item that comes alone goes at once. While many come, a batch waits for as many as there were under way when the
last one ended, at most 2 ms: whoever was just answered is about to ask again, and one transaction for all of them costs
little more than one for half of them.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, Queue
from typing import Generic, TypeVar

from incidentd.errors import IncidentdError, StoreUnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")
Waiting = tuple[Item, Future[Result]]

LINGER_SECONDS = 0.002


class GroupCommit(Generic[Item, Result]):
    """Hands items to ``together`` in batches. ``together`` returns one result for each item, in their order.

    A batch that fails is done again item by item, so that one that fails fails alone. ``StoreUnavailableError`` is
    nobody's own fault: it goes to all of the batch at once, as each would only wait for the same time-out in turn.

    A batch that weighs ``heaviest`` or more takes no further item: one that outlasts the store's time-outs would fail
    for all of it, and again each time that they come.
    """

    def __init__(
        self,
        together: Callable[[list[Item]], list[Result]],
        *,
        most: int = 256,
        weigh: Callable[[Item], int] = lambda _: 0,
        heaviest: int = 1,
        room: int = 4096,
        name: str = "writer",
    ) -> None:
        self._together = together
        self._most = most
        self._weigh = weigh
        self._heaviest = heaviest
        self._room = room
        # No SimpleQueue: its get() with a time-out waits for ever where the thread is held up until that is over.
        self._waiting: Queue[Waiting[Item, Result] | None] = Queue()
        self._closing = False
        self._door = threading.Lock()
        self._expected = 1
        self._writer = threading.Thread(target=self._write, name=name, daemon=True)
        self._writer.start()

    def submit(self, item: Item) -> Future[Result]:
        """The result to come; from asyncio take ``asyncio.wrap_future``. Cancelling works until the writer takes it.

        Raises:
            StoreUnavailableError: too much waits already, or the writer is closed.
        """
        future: Future[Result] = Future()
        with self._door:
            if self._closing or self._waiting.qsize() >= self._room:
                raise StoreUnavailableError("the writer takes no more")
            self._waiting.put((item, future))
        return future

    def close(self) -> None:
        """Take nothing new, finish what waits, end the thread."""
        with self._door:
            if not self._closing:
                self._closing = True
                self._waiting.put(None)
        self._writer.join()

    def _write(self) -> None:
        while (batch := self._next()) is not None:
            wanted = [waiting for waiting in batch if waiting[1].set_running_or_notify_cancel()]
            if wanted:
                self._settle(wanted)
            self._expected = len(batch) + self._waiting.qsize()

    def _next(self) -> list[Waiting[Item, Result]] | None:
        """All that waits, within the bounds; blocks while nothing does. None when closed and empty."""
        first = self._waiting.get()
        if first is None:
            return None
        batch, weight = [first], self._weigh(first[0])
        end = time.monotonic() + LINGER_SECONDS
        while len(batch) < self._most and weight < self._heaviest:
            try:
                another = self._another(end if len(batch) < self._expected else 0.0)
            except Empty:
                break
            if another is None:
                self._waiting.put(None)
                break
            batch.append(another)
            weight += self._weigh(another[0])
        return batch

    def _another(self, end: float) -> Waiting[Item, Result] | None:
        left = end - time.monotonic()
        return self._waiting.get(timeout=left) if left > 0 else self._waiting.get_nowait()

    def _settle(self, batch: list[Waiting[Item, Result]]) -> None:
        try:
            results = self._do([item for item, _ in batch])
        except StoreUnavailableError as error:
            _fail(batch, str(error))
        except Exception as error:  # noqa: BLE001 - raised where the result is awaited
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                self._settle_singly(batch)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

    def _do(self, items: list[Item]) -> list[Result]:
        results = self._together(items)
        if len(results) != len(items):
            raise IncidentdError("not one result for each item")
        return results

    def _settle_singly(self, batch: list[Waiting[Item, Result]]) -> None:
        for position, waiting in enumerate(batch):
            self._settle([waiting])
            if isinstance(waiting[1].exception(), StoreUnavailableError):
                _fail(batch[position + 1 :], "the batch before met an unavailable store")
                return


def _fail(batch: list[Waiting[Item, Result]], why: str) -> None:
    """An error for each: with one for all, whose trace holds this batch, nothing of it would be freed by itself."""
    for _, future in batch:
        future.set_exception(StoreUnavailableError(why))
