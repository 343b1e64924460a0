"""What workers ask of the runtime."""

from collections.abc import Sequence
from typing import Protocol

from incidentd.jobs import Enqueuer, Work


class Runtime(Protocol):
    """The use cases that jobs call. Every one may be called twice, late, or for nothing. Used by several threads."""

    @property
    def enqueuer(self) -> Enqueuer:
        """What puts work into the queues."""
        ...

    def tick(self, ids: Sequence[str]) -> None:
        """Let time act on these incidents: the queue ``escalate``."""
        ...

    def deliver_pages(self, ids: Sequence[str]) -> None:
        """Bring the pages of these incidents up to date: the queue ``page``."""
        ...

    def deliver_tells(self, ids: Sequence[str]) -> None:
        """Bring everything else that follows these incidents up to date: the queue ``tell``."""
        ...

    def due(self) -> Work:
        """Find and mark what is due now: incident ids by queue, the most urgent first."""
        ...

    def beat(self) -> None:
        """Record that a timekeeper's cycle ran to its end."""
        ...

    def wind_down(self) -> None:
        """Begin to send nothing more, also in what runs now. Waits for nothing; called from a signal handler."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...
