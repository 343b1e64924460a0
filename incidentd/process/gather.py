"""A thread that does what it is given, in its own time: what gathers while it is busy goes together next."""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import structlog

Item = TypeVar("Item", bound=Hashable)

LONGEST_REST = 0.1

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class GatherThread(Generic[Item]):
    """Calls ``do`` with what was ``put``, in that order, each item once, at most ``most`` in a call.

    The first goes at once. After a call the thread rests ``rest`` seconds for each item of it, but never longer than
    ``LONGEST_REST``: the more there is to do, the more is done together. ``delay``: seconds for which the first waits,
    too. ``do`` must bear that it fails for all that it was given: this is logged, and the thread goes on.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[Sequence[Item]], object],
        most: int = 500,
        rest: float = 0,
        delay: float = 0,
    ) -> None:
        self._name = name
        self._do = do
        self._most = most
        self._seconds = rest
        self._delay = delay
        self._gathered: dict[Item, None] = {}
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, items: Iterable[Item]) -> None:
        """Hand over. Never blocks."""
        with self._change:
            self._gathered.update(dict.fromkeys(items))
            self._change.notify()

    def close(self, *, drop: bool = False) -> None:
        """End the thread when it has done what has gathered, or with ``drop`` only what it does now."""
        with self._change:
            self._closing = True
            if drop:
                self._gathered.clear()
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while items := self._take():
            try:
                self._do(items)
            except Exception:  # noqa: BLE001 - the edge of a thread
                _log.exception("thread_failed", thread=self._name, items=len(items))
            self._rest(len(items))

    def _rest(self, items: int) -> None:
        with self._change:
            self._change.wait_for(lambda: self._closing, min(LONGEST_REST, self._seconds * items))

    def _take(self) -> list[Item]:
        with self._change:
            self._change.wait_for(lambda: self._gathered or self._closing)
            if self._delay:
                self._change.wait_for(lambda: self._closing, self._delay)
            items = list(self._gathered)[: self._most]
            for item in items:
                del self._gathered[item]
            return items
