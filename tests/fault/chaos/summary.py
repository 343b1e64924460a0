"""What a run came to, several runs in one, and how that is shown."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fault.chaos.happened import Happened
from tests.fault.chaos.verdict import Delay, Duplicate
from tests.fault.mark import line

_SHOWN = 40
_PARTS = {"median": 0.5, "p99": 0.99, "worst": 1.0}
NO_FAULT = "no fault at the time"


@dataclass
class Summary:
    """One run, or several. ``losses`` are lacks and wrongs in words; none: all was kept."""

    database: str
    seeds: list[int]
    minutes: float
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    expected: int = 0
    seen: int = 0
    delays: list[Delay] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    @property
    def unexplained(self) -> list[Duplicate]:
        """Duplicates that no fault explains."""
        return [each for each in self.duplicates if not each.cause]

    @property
    def is_good(self) -> bool:
        """Whether all was kept."""
        return not self.losses and not self.unexplained and self.seen == self.expected

    def worst(self) -> Mapping[str, tuple[int, float]]:
        """By kind of fault: how many pages were under way with it, and the longest that one of them took."""
        found: dict[str, tuple[int, float]] = {}
        for delay in self.delays:
            for name in delay.faults or (NO_FAULT,):
                count, longest = found.get(name, (0, 0.0))
                found[name] = (count + 1, max(longest, delay.seconds))
        return found

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        worst = {
            name: {"pages": count, "worst_seconds": round(most, 3)} for name, (count, most) in self.worst().items()
        }
        seconds = [delay.seconds for delay in self.delays]
        return {
            "database": self.database, "seeds": self.seeds, "minutes": self.minutes, "good": self.is_good,
            "webhooks": {str(status): count for status, count in sorted(self.statuses.items())},
            "faults": dict(self.faults.most_common()), "alerts": self.alerts,
            "pages": {"expected": self.expected, "seen": self.seen},
            "seconds": {name: percentile(seconds, part) for name, part in _PARTS.items()},
            "by_fault": worst, "losses": self.losses,
            "duplicates": [{"what": each.what, "cause": each.cause} for each in self.duplicates],
        }  # fmt: skip


def count_faults(happened: Sequence[Happened]) -> Counter[str]:
    """How many of each kind."""
    return Counter(fault.name for fault in happened)


def together(summaries: Sequence[Summary]) -> Summary:
    """Several runs on one database as one."""
    first = summaries[0]
    total = Summary(first.database, [], first.minutes)
    for each in summaries:
        total.seeds += each.seeds
        total.statuses += each.statuses
        total.faults += each.faults
        total.alerts += each.alerts
        total.expected += each.expected
        total.seen += each.seen
        total.delays += each.delays
        total.duplicates += each.duplicates
        total.losses += each.losses
    return total


def markdown(totals: Sequence[Summary]) -> str:
    """What came of it, a column for each database; then the faults, with the longest that a page took under each."""
    lines = [line(["", *(_title(total) for total in totals)]), line(["---"] * (len(totals) + 1))]
    lines += [line([what, *(show(total) for total in totals)]) for what, show in _ROWS]
    lines += ["", line(["fault", *(f"{_title(t)}: times | longest that a page took" for t in totals)])]
    lines += [line(["---"] * (2 * len(totals) + 1))]
    for name in sorted({name for total in totals for name in total.faults}):
        lines.append(line([name, *(_fault(total, name) for total in totals)]))
    lines.append(line([NO_FAULT, *(_fault(total, NO_FAULT) for total in totals)]))
    return "\n".join(lines)


def report(total: Summary) -> str:
    """For a terminal: the tables, then each loss."""
    faults = [f"lost or wrong: {loss}" for loss in total.losses]
    faults += [f"came twice, and nothing explains it: {each.what}" for each in total.unexplained]
    more = [f"... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return "\n".join([markdown([total]), "", *faults[:_SHOWN], *more])


def to_json(totals: Sequence[Summary]) -> str:
    """For a program."""
    return json.dumps([total.to_json() for total in totals], indent=1)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of them lie (nearest rank); 0 of none."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 3) if ordered else 0.0


def _title(total: Summary) -> str:
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(total.database, total.database)


def _webhooks(total: Summary) -> str:
    named = {0: "no answer", 200: "200", 503: "503"}
    return ", ".join(
        f"{named.get(status, status)}: {count:,}" for status, count in sorted(total.statuses.items(), reverse=True)
    )


def _twice(total: Summary) -> str:
    causes = Counter(each.cause or "**unexplained**" for each in total.duplicates)
    return f"{len(total.duplicates)}" + "".join(f"<br>{cause}: {count}" for cause, count in causes.most_common())


def _took(total: Summary) -> str:
    seconds = [delay.seconds for delay in total.delays]
    return f"{percentile(seconds, 0.5):.1f} s, {percentile(seconds, 0.99):.1f} s, {percentile(seconds, 1):.1f} s"


def _fault(total: Summary, name: str) -> str:
    count, longest = total.worst().get(name, (0, 0.0))
    times = "" if name == NO_FAULT else f"{total.faults.get(name, 0):,}"
    return f"{times} | {f'{longest:.1f} s' if count else '–'}"


_ROWS = (
    ("runs, minutes each", lambda t: f"{len(t.seeds)}, {t.minutes:g}"),
    ("faults", lambda t: f"{sum(t.faults.values()):,}"),
    ("webhooks by answer", _webhooks),
    ("alerts stored", lambda t: f"{t.alerts:,}"),
    ("pages owed, seen", lambda t: f"{t.expected:,}, {t.seen:,}"),
    ("came twice", _twice),
    ("a page took: median, p99, worst", _took),
    (
        "result",
        lambda t: "nothing lost" if t.is_good else "**lost or wrong: " + str(len(t.losses) + len(t.unexplained)) + "**",
    ),
)
