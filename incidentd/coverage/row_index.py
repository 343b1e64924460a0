"""The rows of all tables, so that of thousands only those are asked that may take an alert."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from incidentd.classify.row import Row
from incidentd.coverage.case import Case


class RowIndex:
    """Rows in their order, and by the value that they ask for of the label that tells most of them apart."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = tuple(rows)
        asked: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place, row in enumerate(self._rows):
            for label, value in {(each.label, each.value) for each in row.matchers if each.operator == "="}:
                asked[label][value].append(place)
        self._label = max(asked, key=lambda label: (len(asked[label]), label), default="")
        self._by_value = asked[self._label]
        pinned = {place for places in self._by_value.values() for place in places}
        self._others = [place for place in range(len(self._rows)) if place not in pinned]

    def candidates(self, case: Case, *, further: bool) -> Sequence[Row]:
        """Those that don't ask for another value than a case has; all, where that is not known."""
        values = case.domain(self._label, further=further).values
        if values is None:
            return self._rows
        places = {place for value in values for place in self._by_value.get(value, ())}
        return [self._rows[place] for place in sorted(places.union(self._others))]
