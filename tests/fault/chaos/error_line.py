"""Which error lines a fault explains; any other is a failure."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.fault.chaos.happened import Happened

_DATABASE = ("PostgreSQL", "SQLite", "sender frozen", "timekeeper frozen", "web part frozen")
"""A process that is frozen inside of a transaction keeps others from the database, too."""

EXPECTED: Sequence[tuple[str, tuple[str, ...]]] = (
    ("StoreUnavailableError", _DATABASE),
    ("store_unavailable", _DATABASE),
    # A timekeeper that stood still for longer than a cycle may take ends itself.
    ('"event": "hung"', ("sender frozen", "timekeeper frozen")),
    ("incidentd can't start:", _DATABASE),
    ("the database can't be reached", _DATABASE),
)
"""What a line says, and how the names of the faults begin that explain it."""


def unexpected(lines: Iterable[str], faults: Sequence[Happened]) -> list[str]:
    """Those that nothing explains, each once, with how often it came."""
    names = {fault.name for fault in faults}
    strange = Counter(_short(line) for line in lines if not _is_explained(line, names))
    return [f"{line} ({count} times)" for line, count in strange.items()]


def _is_explained(line: str, names: set[str]) -> bool:
    return any(said in line and any(name.startswith(why) for name in names) for said, why in EXPECTED)


def _short(line: str) -> str:
    """The event, and the last line of what was raised."""
    log, _, text = line.partition(": ")
    try:
        entry = json.loads(text)
        raised = str(entry.get("exception", "")).strip().rpartition("\n")[2]
        return f"{log}: {entry['event']} {raised}".strip()
    except (ValueError, KeyError):
        return line
