"""Answers to probes: whoever asks, and however many, the answer is worked out once at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

KEPT_SECONDS = 1.0

Answer = TypeVar("Answer")
Run = Callable[[Callable[[], Any]], Awaitable[Any]]


class Probe(Generic[Answer]):
    """Asks ``ask`` in one thread, for all who wait on the event loop, and keeps its answer for a second.

    Probes need no token, and their answers cost a thread for seconds, or the one lock for writing. ``run`` says among
    which threads: by default those of everything else that may wait for the database.
    """

    def __init__(self, ask: Callable[[], Answer], monotonic: Callable[[], float], run: Run = run_in_threadpool) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._run = run
        self._asking: asyncio.Task[Answer] | None = None
        self._answered_at = 0.0

    async def answer(self) -> Answer:
        """The answer under way, or the one that is not a second old, or a new one. Raises what ``ask`` raises."""
        if self._asking is None or (self._asking.done() and not self._is_fresh(self._asking)):
            self._asking = asyncio.create_task(self._new())
            self._asking.add_done_callback(_look_away)
        # Who goes away must not take the answer from the others.
        return await asyncio.shield(self._asking)

    async def _new(self) -> Answer:
        try:
            answer: Answer = await self._run(self._ask)
            return answer
        finally:
            self._answered_at = self._monotonic()

    def _is_fresh(self, asked: "asyncio.Task[Answer]") -> bool:
        age = self._monotonic() - self._answered_at
        return age < KEPT_SECONDS and not asked.cancelled() and asked.exception() is None


def _look_away(asked: "asyncio.Task[Answer]") -> None:
    """An error that nobody waits for any more is no fault of the loop's."""
    if not asked.cancelled():
        asked.exception()
