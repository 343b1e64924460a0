"""How a soak is shown."""

from collections.abc import Sequence

from tests.fault.mark import line
from tests.fault.soak.growth import Growth
from tests.fault.soak.run import Soaked

_TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def markdown(soaked: Sequence[Soaked]) -> str:
    """A column for each database: after warm-up, at the end, and how much that is."""
    names = [_TITLES[each.database] for each in soaked]
    rows = [line(["", *names]), line(["---"] * (len(names) + 1))]
    rows.append(line(["alerts sent", *(f"{each.alerts:,} in {each.minutes:g} minutes" for each in soaked)]))
    rows.append(line(["webhooks by answer", *(_answers(each) for each in soaked)]))
    for index, growth in enumerate(soaked[0].growths):
        rows.append(line([growth.what, *(_shown(each.growths[index]) for each in soaked)]))
    rows.append(line(["result", *("nothing grows" if each.is_good else "**not as it should be**" for each in soaked)]))
    return "\n".join(rows)


def _answers(soaked: Soaked) -> str:
    return ", ".join(f"{status or 'no answer'}: {count:,}" for status, count in sorted(soaked.statuses.items()))


def _shown(growth: Growth) -> str:
    mark = "" if growth.is_good else " **grows**"
    if growth.unit:
        return f"{growth.before:.1f} → {growth.after:.1f} {growth.unit} ({growth.percent:+.1f} %){mark}"
    return f"{growth.before:g} → {growth.after:g}{mark}"
