"""The table in force as people read it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from incidentd.classify import DEFAULT_POLICY, Rules
from incidentd.classify.classify import NO_ROW
from incidentd.classify.observing import Observing
from incidentd.classify.row import Row
from incidentd.classify.table import Table
from incidentd.classify.wording import conditions_in_words, told_in_words
from incidentd.store.row_matches import Matches
from incidentd.tier import Tier

_Tell = Callable[..., list[str]]


@dataclass(frozen=True, slots=True)
class RowShown:
    """One row. ``number`` is its place among all that are asked; ``told`` is empty where nobody is."""

    number: int
    name: str
    full_name: str
    tier: Tier
    conditions: tuple[str, ...]
    told: tuple[str, ...]
    title: str
    runbook: str
    matches: Matches

    @property
    def words(self) -> str:
        """All that a search looks at."""
        return "\n".join((self.full_name, self.tier, *self.conditions, *self.told, self.title, self.runbook)).lower()


@dataclass(frozen=True, slots=True)
class TableShown:
    """The rows of one file. ``observing`` is set while its system is only observed."""

    name: str
    system: str
    policy: str
    observing: Observing | None
    rows: tuple[RowShown, ...]


def tables_shown(
    rules: Rules, counts: Mapping[str, Matches], now: datetime, in_doubt: Collection[str] = ()
) -> list[TableShown]:
    """Every table in the order in which they are asked; the last one is what happens where no row takes an alert.

    Destinations ``in_doubt`` are told only if they are set up.
    """
    tell = partial(told_in_words, rules, in_doubt=in_doubt)
    found: list[TableShown] = []
    number = 0
    for table in rules.tables.values():
        observing = table.observing if table.observing and table.observing.lasts(now) else None
        rows = tuple(
            _row(tell, table, row, place, counts, observing) for place, row in enumerate(table.rows, number + 1)
        )
        number += len(rows)
        found.append(TableShown(table.name, table.system, table.policy, observing, rows))
    return [*found, TableShown(NO_ROW, "", DEFAULT_POLICY, None, tuple(_by_severity(rules, tell, number, counts)))]


def searched(tables: Iterable[TableShown], text: str) -> list[TableShown]:
    """Those rows in which every word of the text stands; tables without any are left out."""
    words = text.lower().split()
    kept = [
        replace(table, rows=tuple(row for row in table.rows if all(word in row.words for word in words)))
        for table in tables
    ]
    return [table for table in kept if table.rows]


def _row(
    tell: _Tell, table: Table, row: Row, number: int, counts: Mapping[str, Matches], observing: Observing | None
) -> RowShown:
    told = () if observing else tell(row.policy, row.tier, row.destinations)
    return RowShown(
        number=number,
        name=row.name.partition("/")[2],
        full_name=row.name,
        tier=row.tier,
        conditions=tuple(conditions_in_words(row, table)),
        told=tuple(told),
        title=row.title,
        runbook=row.runbook,
        matches=counts.get(row.name, Matches()),
    )


def _by_severity(rules: Rules, tell: _Tell, number: int, counts: Mapping[str, Matches]) -> Iterator[RowShown]:
    """One line for each tier: its counts stand with the first."""
    severities = rules.grading.severities
    matches = counts.get(NO_ROW, Matches())
    for tier in Tier:
        named = [name for name, asked in severities.tiers.items() if asked is tier]
        if tier is severities.otherwise:
            named.append("any other")
        if named:
            number += 1
            yield RowShown(
                number=number,
                name=f"severity {' or '.join(named)}",
                full_name=f"severity {' '.join(named)}",
                tier=tier,
                conditions=(f"severity is {' or '.join(named)}",),
                told=tuple(tell(DEFAULT_POLICY, tier)),
                title="",
                runbook="",
                matches=matches,
            )
