"""The differences of two tables in words: what ``incidentd rules diff`` prints."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from incidentd.classify.difference import Change, FieldChange, How

_MARKS = {How.ADDED: "+", How.REMOVED: "-", How.CHANGED: "~", How.MOVED: "↕"}
_HEADINGS = {
    "order of tables": "Order of tables", "table": "Tables", "row": "Rows", "objective": "Objectives",
    "examples": "Examples", "tier": "Tiers", "severity": "Severity", "key": "Keys", "policy": "Policies",
    "person": "People", "destination": "Destinations", "calendar": "Calendars", "heartbeat": "Heartbeats",
    "drill": "Drills", "file": "Files",
}  # fmt: skip
_NOTHING = "–"
SAME = "They mean the same; only comments, layout or the spelling of texts differ."
IDENTICAL = "They are the same table."


def heading(kind: str) -> str:
    """What stands above the changes of a kind."""
    return _HEADINGS[kind]


def counted(changes: Iterable[Change]) -> str:
    """``rows: 2 changed, 1 added; destinations: 1 removed``; examples are left out, empty without changes."""
    said = []
    for kind, group in groupby((c for c in changes if c.kind != "examples"), key=lambda change: change.kind):
        hows = [change.how for change in group]
        numbers = ", ".join(f"{hows.count(how)} {how}" for how in How if how in hows)
        said.append(f"{heading(kind).lower()}: {numbers}")
    return "; ".join(said)


def no_difference(before: str, after: str) -> str:
    """What is said of two tables without a change, by their versions."""
    return IDENTICAL if before == after else SAME


def show_differences(changes: Sequence[Change]) -> str:
    """Every change, under a heading for each kind; empty without any."""
    lines = [line for kind, group in groupby(changes, key=lambda change: change.kind) for line in _of_kind(kind, group)]
    return "\n".join(_clean(line) for line in lines)


def field_in_words(change: FieldChange) -> str:
    """``tier: P1 → P0``."""
    return f"{change.name}: {change.before or _NOTHING} → {change.after or _NOTHING}"


def examples_in_words(change: Change) -> str:
    """How many came and went: all of them would be longer than the rest."""
    came = sum(int(each.after or 0) for each in change.fields)
    went = sum(int(each.before or 0) for each in change.fields)
    return f"{came} new, {went} gone"


def _of_kind(kind: str, changes: Iterable[Change]) -> Iterator[str]:
    yield heading(kind)
    for change in changes:
        if kind == "examples":
            yield f"  {_MARKS[change.how]} {change.name}: {examples_in_words(change)}"
            continue
        yield f"  {_MARKS[change.how]} {change.name or heading(kind).lower()}{_how(change)}"
        if change.how is How.CHANGED:
            yield from (f"      {field_in_words(each)}" for each in change.fields)
        elif change.how in (How.ADDED, How.REMOVED):
            yield from (f"      {each.name}: {each.after or each.before}" for each in change.fields)


def _how(change: Change) -> str:
    if change.how is not How.MOVED:
        return ""
    (place,) = change.fields
    return f": asked as number {place.after} of its table, was {place.before}"


def _clean(line: str) -> str:
    """No control characters, and one line: folded texts may hold line breaks."""
    return "".join(char if char.isprintable() else " " for char in line)
