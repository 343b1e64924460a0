"""The jobs. Each takes one list of incident ids; what is to be done for them stands in the database."""

from collections.abc import Sequence

from workers.contract import Runtime

_bound: Runtime | None = None


def bind(runtime: Runtime) -> None:
    """Say on which runtime this process's jobs run. RQ gives a job nothing but its arguments."""
    global _bound
    _bound = runtime


def page(ids: Sequence[str]) -> None:
    """Send what these incidents' pages lack."""
    _runtime().deliver_pages(ids)


def escalate(ids: Sequence[str]) -> None:
    """Let time act on these incidents."""
    _runtime().tick(ids)


def tell(ids: Sequence[str]) -> None:
    """Send what all other destinations of these incidents lack."""
    _runtime().deliver_tells(ids)


def _runtime() -> Runtime:
    if _bound is None:
        raise RuntimeError("no runtime is bound")
    return _bound
