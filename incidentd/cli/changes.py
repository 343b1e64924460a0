"""What a backtest found, as a page for people and as JSON."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime

from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from incidentd.classify.line import printable
from incidentd.classify.wording import named
from incidentd.replay.difference import Change, Difference, Pages, Unheard, Woken
from incidentd.replay.night import BEGINS, ENDS
from incidentd.replay.regrouping import Regrouping, Which

SHOWN, TOGETHER = 20, 5
"""So many changes are listed for people, each of so many incidents; JSON has every one."""


def as_json(difference: Difference) -> str:
    """All of it, with ``changed``, ``more_pages`` and how many join or split said outright."""
    found = asdict(difference)
    groups = found.pop("regrouping")
    counts = {"merged": difference.regrouping.merged, "split": difference.regrouping.split}
    said = {"changed": not difference.is_empty, "more_pages": difference.more_pages, **found, **counts, **groups}
    return to_json(said, indent=2).decode()


def show(difference: Difference, console: Console) -> None:
    """Print it: the sum first, then who and which."""
    for line in _facts(difference):
        console.print(line, markup=False)
    if difference.is_empty:
        console.print("\nNothing changes: the same incidents, the same tiers, the same people told.", markup=False)
    else:
        for line in _sums(difference):
            console.print(line, markup=False)
        _show_woken(difference.woken, console, difference.if_set_up)
        _show_changes(difference.changes, console, difference.if_set_up)
        _show_regrouping(difference.regrouping, console)
    _show_unheard(difference.unheard, console)
    if difference.if_set_up and not (difference.is_empty and not difference.unheard):
        console.print(f"\n{_doubt(difference.if_set_up)}", markup=False)


def _doubt(names: Iterable[str]) -> str:
    return (
        f"Optional, and without their variables here: {', '.join(names)}. They are told only where they are set up:"
        " pages to them count, and an alert that they alone are told of counts as one that nobody is told of."
    )


def _facts(difference: Difference) -> Iterable[str]:
    before, after = difference.versions
    yield f"{_at(difference.since)} to {_at(difference.until)} UTC: {_count(difference.alerts, 'alert')},"
    yield f"{_count(difference.answers, 'answer')} of people, replayed at their times."
    yield f"Table {before} as it was, and {after} in its place."


def _sums(difference: Difference) -> Iterable[str]:
    moved = sum(move.incidents for move in difference.tiers)
    which = ", ".join(f"{move.incidents} from {move.before} to {move.after or 'none'}" for move in difference.tiers)
    verb = "changes" if moved == 1 else "change"
    yield f"\n{_count(moved, 'incident')} of {difference.incidents[0]} {verb} tier{f': {which}' if which else ''}."
    groups = difference.regrouping
    if groups.merged or groups.split:
        yield f"{groups.merged} join another incident, {groups.split} are split off from one."
    if groups.new:
        yield f"{_count(len(groups.new), 'incident')} of alerts that were none before."
    yield f"{_moved(*difference.pages)}."
    for zone, before, after in _nights(difference.woken):
        yield f"At night ({BEGINS:%H:%M} to {ENDS:%H:%M}) in {zone}: {_more(before, after)}."


def _moved(before: Pages, after: Pages) -> str:
    return f"Pages: {_more(before.all, after.all)}"


def _more(before: int, after: int) -> str:
    change = "as many" if before == after else f"{abs(after - before)} {'more' if after > before else 'fewer'}"
    return f"{change} ({before} before, {after} after)"


def _nights(woken: Iterable[Woken]) -> Iterable[tuple[str, int, int]]:
    zones: dict[str, list[Woken]] = {}
    for each in woken:
        zones.setdefault(each.zone, []).append(each)
    for zone in sorted(zones):
        yield zone, sum(each.before.night for each in zones[zone]), sum(each.after.night for each in zones[zone])


def _show_woken(woken: Iterable[Woken], console: Console, if_set_up: Collection[str]) -> None:
    table = _table("Who is woken", "who", "through", "pages before", "after", "at night before", "after", "where")
    for each in woken:
        counts = (each.before.all, each.after.all, each.before.night, each.after.night)
        table.add_row(_as_it_is(each.person), named(each.destination, if_set_up), *map(str, counts), each.zone)
    if table.row_count:
        console.print(table)


def _show_changes(changes: Iterable[Change], console: Console, if_set_up: Collection[str]) -> None:
    """Alike ones in one line, those of another tier first."""
    groups: dict[tuple[str, ...], list[Change]] = {}
    for each in changes:
        groups.setdefault(_kind_of(each, if_set_up), []).append(each)
    ordered = sorted(groups.items(), key=lambda pair: (not pair[1][0].tier_changes, -len(pair[1]), pair[0]))
    table = _table("Incidents that change", "incidents", "of", "tier", "row", "told", "pages before", "after")
    for kind, alike in ordered[:SHOWN]:
        before, after = sum(c.before.pages for c in alike), sum(c.after.pages for c in alike if c.after)
        table.add_row(str(len(alike)), *map(_as_it_is, kind), str(before), str(after))
    if table.row_count:
        console.print(table)
    if len(ordered) > SHOWN:
        left = sum(len(alike) for _, alike in ordered[SHOWN:])
        console.print(f"and {_count(left, 'other incident')}: --json lists each.", markup=False)


def _kind_of(change: Change, if_set_up: Collection[str]) -> tuple[str, ...]:
    """What, and how it changes, as it is shown."""
    before, after = change.before, change.after
    lost = set(before.told) - set(after.told if after else ())
    won = set(after.told if after else ()) - set(before.told)
    told = [f"+{named(name, if_set_up)}" for name in sorted(won)]
    told += [f"-{named(name, if_set_up)}" for name in sorted(lost)]
    return (
        f"{change.system} {change.slo}",
        _move(before.tier, after.tier if after else "none"),
        _move(before.row, after.row if after else "none"),
        " ".join(told) or "the same",
    )


_Regrouped = tuple[str, tuple[Which, ...], tuple[Which, ...]]


def _show_regrouping(groups: Regrouping, console: Console) -> None:
    """A line for each that several become, that becomes several, or that is new."""
    lines: list[_Regrouped] = [("join", each.before, (each.after,)) for each in groups.joins]
    lines += [("split", (each.before,), ((each.after,) if each.after else ()) + each.off) for each in groups.splits]
    lines += [("new", (), (each,)) for each in groups.new]
    table = _table("Incidents that join, split or are new", "", "before", "after")
    for what, before, after in lines[:SHOWN]:
        table.add_row(what, _as_they_are(before), _as_they_are(after))
    if table.row_count:
        console.print(table)
    if len(lines) > SHOWN:
        console.print(f"and {len(lines) - SHOWN} more: --json lists each.", markup=False)


def _as_they_are(incidents: Sequence[Which]) -> Text:
    lines = [_as_it_is(f"{_at(each.opened_at)} {each.tier} {each.key}") for each in incidents[:TOGETHER]]
    more = [Text(f"and {len(incidents) - TOGETHER} more")] if len(incidents) > TOGETHER else []
    return Text("\n").join([*lines, *more]) if lines else Text("none")


def _show_unheard(unheard: tuple[Unheard, ...], console: Console) -> None:
    if not unheard:
        return
    table = _table("Alerts that nobody would be told of", "system", "alert", "row", "alerts", "told before")
    for each in unheard:
        names = (each.system or "-", each.alertname or "-", each.row)
        table.add_row(*map(_as_it_is, names), str(each.alerts), str(each.of_them_new))
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _as_it_is(text: str) -> Text:
    """Brackets in it are no markup: labels and rows are named by others."""
    return Text(printable(text))


def _move(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
