"""Waiting on the event loop for what another thread stores."""

import asyncio
from concurrent.futures import Future
from typing import TypeVar

from incidentd.errors import StoreUnavailableError

Result = TypeVar("Result")


async def stored(future: "Future[Result]", seconds: float) -> Result:
    """The result once it is stored. Giving up doesn't cancel: what is in the writer's hands may still succeed.

    Raises:
        StoreUnavailableError: it is not stored within ``seconds``.
    """
    waiting = asyncio.wrap_future(future)
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    if not done:
        waiting.add_done_callback(_look_away)
        raise StoreUnavailableError("not stored in time")
    return waiting.result()


def _look_away(late: "asyncio.Future[Result]") -> None:
    """A result that nobody waits for any more is no warning."""
    if not late.cancelled():
        late.exception()
