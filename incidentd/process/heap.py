"""The garbage collector of a process that lives for months."""

import gc

# By default it looks after 700 new objects; one notification of a hundred alerts makes several thousand at once, and
# nearly all of what we make is freed without it. https://docs.python.org/3/library/gc.html#gc.set_threshold
_YOUNG, _MIDDLE, _OLD = 50_000, 20, 20


def settle() -> None:
    """To be called once a process is set up: all that is there now stays, so the collector never walks it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
