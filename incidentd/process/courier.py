"""A true deadline for work that has none of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")
Errand = tuple[Callable[[], Any], "Future[Any]"]


class Courier:
    """Runs errands in one thread of its own, each for no longer than its caller is ready to wait.

    Time-outs of single socket steps are no deadline of the whole: name look-up has none, and a reply can drip.
    An errand that is late is left to end by itself; those behind it give up in turn.
    """

    def __init__(self, name: str) -> None:
        self._errands: SimpleQueue[Errand | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def run(self, errand: Callable[[], Result], seconds: float) -> Result:
        """What ``errand`` returns, or raises.

        Raises:
            TimeoutError: it isn't done within ``seconds``; it may have an effect all the same.
        """
        future: Future[Result] = Future()
        self._errands.put((errand, future))
        try:
            return future.result(timeout=seconds)
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread after what it does now, without waiting for it."""
        self._errands.put(None)

    def _run(self) -> None:
        while (task := self._errands.get()) is not None:
            errand, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(errand())
            except Exception as error:  # noqa: BLE001 - raised where the result is awaited
                future.set_exception(error)
