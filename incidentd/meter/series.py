"""Counters and histograms whose labels are known beforehand.

Every series exists from the start, at zero, so that a first event shows as an increase. What is not known counts as
``other``: however odd a value is that comes from outside, it adds no series of its own.
"""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

OTHER = "other"

MOST_SERIES = 512
"""Series that one counter may come to have, however often what is known changes."""

Values = tuple[str, ...]


class Counters:
    """A counter for each of the label values ``known``; for ``[()]`` just one."""

    def __init__(
        self, registry: CollectorRegistry, name: str, text: str, labels: Sequence[str], known: Sequence[Values]
    ) -> None:
        self._family = Counter(name, text, labels, registry=registry)
        self._other = (OTHER,) * len(labels)
        # Looking a series up in the family costs more than counting.
        self._series = {values: self._family.labels(*values) if values else self._family for values in known}

    def know(self, values: Iterable[Values]) -> None:
        """Give these a series of their own, from zero, as far as there is room; what is left counts as ``other``."""
        for each in values:
            if len(self._series) < MOST_SERIES:
                self._series.setdefault(each, self._family.labels(*each))

    def add(self, *values: str, amount: int = 1) -> None:
        """Count ``amount`` events."""
        (self._series.get(values) or self._family.labels(*self._other)).inc(amount)


class Histograms:
    """A histogram for each of the label values ``known``; for ``[()]`` just one. ``buckets`` are in seconds."""

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        text: str,
        labels: Sequence[str],
        known: Sequence[Values],
        buckets: Sequence[float],
    ) -> None:
        self._family = Histogram(name, text, labels, registry=registry, buckets=buckets)
        self._other = (OTHER,) * len(labels)
        self._series = {values: self._family.labels(*values) if values else self._family for values in known}

    def observe(self, seconds: float, *values: str) -> None:
        """Note how long one took."""
        (self._series.get(values) or self._family.labels(*self._other)).observe(seconds)
