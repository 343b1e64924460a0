"""How much something has grown, so that a peak is no growth and a leak is."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

MEMORY_PERCENT = 5.0


@dataclass(frozen=True, slots=True)
class Growth:
    """``before`` is of the tenth that follows the first fifth, which is warm-up; ``after`` of the last tenth."""

    what: str
    unit: str
    before: float
    after: float
    most_percent: float

    @property
    def percent(self) -> float:
        """Negative where it shrank."""
        return 100 * (self.after - self.before) / self.before if self.before else 100.0 * (self.after > 0)

    @property
    def is_good(self) -> bool:
        """Whether it grew no more than it may."""
        return self.percent < self.most_percent if self.most_percent else self.after <= self.before


def growth(what: str, unit: str, values: Sequence[float], most_percent: float = 0.0) -> Growth:
    """Of values that were taken at equal distances. ``most_percent`` 0: it may not grow at all.

    Medians are compared; of what may not grow at all the least: what a burst opens is shut a minute later, what leaks
    is never shut.

    Raises:
        ValueError: there are too few to say.
    """
    tenth = len(values) // 10
    if not tenth:
        raise ValueError(f"{len(values)} samples of {what} are too few")
    fifth = len(values) // 5
    middle = median if most_percent else min
    return Growth(what, unit, middle(values[fifth : fifth + tenth]), middle(values[-tenth:]), most_percent)
