"""The four tiers of urgency."""

from collections.abc import Iterable
from enum import StrEnum


class Tier(StrEnum):
    """P0 is the most urgent. Sorts by urgency: ``Tier.P0 < Tier.P1``."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"

    @property
    def rank(self) -> int:
        """0 for P0 to 3 for P3."""
        return int(self[1])


def most_urgent(tiers: Iterable[Tier]) -> Tier:
    """The most urgent of at least one tier."""
    return min(tiers)
