"""Which incidents join under another table, which split, and which are there that were none before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from incidentd.replay.outcome import Outcome, Played
from incidentd.tier import Tier


@dataclass(frozen=True, slots=True)
class Which:
    """One incident, as people find it. ``pages`` is how many went out."""

    key: str
    system: str
    slo: str
    opened_at: datetime
    tier: Tier
    row: str
    pages: int


@dataclass(frozen=True, slots=True)
class Join:
    """Several incidents that become one."""

    before: tuple[Which, ...]
    after: Which


@dataclass(frozen=True, slots=True)
class Split:
    """One incident that becomes several: ``after`` has the alert which opened it, ``off`` are the others.

    ``after`` None: what that alert is now is no incident.
    """

    before: Which
    after: Which | None
    off: tuple[Which, ...]


@dataclass(frozen=True, slots=True)
class Regrouping:
    """``new`` are incidents of alerts that were none before. All in the order in which they opened."""

    joins: tuple[Join, ...]
    splits: tuple[Split, ...]
    new: tuple[Which, ...]

    @property
    def merged(self) -> int:
        """How many share one that they did not share before."""
        return sum(len(each.before) - 1 for each in self.joins)

    @property
    def split(self) -> int:
        """How many were part of another one before."""
        return sum(len(each.off) for each in self.splits)


def regrouping(before: Outcome, after: Outcome, partners: Mapping[str, str | None]) -> Regrouping:
    """``partners``: what each incident became."""
    became: dict[str, list[str]] = {}
    for old, new in partners.items():
        if new is not None:
            became.setdefault(new, []).append(old)
    parts: dict[str, list[str]] = {}
    fresh = []
    for new, origin in _origins(before, after).items():
        if new not in became and origin is None:
            fresh.append(new)
        elif new not in became and origin is not None:
            parts.setdefault(origin, []).append(new)
    joins = [Join(_which(before, olds), _of(after.incidents[new])) for new, olds in became.items() if len(olds) > 1]
    splits = [
        Split(_of(before.incidents[old]), _partner(after, partners[old]), _which(after, news))
        for old, news in parts.items()
    ]
    return Regrouping(
        joins=tuple(sorted(joins, key=lambda each: _order(each.after))),
        splits=tuple(sorted(splits, key=lambda each: _order(each.before))),
        new=_which(after, fresh),
    )


def _origins(before: Outcome, after: Outcome) -> Mapping[str, str | None]:
    """Of each incident after, the one before that its first alert was of; None where it was of none."""
    origins: dict[str, str | None] = dict.fromkeys(after.incidents)
    seen: set[str] = set()
    for number, new in sorted(after.of_alert.items()):
        if new not in seen:
            seen.add(new)
            origins[new] = before.of_alert.get(number)
    return origins


def _partner(after: Outcome, id_: str | None) -> Which | None:
    return None if id_ is None else _of(after.incidents[id_])


def _which(outcome: Outcome, ids: Iterable[str]) -> tuple[Which, ...]:
    return tuple(sorted((_of(outcome.incidents[id_]) for id_ in ids), key=_order))


def _of(played: Played) -> Which:
    return Which(played.key, played.system, played.slo, played.opened_at, played.tier, played.row, len(played.pages))


def _order(which: Which) -> tuple[datetime, str]:
    return which.opened_at, which.key
