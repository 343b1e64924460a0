"""How fast senders are to be."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a sender may hold a cursor, and one request may take in all."""

    lease: timedelta
    mark: timedelta
    http_seconds: float
