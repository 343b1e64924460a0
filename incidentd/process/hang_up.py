"""SIGHUP asks for the rules to be read again. One that comes too early waits until whoever acts on it is ready.

A signal that is blocked stays pending, also over ``exec``: sigprocmask(2). Without that it would end the process.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


def hold() -> None:
    """Let it wait from now on, here and in what is started from here."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def release() -> None:
    """Let it through, and one that waits; to be called once its handler is there."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@contextmanager
def held() -> Iterator[None]:
    """``hold`` for what is started within; afterwards this thread goes on as before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
