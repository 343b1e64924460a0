"""A second process beside a bench's, on the same database and clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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
