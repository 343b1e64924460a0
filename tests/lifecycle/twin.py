"""A second process beside a bench's, on the same database and clock."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from incidentd.runtime import Runtime
from incidentd.settings import load_settings
from tests.lifecycle.bench import Bench


@contextmanager
def twin(bench: Bench, changes: Mapping[str, str | None] | None = None) -> Iterator[Runtime]:
    """A runtime of its own; ``changes`` are settings in which it differs; None: unset."""
    changed = {**bench.environ, **(changes or {})}
    environ = {name: value for name, value in changed.items() if value is not None}
    runtime = Runtime(load_settings(environ, None), environ, clock=bench.clock)
    try:
        yield runtime
    finally:
        runtime.close()


def tick_together(bench: Bench, ids: Sequence[str]) -> None:
    """Three processes let time act on these incidents at the same moment."""
    start = threading.Barrier(3)
    with ExitStack() as stack:
        runtimes = [bench.runtime, *(stack.enter_context(twin(bench)) for _ in range(2))]

        def tick(runtime: Runtime) -> None:
            start.wait()
            runtime.tick(ids)

        with ThreadPoolExecutor(len(runtimes)) as pool:
            list(pool.map(tick, runtimes))
