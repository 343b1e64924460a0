"""What was counted of a shadow table since it was stored last; small, whatever comes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from incidentd.lifecycle.shadow_verdict import Pair
from incidentd.store.shadow import MOST, Comparison, Difference


@dataclass(slots=True)
class _Page:
    comparison: Comparison
    differences: dict[Pair, Difference] = field(default_factory=dict)


class TallySheet:
    """One page for each two tables. For one thread at a time."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, str], _Page] = {}

    def count(self, in_force: str, shadow: str, pair: Pair | None, example: str, now: datetime) -> None:
        """One more alert; ``pair`` None: both tables say the same of it."""
        fresh = _Page(Comparison(in_force, shadow, now, now, 0, 0))
        page = self._pages.setdefault((in_force, shadow), fresh)
        before = page.comparison
        differing = before.differing + (pair is not None)
        page.comparison = replace(before, last_at=now, alerts=before.alerts + 1, differing=differing)
        if pair is not None and (pair in page.differences or len(page.differences) < MOST):
            known = page.differences.get(pair)
            page.differences[pair] = Difference(
                from_row=pair.from_row,
                to_row=pair.to_row,
                from_tier=pair.from_tier,
                to_tier=pair.to_tier,
                kind=pair.kind.value,
                alerts=1 + (known.alerts if known else 0),
                first_at=known.first_at if known else now,
                last_at=now,
                example=example,
            )

    def pages(self) -> list[tuple[Comparison, Sequence[Difference]]]:
        """All that was counted."""
        return [(page.comparison, list(page.differences.values())) for page in self._pages.values()]

    def drop(self, comparison: Comparison) -> None:
        """This page is stored."""
        self._pages.pop((comparison.in_force, comparison.shadow), None)
