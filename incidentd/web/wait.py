"""Waiting on the event loop for what another thread stores."""

import asyncio
from concurrent.futures import Future
from typing import TypeVar

from incidentd.errors import StoreUnavailableError

Result = TypeVar("Result")


async def stored(future: "Future[Result]", seconds: float, *, withdraw: bool = False) -> Result:
    """The result once it is stored. What is in the writer's hands by then may still succeed after giving up.

    ``withdraw``: what still waits for the writer then never happens, as a person who is told that it failed does it
    again. What is the same the second time, such as a notification, had better be stored late.

    Raises:
        StoreUnavailableError: it is not stored within ``seconds``.
    """
    waiting = asyncio.wrap_future(future)
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    if not done:
        waiting.add_done_callback(_look_away)
        if withdraw:
            future.cancel()
        raise StoreUnavailableError("not stored in time")
    try:
        return waiting.result()
    finally:
        # An error that its own frame knows stays until the garbage is collected, and the request's body with it.
        del future, waiting, done


def _look_away(late: "asyncio.Future[Result]") -> None:
    """A result that nobody waits for any more is no warning."""
    if not late.cancelled():
        late.exception()
