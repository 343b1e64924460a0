"""Two outcomes of one recording, side by side: what another table would have changed for people."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from incidentd.replay.outcome import Outcome, Page, Played
from incidentd.replay.recording import Recording
from incidentd.replay.regrouping import Regrouping, regrouping
from incidentd.tier import Tier

Doubt = tuple[frozenset[str], frozenset[str]]
_NO_DOUBT: Doubt = (frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Side:
    """An incident under one table. ``pages`` is how many went out, ``told`` the destinations that hear of it."""

    key: str
    tier: Tier
    row: str
    pages: int
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One incident under both tables. ``after`` None: none of its alerts is an incident any more."""

    system: str
    slo: str
    opened_at: datetime
    before: Side
    after: Side | None

    @property
    def tier_changes(self) -> bool:
        """Whether it is of another tier, or none at all."""
        return self.after is None or self.after.tier is not self.before.tier


@dataclass(frozen=True, slots=True)
class TierMove:
    """So many incidents become another tier. ``after`` None: none at all."""

    before: Tier
    after: Tier | None
    incidents: int


@dataclass(frozen=True, slots=True)
class Pages:
    """How many pages, and how many of them at night."""

    all: int = 0
    night: int = 0


@dataclass(frozen=True, slots=True)
class Woken:
    """The pages of one destination to one level. ``zone`` is whose night counts."""

    destination: str
    person: str
    zone: str
    before: Pages
    after: Pages


@dataclass(frozen=True, slots=True)
class Unheard:
    """Alerts that nobody would be told of. ``of_them_new`` are told to somebody by the table before.

    ``row`` is the row that takes them; ``sign of life`` where a heartbeat does.
    """

    system: str
    alertname: str
    row: str
    alerts: int
    of_them_new: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes. ``incidents`` counts them under each table; ``regrouping`` says which join, split, and are new.

    ``changes`` are all incidents whose tier, number of pages or destinations differ. Destinations of ``if_set_up``
    count as woken, and not as hearing of anything.
    """

    since: datetime
    until: datetime
    alerts: int
    answers: int
    versions: tuple[str, str]
    incidents: tuple[int, int]
    regrouping: Regrouping
    changes: tuple[Change, ...]
    tiers: tuple[TierMove, ...]
    pages: tuple[Pages, Pages]
    woken: tuple[Woken, ...]
    unheard: tuple[Unheard, ...]
    if_set_up: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes for anybody."""
        new = any(each.of_them_new for each in self.unheard)
        moved = any(each.before != each.after for each in self.woken)
        regrouped = self.regrouping.joins or self.regrouping.splits or self.regrouping.new
        return not (self.changes or regrouped or moved or new)

    @property
    def more_pages(self) -> int:
        """How many pages more; less than 0: fewer."""
        return self.pages[1].all - self.pages[0].all


def compare(recording: Recording, before: Outcome, after: Outcome, in_doubt: Doubt = _NO_DOUBT) -> Difference:
    """What becomes of the same alerts and the same answers under another table.

    ``in_doubt`` are destinations of each table that are told only if they are set up.
    """
    partners = _partners(before, after)
    pairs = [_change(played, after, partners[id_]) for id_, played in before.incidents.items()]
    changes = [each for each in pairs if each.after is None or _differs(each.before, each.after)]
    return Difference(
        since=recording.since,
        until=recording.until,
        alerts=len(recording.alerts),
        answers=len(recording.answers),
        versions=(before.version, after.version),
        incidents=(len(before.incidents), len(after.incidents)),
        regrouping=regrouping(before, after, partners),
        changes=tuple(sorted(changes, key=lambda each: (each.opened_at, each.before.key))),
        tiers=_moves(pairs),
        pages=(_pages(before.incidents.values()), _pages(after.incidents.values())),
        woken=_woken(before, after),
        unheard=_unheard(recording, before, after, in_doubt),
        if_set_up=tuple(sorted(_told_of(before, in_doubt[0]) | _told_of(after, in_doubt[1]))),
    )


def _partners(before: Outcome, after: Outcome) -> dict[str, str | None]:
    """What each incident became: the one that has the alert which opened it."""
    partners: dict[str, str | None] = dict.fromkeys(before.incidents)
    seen: set[str] = set()
    for number, id_ in before.of_alert.items():
        if id_ not in seen:
            seen.add(id_)
            partners[id_] = after.of_alert.get(number)
    return partners


def _change(played: Played, after: Outcome, partner: str | None) -> Change:
    became = after.incidents[partner] if partner else None
    return Change(played.system, played.slo, played.opened_at, _side(played), _side(became) if became else None)


def _moves(pairs: Iterable[Change]) -> tuple[TierMove, ...]:
    changed = [each for each in pairs if each.tier_changes]
    found = Counter((each.before.tier, each.after.tier if each.after else None) for each in changed)
    return tuple(TierMove(*move, found[move]) for move in sorted(found, key=lambda each: (each[0], each[1] or "")))


def _side(played: Played) -> Side:
    return Side(played.key, played.tier, played.row, len(played.pages), tuple(sorted(played.told)))


def _differs(before: Side, after: Side) -> bool:
    """Whether people notice: how a row or a key is called is nothing to them."""
    return (before.tier, before.pages, before.told) != (after.tier, after.pages, after.told)


def _pages(incidents: Iterable[Played]) -> Pages:
    pages = [page for played in incidents for page in played.pages]
    return Pages(len(pages), sum(page.night for page in pages))


@dataclass(slots=True)
class _Counts:
    before: list[Page] = field(default_factory=list)
    after: list[Page] = field(default_factory=list)


def _woken(before: Outcome, after: Outcome) -> tuple[Woken, ...]:
    counts: dict[tuple[str, str, str], _Counts] = {}
    for outcome, name in ((before, "before"), (after, "after")):
        for page in (page for played in outcome.incidents.values() for page in played.pages):
            found = counts.setdefault((page.destination, page.person, page.zone), _Counts())
            (found.before if name == "before" else found.after).append(page)
    return tuple(Woken(*who, _of(found.before), _of(found.after)) for who, found in sorted(counts.items()))


def _of(pages: list[Page]) -> Pages:
    return Pages(len(pages), sum(page.night for page in pages))


def _told_of(outcome: Outcome, names: frozenset[str]) -> frozenset[str]:
    return names & {name for played in outcome.incidents.values() for name in played.told}


def _unheard(recording: Recording, before: Outcome, after: Outcome, in_doubt: Doubt) -> tuple[Unheard, ...]:
    alerts: Counter[tuple[str, str, str]] = Counter()
    new: Counter[tuple[str, str, str]] = Counter()
    for number, recorded in enumerate(recording.alerts):
        row = _untold_by(number, after, in_doubt[1])
        if row is not None:
            which = (recorded.labels.get("system", ""), recorded.labels.get("alertname", ""), row)
            alerts[which] += 1
            new[which] += number in before.of_alert and _untold_by(number, before, in_doubt[0]) is None
    return tuple(Unheard(*which, count, new[which]) for which, count in sorted(alerts.items()))


def _untold_by(number: int, outcome: Outcome, in_doubt: frozenset[str]) -> str | None:
    """The row by which nobody hears of an alert; None where somebody does, or there is nothing to tell."""
    if number in outcome.signs:
        return "sign of life"
    incident = outcome.incidents.get(outcome.of_alert.get(number, ""))
    return incident.row if incident is not None and incident.told <= in_doubt else None
